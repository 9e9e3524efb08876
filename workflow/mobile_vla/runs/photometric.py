"""Changes of brightness, contrast and saturation, the same for all frames of a window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mobile_vla.config.model import Photometric

# Luma of ITU-R BT.601, as torchvision's rgb_to_grayscale has it.
LUMA = (0.2989, 0.587, 0.114)


def draw_factors(settings: Photometric, key: Sequence[int], indices: np.ndarray) -> Tensor:
    """Draw the factors of some windows: a function of the key and of each window's index alone.

    Args:
        settings: the strengths.
        key: what the draw depends on besides, such as (seed, step).
        indices: (B,) of the windows.

    Returns:
        (B, 3) factors of brightness, contrast and saturation, uniform in [1 - x, 1 + x].
    """
    strengths = np.array([settings.brightness, settings.contrast, settings.saturation])
    drawn = [np.random.default_rng([*key, int(index)]).uniform(-1, 1, 3) for index in indices]
    return torch.from_numpy(1 + strengths * np.array(drawn)).float()


def change(windows: Tensor, factors: Tensor) -> Tensor:
    """Change the pictures of windows.

    The formulas are those of torchvision's ``adjust_brightness``, ``adjust_contrast`` and
    ``adjust_saturation``, one after the other; the mean that contrast is measured from is the
    window's, so that all its frames are changed alike.

    Args:
        windows: (B, W, H, H, 3) uint8.
        factors: (B, 3) of brightness, contrast and saturation.

    Returns:
        (B, W, H, H, 3) uint8.
    """
    brightness, contrast, saturation = factors.view(-1, 3, 1, 1, 1, 1).unbind(1)  # (B, 1, 1, 1, 1)
    pictures = (windows.float() * brightness).clamp(0, 255)
    mean = _gray(pictures).mean(dim=(1, 2, 3, 4), keepdim=True)
    pictures = (contrast * pictures + (1 - contrast) * mean).clamp(0, 255)
    pictures = (saturation * pictures + (1 - saturation) * _gray(pictures)).clamp(0, 255)
    return pictures.round().to(torch.uint8)


def _gray(pictures: Tensor) -> Tensor:
    """Return the luma (…, 1) of pictures (…, 3)."""
    return (pictures * pictures.new_tensor(LUMA)).sum(dim=-1, keepdim=True)
