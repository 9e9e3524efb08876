"""Check an episode against the HDF5 contract, and read all of it but the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import h5py
import numpy as np

from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.ingest.chunks import check_storage
from mobile_vla.ingest.isolation import Announce
from mobile_vla.ingest.machine import bounded_memory
from mobile_vla.ingest.rawfile import IMAGES, Rejected, find, reading, rejection
from mobile_vla.ingest.result import Defect

ACTIONS = "actions"
EVENT_TYPES = "action_event_types"
INSTRUCTION = "language_instruction"

MAX_FRAMES = 100_000
MAX_SIDE = 8192  # pixels; one such image takes 200 MB
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_BYTES = 1 << 20  # of one that is read
MAX_TEXT_BYTES = 4096  # of an entry of fixed length; the collector's instruction has 256
TEXTS_AT_A_TIME = 1000
MAX_TEXT = 1000  # characters of an attribute or instruction that are kept
MAX_VALUES = 100  # entries of an attribute's array that are kept

RECORD_AGAIN = "record the episode again, or leave it out of the folder"

T = TypeVar("T")


@dataclass
class RawEpisode:
    """All of an episode but its images; the defaults are those of a rejected one."""

    place: str = ""
    """Path in the file of the images, (T, H, W, 3) uint8."""
    shape: tuple[int, int, int] | None = None
    """(H, W, 3) of the images."""
    actions: np.ndarray = field(
        default_factory=lambda: np.zeros((0, len(ACTION_COLUMNS)), dtype=np.float32)
    )
    """(T, 3) float32, raw command units."""
    event_types: list[str] | None = None
    """(T,); None where the file has none, as older ones."""
    instruction: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    """The file's attributes as plain JSON values."""


def read_episode(file: h5py.File, announce: Announce) -> RawEpisode:
    """Check an episode against the contract and read all of it but the images.

    Each part is announced before it is read.

    Raises:
        Rejected: with every breach of the contract.
        MachineError: a part could not be read for a reason outside of the file.
    """
    defects: list[Defect] = []
    size = file.id.get_filesize()

    def part(place: str, read: Callable[[h5py.File], T]) -> T | None:
        announce(place)
        try:
            with reading(place), bounded_memory(size):
                return read(file)
        except Rejected as rejected:
            defects.extend(rejected.defects)
            return None

    images = part(IMAGES[0], _images)
    actions = part(ACTIONS, _actions)
    event_types = part(EVENT_TYPES, _event_types)
    instruction = part(INSTRUCTION, _instruction)
    attributes = part("attributes", _attributes)
    if images is not None:
        place, (frames, height, width) = images
        for name, values in ((ACTIONS, actions), (EVENT_TYPES, event_types)):
            if values is not None and len(values) != frames:
                found = f"{len(values)} entries for {frames} frames in {place}"
                unequal = rejection(
                    "unequal_length", name, found, "one entry a frame", RECORD_AGAIN
                )
                defects += unequal.defects
    if defects or images is None or actions is None:
        raise Rejected(*defects)
    shape = (height, width, 3)
    return RawEpisode(place, shape, actions, event_types, instruction, attributes or {})


def _missing(place: str, expected: str) -> Rejected:
    return rejection("missing_dataset", place, "no such dataset", expected, RECORD_AGAIN)


def _wrong(code: str, place: str, found: Any, expected: str) -> Rejected:
    return rejection(code, place, f"{found}", expected, "store it as the contract says")


def _images(file: h5py.File) -> tuple[str, tuple[int, int, int]]:
    for place in IMAGES:
        dataset = find(file, place)
        if dataset is not None:
            break
    else:
        raise _missing(IMAGES[0], f"images (T, H, W, 3) uint8, or {IMAGES[1]}")
    shape = dataset.shape
    if shape is None or len(shape) != 4 or shape[3] != 3 or 0 in shape[1:]:
        raise _wrong("wrong_shape", place, shape, "(T, H, W, 3)")
    if dataset.dtype != np.uint8:
        raise _wrong("wrong_dtype", place, dataset.dtype, "uint8, values 0 to 255")
    _check_length(shape[0], place)
    if max(shape[1:3]) > MAX_SIDE:
        limit = f"at most {MAX_SIDE} pixels a side"
        raise _wrong("absurd_size", place, f"{shape[1]}×{shape[2]} pixels", limit)
    check_storage(dataset, place, decode_later=True)
    return place, shape[:3]


