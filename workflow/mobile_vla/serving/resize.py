"""Resize images to frames, on the robot as when episodes are read."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 224  # pixels of a frame's sides


def to_frame(image: np.ndarray, resize: str, color: str) -> np.ndarray:
    """Make a frame (224, 224, 3) uint8, RGB, of an image (H, W, 3) uint8.

    Resizing is Pillow's bicubic with antialiasing, as in Kosmos-2's image processor. ``crop``
    follows that processor: the short side becomes 224, then the centre is kept.

    Args:
        resize: ``squeeze`` the whole image, or ``crop`` its centre.
        color: order of the image's colours, ``rgb`` or ``bgr``.
    """
    picture = Image.fromarray(image)
    if resize == "squeeze":
        picture = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    else:
        short = min(picture.size)
        width, height = (SIDE * side // short for side in picture.size)
        left, top = (width - SIDE) // 2, (height - SIDE) // 2
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        picture = picture.crop((left, top, left + SIDE, top + SIDE))
    frame = np.asarray(picture)  # (224, 224, 3)
    # Channels are resized independently: swapping them afterwards gives the same, in less time.
    return np.ascontiguousarray(frame[..., ::-1]) if color == "bgr" else frame
