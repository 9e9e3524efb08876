"""Check an episode against the HDF5 contract, and read all of it but the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.ingest.attributes import (
    attribute_names,
    read_attribute,
    read_instruction_attribute,
)
from mobile_vla.ingest.chunks import check_storage
from mobile_vla.ingest.encoded import format_of, may_be_encoded, size_of
from mobile_vla.ingest.isolation import Announce
from mobile_vla.ingest.machine import MEMORY, bounded_memory
from mobile_vla.ingest.numbers import (
    check_length,
    check_type,
    missing,
    read_actions,
    read_state,
    rounded,
    wrong,
)
from mobile_vla.ingest.places import CORRECT, IMAGES, RECORD_AGAIN, Places
from mobile_vla.ingest.rawfile import Rejected, find, left_open, locate, reading, rejection
from mobile_vla.ingest.result import Defect
from mobile_vla.ingest.texts import plain_text, read_event_types, read_instruction
from mobile_vla.sentence import say, verbatim

IMAGES_EXPECTED = say("(T, H, W, 3) uint8, or T JPEG or PNG files")
MAX_SIDE = 8192  # pixels; one such image takes 200 MB

DAMAGE = ("unreadable", "damaged_index", "unknown_filter")
"""What makes an episode doubtful even where it stands in a text that is not needed."""

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
    state: np.ndarray | None = None
    """(T, S) float32; None where config.yaml says no place of it."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """The attributes of the file or of the episode's group as plain JSON values."""
    notes: list[Defect] = field(default_factory=list)
    """What is odd and leaves the episode usable."""


def read_episode(file: h5py.File, announce: Announce, places: Places | None = None) -> RawEpisode:
    """Check an episode against the contract and read all of it but the images.

    Each part is announced before it is read.

    Args:
        file: the opened file.
        announce: called with each place before it is read.
        places: where the parts stand; None for the collector's layout.

    Raises:
        Rejected: with every breach of the contract.
        MachineError: a part could not be read for a reason outside of the file.
    """
    places = places or Places()
    defects: list[Defect] = []
    notes: list[Defect] = []
    size = file.id.get_filesize()
    if file.swmr_mode:
        notes += left_open(Path(file.filename), "left_open").defects

    def part(place: str, read: Callable[..., T], *given: Any, unclear: str | None = "") -> T | None:
        """Read a part; what is not clear becomes a note of that code, with None nothing at all."""
        announce(place)
        try:
            with reading(place), bounded_memory(size):
                return read(*given)
        except Rejected as rejected:
            for defect in rejected.defects:
                if unclear == "" or defect.code in DAMAGE:
                    defects.append(defect)
                elif unclear is not None:
                    notes.append(defect.model_copy(update={"code": unclear}))
            return None

    holder = part(places.group or "file", _holder, file, places)
    if holder is None:
        raise Rejected(*defects)
    images = part(places.images[0], _images, file, places)
    if images is not None:
        part(images[0], _stored_as_files, file, images[0], unclear="encoded_images")
    commands = "actions" if not isinstance(places.actions, str) else places.actions
    actions = part(commands, read_actions, file, places)
    if actions is not None:
        part(commands, rounded, file, places, unclear="actions_rounded")
    state = part(places.state or "state", read_state, file, places)
    event_types = part(places.events, read_event_types, file, places, unclear="unclear_events")
    read_text = read_instruction_attribute if "@" in places.instruction else read_instruction
    instruction = part(places.instruction, read_text, file, places, unclear="unclear_instruction")
    attributes: dict[str, Any] = {}
    for name in part("attributes", attribute_names, holder) or ():
        at = f"attribute {plain_text(name)}"
        value = part(at, read_attribute, holder, name, unclear=None)
        kept = f"more than {MEMORY:,} bytes, not read" if value is None else value
        attributes[plain_text(name)] = kept
    if images is not None:
        place, (frames, height, width) = images
        for at, values in (
            (commands, actions),
            (places.events, event_types),
            (places.state or "state", state),
        ):
            if values is not None and len(values) != frames:
                found = say(
                    "{entries} entries for {frames} frames in {place}",
                    entries=len(values),
                    frames=frames,
                    place=place,
                )
                remedy = CORRECT if places.is_chosen else RECORD_AGAIN
                unequal = rejection("unequal_length", at, found, say("one entry a frame"), remedy)
                defects += unequal.defects
    if defects or images is None or actions is None:
        raise Rejected(*defects)
    shape = (height, width, 3)
    return RawEpisode(place, shape, actions, event_types, instruction, state, attributes, notes)


def _holder(file: h5py.File, places: Places) -> h5py.Group:
    """Return the group whose attributes are the episode's."""
    found = locate(file, places.group)
    if found is None:
        raise missing(places, places.group, say("the group of an episode"))
    if isinstance(found, h5py.Dataset):
        raise wrong(
            places, "wrong_shape", places.group, say("an array"), say("the group of an episode")
        )
    return found


def _images(file: h5py.File, places: Places) -> tuple[str, tuple[int, int, int]]:
    for place in places.images:
        dataset = find(file, place)
        if dataset is not None:
            break
    else:
        expected = say("images (T, H, W, 3) uint8")
        if not places.is_chosen:
            expected = say("images (T, H, W, 3) uint8, or {other}", other=IMAGES[1])
        raise missing(places, places.images[0], expected)
    shape = dataset.shape
    if may_be_encoded(dataset):
        return place, _encoded(dataset, places, place)
    if shape is None or len(shape) != 4 or shape[3] != 3 or 0 in shape[1:]:
        raise wrong(places, "wrong_shape", place, shape, IMAGES_EXPECTED)
    check_type(dataset, places, place, np.uint8, say("uint8, values 0 to 255"))
    check_length(shape[0], places, place)
    if max(shape[1:3]) > MAX_SIDE:
        limit = say("at most {most} pixels a side", most=MAX_SIDE)
        raise wrong(
            places,
            "absurd_size",
            place,
            say("{height}×{width} pixels", height=shape[1], width=shape[2]),
            limit,
        )
    check_storage(dataset, place, decode_later=True)
    return place, shape[:3]


def _encoded(dataset: h5py.Dataset, places: Places, place: str) -> tuple[int, int, int]:
    """Return T, H and W of images that are stored as files, by the first of them."""
    check_length(dataset.shape[0], places, place)
    check_storage(dataset, place, decode_later=True)
    first = dataset[0]
    if format_of(first) is None:
        found = verbatim(f"{dataset.shape} {dataset.dtype}")
        raise wrong(places, "wrong_shape", place, found, IMAGES_EXPECTED)
    return dataset.shape[0], *size_of(first, f"{place}, frame 0")


def _stored_as_files(file: h5py.File, place: str) -> None:
    """Note images that are stored as files."""
    dataset = file[place]
    if may_be_encoded(dataset):
        kind = format_of(dataset[0])
        found = say("{kind} files, which are decoded", kind=kind)
        remedy = say("nothing, if their colours are as `images.color` says")
        raise rejection("encoded", place, found, verbatim("(T, H, W, 3) uint8"), remedy)