def _check_length(frames: int, place: str) -> None:
    if frames == 0:
        raise rejection("no_frames", place, "T = 0", "at least one frame", RECORD_AGAIN)
    if frames > MAX_FRAMES:
        limit = f"at most {MAX_FRAMES:,} frames"
        raise _wrong("absurd_size", place, f"{frames:,} frames declared", limit)


def _actions(file: h5py.File) -> np.ndarray:
    dataset = find(file, ACTIONS)
    if dataset is None:
        raise _missing(ACTIONS, "actions (T, 3) float32")
    shape = dataset.shape
    if shape is None or len(shape) != 2 or shape[1] != len(ACTION_COLUMNS):
        raise _wrong("wrong_shape", ACTIONS, shape, f"(T, 3): {', '.join(ACTION_COLUMNS)}")
    if dataset.dtype.kind != "f":
        raise _wrong("wrong_dtype", ACTIONS, dataset.dtype, "float32")
    _check_length(shape[0], ACTIONS)
    check_storage(dataset, ACTIONS)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, reported below
        actions = dataset[()].astype(np.float32)  # (T, 3)
    bad = np.argwhere(~np.isfinite(actions))
    if len(bad):
        row, column = map(int, bad[0])
        found = f"{actions[row, column]}" + (f", and {len(bad) - 1} more" if len(bad) > 1 else "")
        place = f"{ACTIONS}, row {row}, {ACTION_COLUMNS[column]}"
        raise rejection("not_finite", place, found, "finite numbers", RECORD_AGAIN)
    return actions


def _event_types(file: h5py.File) -> list[str] | None:
    dataset = find(file, EVENT_TYPES)
    if dataset is None:
        return None
    if dataset.shape is None or len(dataset.shape) != 1:
        raise _wrong("wrong_shape", EVENT_TYPES, dataset.shape, "(T,)")
    _check_text(dataset, EVENT_TYPES, "strings")
    length = dataset.shape[0]
    if length:
        _check_length(length, EVENT_TYPES)
        check_storage(dataset, EVENT_TYPES)
    return [
        _text(value)
        for first in range(0, length, TEXTS_AT_A_TIME)
        for value in dataset[first : first + TEXTS_AT_A_TIME]
    ]


def _instruction(file: h5py.File) -> str | None:
    dataset = find(file, INSTRUCTION)
    if dataset is None:
        return None
    if dataset.shape not in ((), (1,)):
        raise _wrong("wrong_shape", INSTRUCTION, dataset.shape, "(1,)")
    _check_text(dataset, INSTRUCTION, "a string, such as S256")
    check_storage(dataset, INSTRUCTION)
    value = dataset[()]
    return _text(value[0] if dataset.shape else value).strip() or None


def _check_text(dataset: h5py.Dataset, place: str, expected: str) -> None:
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise _wrong("wrong_dtype", place, dataset.dtype, expected)
    size = dataset.dtype.itemsize
    if size > MAX_TEXT_BYTES:
        limit = f"at most {MAX_TEXT_BYTES:,} bytes each"
        raise _wrong("absurd_size", place, f"texts of {size:,} bytes", limit)


def _text(value: Any) -> str:
    text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
    # JSON cannot hold surrogates and nulls.
    return text.encode("utf-8", errors="replace").decode().rstrip("\0")[:MAX_TEXT]


def _attributes(file: h5py.File) -> dict[str, Any]:
    names = sorted(file.attrs)[:MAX_ATTRIBUTES]
    read = {}
    for name in names:
        stored = file.attrs.get_id(name)
        size = stored.get_space().get_simple_extent_npoints() * stored.get_type().get_size()
        large = size > MAX_ATTRIBUTE_BYTES
        read[_text(name)] = f"{size:,} bytes, not read" if large else _plain(file.attrs[name])
    return read


def _plain(value: Any) -> Any:
    """Return an attribute as a JSON value; types that JSON lacks become text."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.ravel()[:MAX_VALUES]]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else str(value)
    return _text(value)
