"""The tool ``describe``: look at an HDF5 file, and print how config.yaml reads it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import h5py
from pydantic import ValidationError

from mobile_vla.config.fields import Fields, velocity_place
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.describing.commands import read_commands
from mobile_vla.describing.entry import Entry
from mobile_vla.describing.recognition import Recognised, recognise
from mobile_vla.describing.survey import survey
from mobile_vla.errors import UserError, first_of
from mobile_vla.ingest.chunks import image_blocks
from mobile_vla.ingest.episode import RawEpisode, read_episode
from mobile_vla.ingest.groups import matching
from mobile_vla.ingest.isolation import Announce, isolated
from mobile_vla.ingest.places import ACTIONS, IMAGES, Places
from mobile_vla.ingest.rawfile import HDF5_ERRORS, Rejected, find, open_raw, reading


@dataclass
class DescribedFile:
    """What is printed, and what it lacks."""

    text: str
    missing: list[str] = field(default_factory=list)


def describe(file: Path) -> None:
    """Print the entry of config.yaml that reads an HDF5 file, or what is missing for one.

    What the file does not say, such as which of several cameras is meant, stands there as comments:
    take the ``#`` from one of the lines. The text is YAML, and ``include`` in config.yaml takes it
    as a file. Links are not followed.

    Args:
        file: an HDF5 file, one of several of the same form or with all episodes in it.

    Raises:
        UserError: the file cannot be read, or something is missing.
    """
    if file.is_dir():
        raise UserError(f"{file}: a folder; expected one of its HDF5 files")
    try:
        answer = isolated(partial(_look, file))
    except Rejected as rejected:
        defect = rejected.defects[0]
        raise UserError(
            f"{file} ({defect.place}): found {defect.found}, expected {defect.expected}; "
            f"{defect.remedy}"
        ) from None
    sys.stdout.write(answer.text)
    if answer.missing:
        listed = "\n".join(f"  - {one}" for one in answer.missing)
        raise UserError(f"{file} cannot be read by this yet:\n{listed}")


def _look(path: Path, announce: Announce) -> DescribedFile:
    with open_raw(path) as file:
        if _is_collectors(file):
            return _collectors(file, path, announce)
        with reading("file"):
            found = survey(file, announce)
            parts = recognise(found)
            groups = matching(file, parts.episodes) if parts.episodes else [""]
        said = Entry(path, parts, groups)
        said.notes += _beside(found.links, "links, which are not followed")
        said.notes += _beside(parts.later, "arrays of the time after an action, which are left out")
        odd = [f"{one.path} ({one.form})" for one in found.arrays if one.kind == "no images"]
        said.notes += _beside(odd, "arrays that may be pictures, in a form that is not read")
        if found.is_cut:
            said.notes.append("there is more in it than was looked at")
        missing = list(_missing(parts))
        places = [velocity_place(place)[0] for place in parts.velocities.values()]
        places += [parts.relative(one.path) for one in parts.vectors]
        said.values, said.count = read_commands(path, places, groups, announce)
        fields = None if missing else _fields(said, missing)
        if fields is not None:
            _read(file, said, fields, missing, announce)
        return DescribedFile(said.text(missing), missing)


def _beside(names: list[str], what: str) -> list[str]:
    return [f"{what}: {first_of(names)}"] if names else []


def _is_collectors(file: h5py.File) -> bool:
    """Whether images and actions stand where the robot's collector writes them."""
    try:
        actions, images = find(file, ACTIONS), find(file, IMAGES[0])
        shape: tuple[int, ...] = () if actions is None else actions.shape or ()
    except (Rejected, *HDF5_ERRORS):
        return False
    return len(shape) == 2 and shape[1] == len(ACTION_COLUMNS) and images is not None


def _collectors(file: h5py.File, path: Path, announce: Announce) -> DescribedFile:
    said, missing = Entry(path, None, [""]), []
    try:
        episode = read_episode(file, announce)
        said.read = _in_words(episode)
        said.values, said.count = read_commands(path, [ACTIONS], [""], announce)
    except Rejected as rejected:
        missing = _defects(rejected)
    return DescribedFile(said.text(missing), missing)


def _missing(parts: Recognised) -> Iterator[str]:
    """Yield what is not in the file, or has to be chosen."""
    if not parts.cameras:
        yield "images: no array (T, H, W, 3) uint8 and no JPEG or PNG files"
    if len(parts.cameras) > 1:
        yield f"images: {len(parts.cameras)} cameras, of which one is to be chosen"
    if not parts.velocities and parts.vectors:
        yield "actions: no names say which numbers are linear_x, linear_y and angular_z"
    elif not parts.velocities:
        yield "actions: no array of floating-point numbers that is called an action or a velocity"


def _fields(said: Entry, missing: list[str]) -> Fields | None:
    """Return what was recognised as settings."""
    assert said.parts is not None
    try:
        return Fields.model_validate(said.fields())
    except ValidationError as error:
        missing += [str(one["msg"]).removeprefix("Value error, ") for one in error.errors()]
        return None


def _read(
    file: h5py.File, said: Entry, fields: Fields, missing: list[str], announce: Announce
) -> None:
    """Read the first episode as ``ingest`` will, so that what is printed is known to read it."""
    try:
        episode = read_episode(file, announce, Places.of(fields, said.groups[0]))
        next(image_blocks(file, episode.place, announce))
        said.read = _in_words(episode)
        missing += [
            f"{one.place}: {one.found}"
            for one in episode.notes
            if one.code == "unclear_instruction"
        ]
    except Rejected as rejected:
        missing += _defects(rejected)


def _defects(rejected: Rejected) -> list[str]:
    return [f"{one.place}: {one.found}; expected {one.expected}" for one in rejected.defects]


def _in_words(episode: RawEpisode) -> str:
    assert episode.shape is not None
    height, width, _ = episode.shape
    return f"{len(episode.actions)} frames of {width}×{height}"
