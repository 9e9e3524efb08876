"""A number's description in the file, damaged bit by bit, and the formats that are read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from mobile_vla.ingest.episode import RawEpisode, read_episode
from mobile_vla.ingest.number_types import type_of
from mobile_vla.ingest.rawfile import Rejected
from support.recorded import write_episode

NAME = "episode_20251103_091241_1box_hori_left_core_close.h5"
FLOAT32 = bytes.fromhex("11 201f00 04000000 0000 2000 17 08 00 17 7f000000")
"""HDF5's message for little-endian float32: class and version, bit field, size, bit offset,
precision, places and sizes of exponent and mantissa, bias (HDF5 file format, IV.A.2.d)."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    write_episode(path, frames=4, size=(8, 8))
    return path


def read(path: Path) -> RawEpisode:
    with h5py.File(path) as file:
        return read_episode(file, lambda place: None)


@pytest.mark.parametrize(
    ("byte", "bit", "says"),
    [
        (16, 1, "with bias 125"),
        (17, 0, "with bias 383"),
        (8, 0, "32 bits used from bit 1 on"),
        (10, 0, "33 bits used"),
        (15, 0, "22 of mantissa"),
        (1, 3, "in a format that no standard has"),  # how unused bits are filled
    ],
)
def test_one_wrong_bit_in_the_description_of_floats_is_found(
    path: Path, byte: int, bit: int, says: str
) -> None:
    content = bytearray(path.read_bytes())
    assert content.count(FLOAT32) == 1
    content[content.index(FLOAT32) + byte] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(Rejected) as caught:
        read(path)
    (defect,) = caught.value.defects
    assert (defect.code, defect.place) == ("wrong_dtype", "actions")
    assert says in str(defect.found) and "copy the file again" in str(defect.remedy)


@pytest.mark.parametrize("kind", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g"])
def test_floats_of_every_standard_are_read(path: Path, kind: str) -> None:
    with h5py.File(path, "a") as file:
        actions = file["actions"][()]
        del file["actions"]
        file["actions"] = actions.astype(kind)
        assert type_of(file["actions"]) == str(np.dtype(kind))
    np.testing.assert_allclose(read(path).actions, actions, rtol=1e-3)


@pytest.mark.parametrize("kind", [h5py.h5t.STD_U8LE, h5py.h5t.STD_U8BE])
@pytest.mark.parametrize("precision", [7, 8])
def test_images_are_whole_bytes(path: Path, kind: h5py.h5t.TypeIntegerID, precision: int) -> None:
    with h5py.File(path, "a") as file:
        images = file["images"][()]
        del file["images"]
        stored = kind.copy()
        stored.set_precision(precision)
        space = h5py.h5s.create_simple(images.shape)
        h5py.h5d.create(file.id, b"images", stored, space).write(h5py.h5s.ALL, h5py.h5s.ALL, images)
    if precision == 8:
        assert read(path).shape == (8, 8, 3)
        return
    with pytest.raises(Rejected) as caught:
        read(path)
    assert str(caught.value.defects[0].found) == "uint8 of 7 bits from bit 0 on"
