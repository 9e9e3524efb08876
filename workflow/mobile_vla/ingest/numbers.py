"""Read an episode's actions and state, and check the arrays that they and the images stand in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from mobile_vla.config.fields import MOST_COLUMNS
from mobile_vla.conventions import ACTION_COLUMNS, Dimension
from mobile_vla.ingest.attributes import texts_of
from mobile_vla.ingest.chunks import check_storage
from mobile_vla.ingest.number_types import is_standard, mantissa_of, type_of
from mobile_vla.ingest.places import (
    AS_CONTRACT,
    CORRECT,
    DESCRIBE,
    RECORD_AGAIN,
    Places,
    Velocity,
)
from mobile_vla.ingest.rawfile import Rejected, find, rejection
from mobile_vla.ingest.result import Defect
from mobile_vla.sentence import Sentence, first_of, say, verbatim

MAX_FRAMES = 100_000
EXACT_BITS = 10  # of a float's mantissa: a half has as many, and 1.15 to a thousandth
NAMED = 20  # columns in a message
COPY = say("copy the file again, if the original is whole; else record the episode again")


def missing(places: Places, place: str, expected: Sentence) -> Rejected:
    """Return the defect of a part that is not there."""
    remedy = CORRECT if places.is_chosen else DESCRIBE
    return rejection("missing_dataset", place, say("no such dataset"), expected, remedy)


def wrong(places: Places, code: str, place: str, found: Any, expected: Sentence) -> Rejected:
    """Return the defect of a part that has another form."""
    remedy = CORRECT if places.is_chosen else AS_CONTRACT
    said = found if isinstance(found, Sentence) else verbatim(found)
    return rejection(code, place, said, expected, remedy)


def check_type(
    dataset: h5py.Dataset, places: Places, place: str, kind: type[np.generic], expected: Sentence
) -> None:
    """Refuse another kind of numbers, and numbers in a format that nobody writes.

    Raises:
        Rejected: the array holds such values.
    """
    if not np.issubdtype(dataset.dtype, kind):
        raise wrong(places, "wrong_dtype", place, type_of(dataset), expected)
    if not is_standard(dataset):
        raise rejection("wrong_dtype", place, verbatim(type_of(dataset)), expected, COPY)


def check_length(frames: int, places: Places, place: str) -> None:
    """Refuse an array without frames, or with more than an episode has.

    Raises:
        Rejected: it is such an array.
    """
    if frames == 0:
        raise rejection("no_frames", place, say("T = 0"), say("at least one frame"), RECORD_AGAIN)
    if frames > MAX_FRAMES:
        limit = say("at most {max_frames:,} frames", max_frames=MAX_FRAMES)
        raise wrong(
            places, "absurd_size", place, say("{frames:,} frames declared", frames=frames), limit
        )


def read_actions(file: h5py.File, places: Places) -> np.ndarray:
    """Return an episode's actions, (T, 3) float32 in raw command units.

    Raises:
        Rejected: they are not where they should be, or have another form: all that is wrong.
    """
    if isinstance(places.actions, str):
        place, size = places.actions, len(ACTION_COLUMNS)
        dataset = _array(file, places, place, say("actions (T, {size}) float32", size=size))
        if len(dataset.shape) != 2 or dataset.shape[1] != size:
            expected = say("(T, {size}): {names}", size=size, names=ACTION_COLUMNS)
            raise wrong(places, "wrong_shape", place, dataset.shape, expected)
        return _values(dataset, places, place, ACTION_COLUMNS)
    columns: dict[Dimension, np.ndarray] = {}
    defects: dict[Defect, None] = {}  # several velocities of one array share what is wrong with it
    for name, velocity in places.actions.items():
        try:
            columns[name] = _velocity(file, places, name, velocity)
        except Rejected as rejected:
            defects |= dict.fromkeys(rejected.defects)
    lengths = {places.actions[name].place: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        (first, length), *others = lengths.items()
        for place, other in others:
            if other != length:
                found = say(
                    "{other} entries, and {length} in {first}",
                    other=other,
                    length=length,
                    first=first,
                )
                unequal = wrong(places, "unequal_length", place, found, say("one entry a frame"))
                defects |= dict.fromkeys(unequal.defects)
    if defects:
        raise Rejected(*defects)
    actions = np.zeros((next(iter(lengths.values())), len(ACTION_COLUMNS)), dtype=np.float32)
    for name, values in columns.items():
        actions[:, ACTION_COLUMNS.index(name)] = values
    return actions


def _velocity(file: h5py.File, places: Places, name: str, velocity: Velocity) -> np.ndarray:
    """Return one velocity (T,) float32."""
    place, column = velocity.place, velocity.column
    dataset = _array(file, places, place, say("floating-point numbers (T,), (T, 1) or (T, A)"))
    shape = dataset.shape
    width = 1 if len(shape) == 1 else shape[1]
    if len(shape) > 2 or not 0 < width <= MOST_COLUMNS:
        expected = say("(T,), or (T, A) with at most {most} columns", most=MOST_COLUMNS)
        raise wrong(places, "wrong_shape", place, shape, expected)
    if column is None and width > 1:
        expected = say(
            "one column, or which: {place}[0] to {place}[{last}]", place=place, last=width - 1
        )
        raise wrong(places, "wrong_shape", place, shape, expected)
    names = column_names(dataset, width)
    at = names.index(column) if column in names else (column or 0)
    if not isinstance(at, int) or at >= width:
        expected = say("a place from 0 to {last}", last=width - 1)
        if names:
            known = names[:NAMED]
            expected = say(
                "one of {names}, or a place from 0 to {last}", names=known, last=width - 1
            )
        found = say(
            "no column {column!r} for {name} in {shape}", column=column, name=name, shape=shape
        )
        raise wrong(places, "wrong_shape", place, found, expected)
    return _values(dataset, places, place, names)[:, at]


def read_state(file: h5py.File, places: Places) -> np.ndarray | None:
    """Return the robot's own state (T, S) float32; None where no place is said.

    Raises:
        Rejected: it is not there, or has another form.
    """
    if places.state is None:
        return None
    dataset = _array(file, places, places.state, say("floating-point numbers (T, S)"))
    if len(dataset.shape) > 2 or not 0 < np.prod(dataset.shape[1:]) <= MOST_COLUMNS:
        expected = say("(T, S), S at most {most}", most=MOST_COLUMNS)
        raise wrong(places, "wrong_shape", places.state, dataset.shape, expected)
    return _values(dataset, places, places.state, ())


def rounded(file: h5py.File, places: Places) -> None:
    """Note actions that are stored with too few digits; HDF5 converts them to float32 exactly.

    Raises:
        Rejected: they are so; the episode is usable all the same.
    """
    chosen = [] if isinstance(places.actions, str) else places.actions.values()
    for place in dict.fromkeys(one.place for one in chosen) or [str(places.actions)]:
        dataset = find(file, place)
        if dataset is None or dataset.dtype.kind != "f":
            continue
        mantissa = mantissa_of(dataset)
        if mantissa < EXACT_BITS:
            found = say(
                "{dataset}: 1.15 is stored as {nearest:g}",
                dataset=type_of(dataset),
                nearest=_nearest(1.15, mantissa),
            )
            remedy = say("store float32 in the collector; what was rounded off is lost")
            raise rejection("rounded", place, found, verbatim("float32"), remedy)


def column_names(dataset: h5py.Dataset, width: int) -> list[str]:
    """Return the names of an array's columns: an attribute of as many texts, such as ``names``."""
    return texts_of(dataset, width) if width > 1 else []


def _array(file: h5py.File, places: Places, place: str, expected: Sentence) -> h5py.Dataset:
    """Return an array that has frames."""
    dataset = find(file, place)
    if dataset is None:
        raise missing(places, place, expected)
    if not dataset.shape:
        raise wrong(places, "wrong_shape", place, dataset.shape, expected)
    return dataset


def _values(dataset: h5py.Dataset, places: Places, place: str, names: Sequence[str]) -> np.ndarray:
    """Return an array's finite values (T, A) float32."""
    check_type(dataset, places, place, np.floating, verbatim("float32"))
    check_length(dataset.shape[0], places, place)
    check_storage(dataset, place)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, reported below
        values: np.ndarray = dataset[()].astype(np.float32)
    values = values.reshape(len(values), -1)  # (T, A)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = map(int, bad[0])
        found = first_of(len(bad), verbatim(values[row, column]))
        name = names[column] if names else f"column {column}"
        where = f"{place}, row {row}, {name}"
        raise rejection("not_finite", where, found, say("finite numbers"), RECORD_AGAIN)
    return values


def _nearest(value: float, mantissa: int) -> float:
    """Return the number nearest to one in [1, 2) that so many bits of mantissa can hold."""
    return round(value * 2**mantissa) / 2**mantissa
