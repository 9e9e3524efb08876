"""Set pictures upright by their EXIF orientation, on the robot as when episodes are read."""

from __future__ import annotations

import struct

from PIL import Image

MAX_ENTRIES = 256  # of an EXIF directory
EXIF = b"Exif\0\0"
"""What EXIF data begin with as Pillow keeps them."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture upright, by its EXIF orientation."""
SIDEWAYS = (5, 6, 7, 8)
"""Those of pictures whose height is the width of what was seen."""


def upright(picture: Image.Image) -> Image.Image:
    """Return a picture as it was seen."""
    orientation = orientation_in(picture)
    return picture.transpose(TURNS[orientation]) if orientation in TURNS else picture


def orientation_in(picture: Image.Image) -> int:
    """Return the orientation of a picture that Pillow has opened, from 1 to 8."""
    exif = bytes(picture.info.get("exif", b""))
    return orientation_of(exif[len(EXIF) :] if exif.startswith(EXIF) else exif)


def orientation_of(exif: bytes) -> int:
    """Read the orientation, from 1 to 8, of EXIF data; 1 where there is none (CIPA DC-008, 4.6.2).

    It is the tag 0x0112 of the first directory, one short integer.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (place,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, place)
        for entry in range(min(count, MAX_ENTRIES)):
            tag, kind, many = struct.unpack_from(order + "HHI", exif, place + 2 + 12 * entry)
            if (tag, kind, many) == (0x0112, 3, 1):
                (value,) = struct.unpack_from(order + "H", exif, place + 10 + 12 * entry)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
