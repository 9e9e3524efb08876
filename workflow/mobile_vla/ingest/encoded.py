"""Decode images that are stored as JPEG or PNG files, a file a frame.

As ALOHA, RoboMIND and others store them: bytes of any length, or padded to a common one.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from PIL import Image

from mobile_vla.ingest.machine import bounded_memory, from_machine
from mobile_vla.ingest.rawfile import Rejected, one_line, reading, rejection
from mobile_vla.sentence import say

SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG"}
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
MAX_PIXELS = (64 << 20) // 3  # of an image: decoded it takes as much as chunks may
MODES = ("RGB", "L", "P", "RGBA")


def may_be_encoded(dataset: h5py.Dataset) -> bool:
    """Whether a dataset has the form of T files: (T,) bytes, or (T, N) uint8."""
    kind, shape = dataset.dtype, dataset.shape
    if kind.kind in "ui" and kind.itemsize == 1:
        return shape is not None and len(shape) == 2
    of_any_length = h5py.check_vlen_dtype(kind)
    return (
        shape is not None
        and len(shape) == 1
        and (
            (of_any_length is not None and np.dtype(of_any_length).itemsize == 1)
            or h5py.check_string_dtype(kind) is not None
            or (kind.kind == "V" and kind.names is None)
        )
    )


def format_of(stored: Any) -> str | None:
    """Return the format of a file's bytes by their beginning; None for another one."""
    head = _bytes_of(stored)[:8]
    return next((name for start, name in SIGNATURES.items() if head.startswith(start)), None)


def read_stored(dataset: h5py.Dataset, first: int, last: int, place: str) -> np.ndarray:
    """Return the files of some frames, (last - first, …), in bounded memory.

    Raises:
        Rejected: they cannot be read.
        MachineError: the machine could not read them.
    """
    with reading(place), bounded_memory(dataset.file.id.get_filesize()):
        return dataset[first:last]


def read_image(dataset: h5py.Dataset, frame: int) -> np.ndarray:
    """Return a frame's image (H, W, 3) uint8, whether it is stored as a file or not."""
    if len(dataset.shape) == 4:
        return dataset[frame]
    return decode(dataset[frame], f"{dataset.name.strip('/')}, frame {frame}")


def size_of(stored: Any, place: str) -> tuple[int, int]:
    """Return height and width of the image in a file, which is not decoded."""
    return _opened(stored, place, lambda picture: (picture.height, picture.width))


def decode(stored: Any, place: str) -> np.ndarray:
    """Return the image in a file, (H, W, 3) uint8 in the file's order of colours.

    Raises:
        Rejected: it is damaged, too large, or has other values than 8 bits a colour.
    """
    return _opened(stored, place, lambda picture: np.asarray(picture.convert("RGB")))


def _opened(stored: Any, place: str, read: Callable[[Image.Image], Any]) -> Any:
    content = _bytes_of(stored)
    expected = say("a whole JPEG or PNG file")
    kind = format_of(content)
    if kind is None:
        found = say(
            "{n:,} bytes that begin with `{start}`",
            n=len(content),
            start=content[:8].hex(" "),
        )
        raise rejection("damaged_chunk", place, found, expected)
    # Behind a cut the decoder would fill up the image with grey.
    if ENDS[kind] not in content:
        raise rejection(
            "damaged_chunk", place, say("a {kind} file without its end", kind=kind), expected
        )
    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                found = say(
                    "{kind} file of {height}×{width} pixels",
                    kind=kind,
                    height=picture.height,
                    width=picture.width,
                )
                limit = say("at most {most:,} pixels", most=MAX_PIXELS)
                raise rejection("absurd_size", place, found, limit, say("store smaller images"))
            if picture.mode not in MODES or not _opaque(picture):
                found = say(
                    "{kind} file with pixels of the kind {mode}", kind=kind, mode=picture.mode
                )
                expected, remedy = (
                    say("red, green and blue of 8 bits"),
                    say("store the camera's images"),
                )
                raise rejection("wrong_dtype", place, found, expected, remedy)
            return read(picture)
    except Rejected:
        raise
    except Exception as error:  # Pillow's decoders raise what they like
        if from_machine(error):
            raise
        found = say(
            "a {kind} file that cannot be decoded: {error}", kind=kind, error=one_line(error)
        )
        raise rejection("damaged_chunk", place, found, expected) from None


def _opaque(picture: Image.Image) -> bool:
    if picture.mode != "RGBA":
        return "transparency" not in picture.info
    return picture.getchannel("A").getextrema() == (255, 255)


def _bytes_of(stored: Any) -> bytes:
    """Return a file's bytes, without what pads them."""
    content = stored if isinstance(stored, bytes) else np.asarray(stored).tobytes()
    return content.rstrip(b"\0")
