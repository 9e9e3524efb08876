"""Episodes in other HDF5 layouts leave as a LeRobotDataset, with the robot's state."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from mobile_vla.errors import UserError
from mobile_vla.files import read_json
from mobile_vla.lerobot.export_lerobot import export_lerobot
from support.hdf5_layouts import FRAMES, drive, write_robomimic
from support.ingested import CONFIG, ingested
from support.lerobot import listed


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A project whose episodes were ingested."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "raw").mkdir()
    write_robomimic(folder / "raw/image.hdf5", demos=2)
    return folder


@pytest.fixture
def project(written, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(written, folder)
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(path=folder / "raw"))
    ingested(folder)
    return folder


def export(folder: Path) -> Path:
    target = folder / "exported"
    export_lerobot("theirs", target, config=folder / "config.yaml", results=folder / "results")
    return target


def test_groups_of_a_file_are_exported_with_state_and_instruction(project):
    target = export(project)
    features = read_json(target / "meta/info.json")["features"]
    assert features["observation.state"] == {"dtype": "float32", "shape": [3], "names": None}
    rows = pq.read_table(target / "data/chunk-000/file-000.parquet")
    with h5py.File(project / "raw/image.hdf5") as file:
        stored = [file[f"data/demo_{number}/obs/robot0_base_pos"][()] for number in (0, 1)]
    states = np.array(rows.column("observation.state").to_pylist(), dtype=np.float32)
    np.testing.assert_array_equal(states, np.concatenate(stored).astype(np.float32))
    statistics = read_json(target / "meta/stats.json")["observation.state"]
    np.testing.assert_allclose(statistics["max"], states.max(axis=0))
    found = listed(target)
    assert list(found) == ["image--demo_0", "image--demo_1"]
    assert {one.settings.instruction for one in found.values()} == {"drive round the box"}
    np.testing.assert_array_equal(
        np.array(rows.column("action").to_pylist())[FRAMES:, 0], drive(1)[0].astype(np.float32)
    )


def test_an_episode_that_changed_since_is_not_exported_and_one_beside_it_does_no_harm(project):
    with h5py.File(project / "raw/image.hdf5", "r+") as file:
        file.copy("data/demo_0", "data/demo_2")
    export(project)
    shutil.rmtree(project / "exported")
    with h5py.File(project / "raw/image.hdf5", "r+") as file:
        file["data/demo_1/actions"][2] = 0.1
    with pytest.raises(UserError, match="data/demo_1: its bytes are not those that were read"):
        export(project)
