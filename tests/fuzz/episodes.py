"""Episodes with damage that is drawn from a seed: in their bytes, and in what they hold."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Damage = Callable[[Path], None]

VALUES: list[Any] = [
    *(0, -1, 2**63 - 1, 1.5, float("nan"), "18", "x" * 5000, b"\xff\xfe", "", True),
    *(np.zeros(0), np.zeros((2, 3)), np.arange(5), np.float16([1, 2]), np.void(b"abc")),
]
TYPES = ["f2", "f4", "f8", ">f4", "i1", "i8", "u1", "u8", "S1", "S300", "V4", "c8", "bool"]


def damages(seed: int, count: int) -> Iterator[tuple[str, Damage]]:
    """Yield ways to damage a file, each with words that say which it is.

    Args:
        seed: of the random numbers.
        count: how many.
    """
    for number in range(count):
        rng = random.Random(f"damage {seed} {number}")
        kind = rng.choice([_flip, _flip, _blank, _cut, _splice, _shape, _type, _attribute, _link])
        yield f"{number} {kind.__name__}", lambda path, kind=kind, rng=rng: kind(path, rng)


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 8, 64])):
        # most of a file is pixels; what HDF5 follows stands in the first and last kilobytes
        place = rng.choice([rng.randrange(len(content)), rng.randrange(4096)])
        content[place] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _blank(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    start, size = rng.randrange(len(content)), rng.choice([4, 64, 4096])
    content[start : start + size] = bytes([rng.choice([0, 255])]) * size
    path.write_bytes(content)


def _cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def _splice(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    source, place, size = rng.randrange(len(content)), rng.randrange(len(content)), 512
    content[place : place + size] = content[source : source + size]
    path.write_bytes(content)


def _name(file: h5py.File, rng: random.Random) -> str:
    return rng.choice(sorted(file))


def _shape(path: Path, rng: random.Random) -> None:
    with h5py.File(path, "r+") as file:
        name = _name(file, rng)
        found, data_type = file[name].shape, file[name].dtype
        del file[name]
        shape = rng.choice(
            [(), (0,), (1, *found), found[1:], (*found, 2), (7,), (2**40,), (2**20, *found)]
        )
        data = file.create_dataset(name, shape, data_type, chunks=True if shape else None)
        assert data.shape == shape


def _type(path: Path, rng: random.Random) -> None:
    with h5py.File(path, "r+") as file:
        name = _name(file, rng)
        shape = file[name].shape
        del file[name]
        file.create_dataset(name, data=np.zeros(shape, dtype=rng.choice(TYPES)))


def _attribute(path: Path, rng: random.Random) -> None:
    with h5py.File(path, "r+") as file:
        holder = rng.choice([file, file[_name(file, rng)]])
        names = [*file.attrs, "odd"]
        holder.attrs[rng.choice(names)] = rng.choice(VALUES)


def _link(path: Path, rng: random.Random) -> None:
    with h5py.File(path, "r+") as file:
        name = _name(file, rng)
        del file[name]
        target = rng.choice(
            [
                h5py.SoftLink(f"/{name}"),
                h5py.SoftLink("/nowhere"),
                h5py.ExternalLink("nowhere.h5", "/images"),
                h5py.ExternalLink(path.name, f"/{name}"),
            ]
        )
        if rng.random() < 0.3:
            file.create_group(name)["/self"] = h5py.SoftLink("/")
        else:
            file[name] = target


def damaged(good: Path, path: Path, damage: Damage) -> Path:
    """Copy a good episode and damage the copy."""
    shutil.copy(good, path)
    damage(path)
    return path
