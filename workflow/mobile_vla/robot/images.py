"""Convert a camera's pictures to the frames that a policy takes."""

from __future__ import annotations

import numpy as np

from mobile_vla.config.ingest import Color, Images
from mobile_vla.ingest.resize import to_frame


def frame_of(image: np.ndarray, images: Images, color: Color = "rgb") -> np.ndarray:
    """Make a frame, (224, 224, 3) RGB, as in training, of an image with its order of colours."""
    # a copy, because torch takes no array that is read-only, as Pillow's are
    return np.array(to_frame(image, images.model_copy(update={"color": color})))
