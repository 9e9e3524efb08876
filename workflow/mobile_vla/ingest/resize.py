"""Resize raw images to frames."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mobile_vla.config.ingest import Images
from mobile_vla.conventions import FRAME_SIZE


def to_frame(image: np.ndarray, images: Images) -> np.ndarray:
    """Convert a raw image (H, W, 3) uint8 to a frame (224, 224, 3) uint8, RGB.

    Resizing is Pillow's bicubic with antialiasing, as in Kosmos-2's image processor. ``crop``
    follows that processor: the short side becomes 224, then the centre is kept.
    """
    picture = Image.fromarray(image)
    if images.resize == "squeeze":
        picture = picture.resize((FRAME_SIZE, FRAME_SIZE), Image.Resampling.BICUBIC)
    else:
        short = min(picture.size)
        width, height = (FRAME_SIZE * side // short for side in picture.size)
        left, top = (width - FRAME_SIZE) // 2, (height - FRAME_SIZE) // 2
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        picture = picture.crop((left, top, left + FRAME_SIZE, top + FRAME_SIZE))
    frame = np.asarray(picture)  # (224, 224, 3)
    # Channels are resized independently: swapping them afterwards gives the same, in less time.
    return np.ascontiguousarray(frame[..., ::-1]) if images.color == "bgr" else frame
