"""Check an episode against the HDF5 contract, and read all of it but the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.ingest.attributes import attribute_names, read_attribute
from mobile_vla.ingest.chunks import check_storage
from mobile_vla.ingest.encoded import format_of, may_be_encoded, size_of
from mobile_vla.ingest.isolation import Announce
from mobile_vla.ingest.machine import MEMORY, bounded_memory
from mobile_vla.ingest.number_types import is_standard, mantissa_of, type_of
from mobile_vla.ingest.rawfile import IMAGES, Rejected, find, left_open, reading, rejection
from mobile_vla.ingest.result import Defect
from mobile_vla.ingest.texts import (
    EVENT_TYPES,
    INSTRUCTION,
    plain_text,
    read_event_types,
    read_instruction,
)

ACTIONS = "actions"
IMAGES_EXPECTED = "(T, H, W, 3) uint8, or T JPEG or PNG files"
MAX_FRAMES = 100_000
MAX_SIDE = 8192  # pixels; one such image takes 200 MB
EXACT_BITS = 10  # of a float's mantissa: a half has as many, and 1.15 to a thousandth

DAMAGE = ("unreadable", "damaged_index", "unknown_filter")
"""What makes an episode doubtful even where it stands in a text that is not needed."""

RECORD_AGAIN = "record the episode again, or leave it out of the folder"

T = TypeVar("T")


@dataclass
class RawEpisode:
    """All of an episode but its images; the defaults are those of a rejected one."""

    place: str = ""
    """Path in the file of the images, (T, H, W, 3) uint8 or T files."""
    shape: tuple[int, int, int] | None = None
    """(H, W, 3) of the images."""
    actions: np.ndarray = field(
        default_factory=lambda: np.zeros((0, len(ACTION_COLUMNS)), dtype=np.float32)
    )
    """(T, 3) float32, command units."""
    event_types: list[str] | None = None
    """(T,); None where the file has none, as older ones."""
    instruction: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    """The file's attributes as plain JSON values."""
    notes: list[Defect] = field(default_factory=list)
    """What is odd and leaves the episode usable."""


def read_episode(file: h5py.File, announce: Announce) -> RawEpisode:
    """Check an episode against the contract and read all of it but the images.

    Each part is announced before it is read.

    Raises:
        Rejected: with every breach of the contract.
        MachineError: a part could not be read for a reason outside of the file.
    """
    defects: list[Defect] = []
    notes: list[Defect] = []
    size = file.id.get_filesize()
    if file.swmr_mode:
        notes += left_open(Path(file.filename), "left_open").defects

    def part(place: str, read: Callable[..., T], *given: str, unclear: str | None = "") -> T | None:
        """Read a part; what is not clear becomes a note of that code, with None nothing at all."""
        announce(place)
        try:
            with reading(place), bounded_memory(size):
                return read(file, *given)
        except Rejected as rejected:
            for defect in rejected.defects:
                if unclear == "" or defect.code in DAMAGE:
                    defects.append(defect)
                elif unclear is not None:
                    notes.append(defect.model_copy(update={"code": unclear}))
            return None

    images = part(IMAGES[0], _images)
    if images is not None:
        part(images[0], _stored_as_files, unclear="encoded_images")
    actions = part(ACTIONS, _actions)
    if actions is not None:
        part(ACTIONS, _rounded, unclear="actions_rounded")
    event_types = part(EVENT_TYPES, read_event_types, unclear="unclear_events")
    instruction = part(INSTRUCTION, read_instruction, unclear="unclear_instruction")
    attributes: dict[str, Any] = {}
    for name in part("attributes", attribute_names) or ():
        value = part(f"attribute {plain_text(name)}", read_attribute, name, unclear=None)
        kept = f"more than {MEMORY:,} bytes, not read" if value is None else value
        attributes[plain_text(name)] = kept
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
    return RawEpisode(place, shape, actions, event_types, instruction, attributes, notes)


def _missing(place: str, expected: str) -> Rejected:
    return rejection("missing_dataset", place, "no such dataset", expected, RECORD_AGAIN)


def _wrong(code: str, place: str, found: Any, expected: str) -> Rejected:
    return rejection(code, place, f"{found}", expected, "store it as the contract says")


def _check_type(dataset: h5py.Dataset, place: str, kind: type[np.generic], expected: str) -> None:
    """Refuse another kind of numbers, and numbers in a format that nobody writes."""
    if not np.issubdtype(dataset.dtype, kind):
        raise _wrong("wrong_dtype", place, type_of(dataset), expected)
    if not is_standard(dataset):
        remedy = "copy the file again, if the original is whole; else record the episode again"
        raise rejection("wrong_dtype", place, type_of(dataset), expected, remedy)


def _images(file: h5py.File) -> tuple[str, tuple[int, int, int]]:
    for place in IMAGES:
        dataset = find(file, place)
        if dataset is not None:
            break
    else:
        raise _missing(IMAGES[0], f"images (T, H, W, 3) uint8, or {IMAGES[1]}")
    shape = dataset.shape
    if may_be_encoded(dataset):
        return place, _encoded(dataset, place)
    if shape is None or len(shape) != 4 or shape[3] != 3 or 0 in shape[1:]:
        raise _wrong("wrong_shape", place, shape, IMAGES_EXPECTED)
    _check_type(dataset, place, np.uint8, "uint8, values 0 to 255")
    _check_length(shape[0], place)
    if max(shape[1:3]) > MAX_SIDE:
        limit = f"at most {MAX_SIDE} pixels a side"
        raise _wrong("absurd_size", place, f"{shape[1]}×{shape[2]} pixels", limit)
    check_storage(dataset, place, decode_later=True)
    return place, shape[:3]


def _encoded(dataset: h5py.Dataset, place: str) -> tuple[int, int, int]:
    """Return T, H and W of images that are stored as files, by the first of them."""
    _check_length(dataset.shape[0], place)
    check_storage(dataset, place, decode_later=True)
    first = dataset[0]
    if format_of(first) is None:
        raise _wrong("wrong_shape", place, f"{dataset.shape} {dataset.dtype}", IMAGES_EXPECTED)
    return dataset.shape[0], *size_of(first, f"{place}, frame 0")


def _stored_as_files(file: h5py.File) -> None:
    """Note images that are stored as files."""
    place = next(place for place in IMAGES if find(file, place) is not None)
    dataset = file[place]
    if may_be_encoded(dataset):
        kind = format_of(dataset[0])
        found = f"{kind} files, which are decoded"
        remedy = "nothing, if their colours are as `images.color` says"
        raise rejection("encoded", place, found, "(T, H, W, 3) uint8", remedy)


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
    _check_type(dataset, ACTIONS, np.floating, "float32")
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


def _rounded(file: h5py.File) -> None:
    """Note actions that are stored with too few digits; HDF5 converts them to float32 exactly."""
    dataset = find(file, ACTIONS)
    if dataset is None or dataset.dtype.kind != "f":
        return
    mantissa = mantissa_of(dataset)
    if mantissa < EXACT_BITS:
        found = f"{type_of(dataset)}: 1.15 is stored as {_nearest(1.15, mantissa):g}"
        remedy = "store float32 in the collector; what was rounded off is lost"
        raise rejection("rounded", ACTIONS, found, "float32", remedy)


def _nearest(value: float, mantissa: int) -> float:
    """Return the number nearest to one in [1, 2) that so many bits of mantissa can hold."""
    return round(value * 2**mantissa) / 2**mantissa
