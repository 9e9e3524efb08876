"""Convert a camera's pictures, encoded or raw, to the frames that a policy takes."""

from __future__ import annotations

import io
import struct
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from mobile_vla.config.ingest import Images
from mobile_vla.errors import UserError
from mobile_vla.ingest.resize import to_frame

FORMATS = ("JPEG", "PNG")
MAX_PIXELS = 1 << 24  # 4096×4096: 50 MB unpacked

# Pillow's exceptions for damaged pictures, depending on the damaged byte.
DAMAGED = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, struct.error)

Color = Literal["rgb", "bgr"]


def decode(data: bytes) -> np.ndarray:
    """Decode a JPEG or PNG picture to (H, W, 3) uint8, RGB.

    Raises:
        UserError: it is no whole picture of these kinds, is too large, or has no three colours.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_size(picture.width, picture.height)  # from the header: nothing is unpacked yet
            if picture.mode != "RGB":
                raise UserError(f"found a picture in {picture.mode!r}, expected RGB colours")
            return np.asarray(picture)
    except UnidentifiedImageError:
        raise UserError("found no picture, expected JPEG or PNG") from None
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise UserError(f"found a damaged picture ({error}), expected JPEG or PNG") from None


def unpack(data: bytes, width: int, height: int) -> np.ndarray:
    """Read a raw picture, rows from top to bottom, three bytes a pixel, as (H, W, 3) uint8.

    Raises:
        UserError: these are not as many bytes.
    """
    _check_size(width, height)
    if len(data) != height * width * 3:
        raise UserError(
            f"found {len(data)} bytes, expected {height * width * 3} for {width}×{height} pixels "
            "of 3 bytes"
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3)


def frame_of(image: np.ndarray, images: Images, color: Color = "rgb") -> np.ndarray:
    """Make a frame, (224, 224, 3) RGB, as in training, of an image with its order of colours."""
    # a copy, because torch takes no array that is read-only, as Pillow's are
    return np.array(to_frame(image, images.model_copy(update={"color": color})))


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise UserError(f"found {width}×{height} pixels, expected 1 to {MAX_PIXELS:,} in all")
