"""Apply a dataset's image settings. ``serving/resize.py`` resizes, here as on the robot."""

from __future__ import annotations

import numpy as np

from mobile_vla.config.ingest import Images
from mobile_vla.serving import resize


def to_frame(image: np.ndarray, images: Images) -> np.ndarray:
    """Convert a raw image (H, W, 3) uint8 to a frame (224, 224, 3) uint8, RGB.

    An order of colours that is not settled counts as RGB.
    """
    return resize.to_frame(image, images.resize, images.color or "rgb")
