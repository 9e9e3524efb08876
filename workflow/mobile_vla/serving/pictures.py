"""Decode a camera's pictures, within bounds of time and memory, and refuse damaged ones.

A picture's structure is checked here before Pillow sees it: what it costs to decode follows from
what it says of itself, and Pillow does not tell what libjpeg only warns of.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mobile_vla.serving.orientation import TURNS, orientation_of

MAX_PIXELS = 1 << 24  # 4096×4096: 50 MB unpacked
MAX_PARTS = 4096  # of a file: segments of a JPEG, chunks of a PNG
MAX_INTERVALS = 512  # between restarts; each is decoded by itself, too
MAX_SIDE = 65500  # pixels of a side that libjpeg decodes

JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"

# Markers of JPEG (ITU-T T.81, table B.1).
SEQUENTIAL = (0xC0, 0xC1)  # one pass, Huffman coded
OTHER_FRAMES = (0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
TABLES = (0xC4, 0xDB, 0xDD)
RESTARTS = b"\xff\xdd"
EXIF, ADOBE, JFIF = 0xE1, 0xEE, 0xE0
START_OF_SCAN, END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.S)  # what ends entropy-coded data
_RESTART = re.compile(rb"\xff([\xd0-\xd7])", re.S)

# Ones are no Huffman code: decoding them takes 16 bits or more each, so that these do for the
# decoder's look-ahead of 57 bits, and not for one of the three colours of a missing block.
_NO_CODE = b"\xff\x00" * 9

EXPECTED = "expected a whole baseline JPEG or PNG"


class Unusable(ValueError):  # noqa: N818  (it is the picture that is)
    """What a client sent cannot be used; the message says why."""


@dataclass(frozen=True)
class Layout:
    """What a picture says of itself before it is decoded."""

    kind: str
    """``JPEG`` or ``PNG``."""
    width: int
    height: int
    orientation: int
    """That of EXIF, from 1 to 8."""
    parts: tuple[bytes, ...]
    """What is given to the decoder, in turn. It has to ask for all of it, and for no more."""
    intervals: tuple[tuple[bytes, ...], ...] = ()
    """Of a JPEG with restarts, as ``parts``, what stands before each restart as its own picture:
    after a restart a decoder goes on as if nothing had been wrong before."""


def decode(data: bytes) -> np.ndarray:
    """Decode a baseline JPEG or a PNG to (H, W, 3) uint8, RGB, upright by its EXIF orientation.

    Raises:
        Unusable: it is no whole picture of these kinds, is too large, or has no three colours.
    """
    return decode_layout(layout_of(data))


def decode_layout(layout: Layout) -> np.ndarray:
    """Decode a picture whose structure was checked; as :func:`decode`."""
    try:
        for parts in layout.intervals:
            _load("JPEG", parts)
        picture = _load(layout.kind, layout.parts)
    except Unusable:
        raise
    # Pillow's exceptions for damaged pictures depend on the damaged byte.
    except Exception as error:
        raise Unusable(f"found a damaged picture ({error}); {EXPECTED}") from None
    if layout.orientation in TURNS:
        picture = picture.transpose(TURNS[layout.orientation])
    return np.asarray(picture)


def _load(kind: str, parts: tuple[bytes, ...]) -> Image.Image:
    """Decode a picture whose decoder has to ask for all parts, and for no more."""
    stream = _Parts(parts)
    with Image.open(stream, formats=(kind,)) as picture:
        if picture.mode != "RGB":
            raise Unusable(f"found a picture in {picture.mode!r}, expected RGB colours")
        check_size(picture.width, picture.height)
        stream.decoding = kind == "JPEG"
        picture.load()
        if stream.decoding and stream.parts:
            raise Unusable(f"found a damaged picture (data are left over); {EXPECTED}")
        return picture


def layout_of(data: bytes) -> Layout:
    """Check a picture's structure, in a time that does not depend on what is in it.

    Raises:
        Unusable: it is no picture of these kinds, or is damaged or too large.
    """
    try:
        if data.startswith(JPEG_START):
            return _jpeg(data)
        if data.startswith(PNG_START):
            return _png(data)
    except Unusable:
        raise
    except (struct.error, LookupError, ArithmeticError, ValueError):
        raise Unusable(f"found a picture that is cut off; {EXPECTED}") from None
    raise Unusable(f"found no picture; {EXPECTED}")


def unpack(data: bytes, width: int, height: int) -> np.ndarray:
    """Read a raw picture, rows from top to bottom, three bytes a pixel, as (H, W, 3) uint8.

    Raises:
        Unusable: these are not as many bytes.
    """
    check_size(width, height)
    if len(data) != height * width * 3:
        raise Unusable(
            f"found {len(data)} bytes, expected {height * width * 3} for {width}×{height} pixels "
            "of 3 bytes"
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3)


def check_size(width: int, height: int) -> None:
    """Refuse a picture that would take too much memory.

    Raises:
        Unusable: it has no pixels, or more than :data:`MAX_PIXELS`.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise Unusable(f"found {width}×{height} pixels, expected 1 to {MAX_PIXELS:,} in all")


class _Parts(io.BytesIO):
    """A JPEG file of which the decoder gets one part after the other, each when it asks."""

    def __init__(self, parts: tuple[bytes, ...]):
        super().__init__(b"".join(parts))
        self.parts = list(parts)
        self.decoding = False

    def read(self, size: int | None = -1) -> bytes:
        """Read the next part, whatever its size; before decoding, as any file."""
        if not self.decoding:
            return super().read(size)
        return self.parts.pop(0) if self.parts else b""


def _jpeg(data: bytes) -> Layout:
    kept: list[bytes] = [data[:2]]
    frame: bytes | None = None
    orientation, interval, place = 1, 0, 2
    for _ in range(MAX_PARTS):
        if data[place] != 0xFF:
            raise Unusable(f"found a damaged picture (no marker at byte {place}); {EXPECTED}")
        marker = data[place + 1]
        if marker == 0xFF:  # a marker may have several of these before it
            place += 1
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        segment = data[place : place + 2 + length]
        place += 2 + length
        if length < 2 or place > len(data):
            raise Unusable(f"found a picture that is cut off; {EXPECTED}")
        if marker in OTHER_FRAMES:
            raise Unusable(f"found a progressive JPEG, or another rare kind; {EXPECTED}")
        if marker in SEQUENTIAL:
            if frame is not None:
                raise Unusable(f"found a JPEG with two pictures; {EXPECTED}")
            height, width = struct.unpack_from(">HH", segment, 5)
            check_size(width, height)
            frame = segment
        if marker == 0xDD:
            (interval,) = struct.unpack_from(">H", segment, 4)
        if marker == EXIF and segment[4:10] == b"Exif\0\0":
            orientation = orientation_of(segment[10:])
        # Others, such as thumbnails and colour profiles, change no pixel and are not parsed.
        if marker in (*SEQUENTIAL, *TABLES, START_OF_SCAN, ADOBE, JFIF):
            kept.append(segment)
        if marker == START_OF_SCAN:
            break
    else:
        raise Unusable(f"found a JPEG of more than {MAX_PARTS} segments; {EXPECTED}")
    if frame is None:
        raise Unusable(f"found a JPEG without a size; {EXPECTED}")
    found = _MARKER.search(data, place)
    if found is None:
        raise Unusable(f"found a picture that is cut off; {EXPECTED}")
    if segment[4] != frame[9] or found[1][0] != END:
        raise Unusable(f"found a JPEG in several scans, or a damaged one; {EXPECTED}")
    height, width = struct.unpack_from(">HH", frame, 5)
    scan = data[place : found.start()]
    intervals = _intervals(kept, frame, scan, interval) if interval else ()
    if not interval and _RESTART.search(scan):
        raise Unusable(f"found a damaged picture (restart markers); {EXPECTED}")
    parts = _watched(b"".join(kept), scan)
    return Layout("JPEG", width, height, orientation, parts, intervals)


def _watched(head: bytes, scan: bytes) -> tuple[bytes, ...]:
    """Return the parts of a JPEG that show whether its data give all pixels and nothing is left.

    Without the last byte the decoder must not have all pixels; with it, and no code, it must.
    """
    return head + scan[:-1], scan[-1:] + _NO_CODE


def _intervals(
    kept: list[bytes], frame: bytes, scan: bytes, interval: int
) -> tuple[tuple[bytes, ...], ...]:
    """Return all restart intervals but the last, each as a picture (T.81, E.1.4).

    Raises:
        Unusable: a restart marker is missing, or is not in its turn; or there are too many.
    """
    height, width, count = struct.unpack_from(">HHB", frame, 5)
    sampling = frame[11 : 10 + 3 * count : 3]
    across = 8 * max(one >> 4 for one in sampling)  # pixels of a unit of all colours
    down = 8 * max(one & 15 for one in sampling)
    units = math.ceil(width / across) * math.ceil(height / down)
    found = list(_RESTART.finditer(scan))
    expected = math.ceil(units / interval) - 1
    if [one[1][0] for one in found] != [0xD0 + turn % 8 for turn in range(expected)]:
        raise Unusable(f"found a damaged picture (restart markers); {EXPECTED}")
    rows = math.ceil(interval * across / MAX_SIDE)
    if not found:
        return ()
    if len(found) > MAX_INTERVALS or interval % rows:
        raise Unusable(
            f"found a JPEG of {expected + 1} restart intervals of {interval} units, expected at "
            f"most {MAX_INTERVALS + 1}; {EXPECTED}"
        )
    size = struct.pack(">HH", rows * down, interval // rows * across)
    head = b"".join(
        frame[:5] + size + frame[9:] if one is frame else one for one in kept if one[:2] != RESTARTS
    )
    places = [0, *(one.end() for one in found)]
    return tuple(
        _watched(head, scan[first : one.start()]) for first, one in zip(places[:-1], found)
    )


def _png(data: bytes) -> Layout:
    """Check the chunks of a PNG, each with its checksum (PNG specification, section 5)."""
    place, orientation, size = len(PNG_START), 1, (0, 0)
    kept = [PNG_START]
    for _ in range(MAX_PARTS):
        length, name = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, place + 8 + length)
        if zlib.crc32(content, zlib.crc32(name)) != checksum:
            raise Unusable(f"found a damaged picture (chunk {name!r}); {EXPECTED}")
        if name == b"IHDR":
            width, height = struct.unpack_from(">II", content)
            check_size(width, height)
            size = (width, height)
        elif name == b"eXIf":
            orientation = orientation_of(content)
        if name[:1].isupper():  # others, such as texts and thumbnails, change no pixel
            kept.append(data[place : place + 12 + length])
        if name == b"IEND":
            if size == (0, 0):
                raise Unusable(f"found a PNG without a size; {EXPECTED}")
            return Layout("PNG", size[0], size[1], orientation, (b"".join(kept),))
        place += 12 + length
    raise Unusable(f"found a PNG of more than {MAX_PARTS} chunks; {EXPECTED}")
