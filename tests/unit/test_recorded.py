"""Folders of recorded episodes; the independent writer and the library agree on the format."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from mobile_vla.config.entries import RecordedDataset
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.mistakes import Source
from mobile_vla.errors import UserError, first_of
from mobile_vla.files import read_json
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.recorded import left_out, recorded_files
from mobile_vla.ingest.scenario import follows_scheme
from mobile_vla.layout import EpisodeFiles
from support import recorded


def test_a_folder_holds_what_users_folders_hold(tmp_path):
    paths = recorded.write_folder(tmp_path / "raw", 6, size=(18, 32), truncated=True)
    assert sorted((tmp_path / "raw").iterdir()) == paths
    assert all(follows_scheme(path.stem) for path in paths)
    found = []
    for path in paths:
        out = tmp_path / f"{path.stem}.json"
        settings = IngestSettings(dataset="recorded", episode=path.stem, images=Images())
        ingest(settings, EpisodeFiles(out, out.with_suffix(".npy")), raw=path)
        found.append(read_json(out))
    assert [[error["code"] for error in facts["errors"]] for facts in found] == [
        [], [], [], [], [], ["truncated"],
    ]  # fmt: skip
    assert [facts["frames"] for facts in found] == [18] * 5 + [0]
    assert [facts["instruction"] is None for facts in found[:5]] == [
        False, False, True, False, False,
    ]  # fmt: skip


def test_it_is_independent_and_a_script(tmp_path):
    assert "import mobile_vla" not in Path(recorded.__file__).read_text()
    command = [sys.executable, recorded.__file__, str(tmp_path / "raw"), "--episodes", "2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("2 episodes in ")
    with h5py.File(min((tmp_path / "raw").iterdir())) as file:
        assert file["images"].shape == (18, 72, 128, 3)
        assert file["images"].compression == "gzip"


def listed(folder, pattern="*.h5"):
    """Return the episodes of a folder, and the files that are left out."""
    dataset = RecordedDataset(kind="recorded", path=str(folder), pattern=pattern)
    files = recorded_files("d", dataset, Source())
    return sorted(files), left_out(dataset, files.values())


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("pattern", "hidden"),
    [
        ("*.h5", "._a.h5"),
        ("*.h5", ".a.h5.tmp"),
        ("*.h5", ".a.h5"),
        ("**/*.h5", "day1/._a.h5"),
        ("**/*.h5", ".Trash/a.h5"),
        ("*/*.h5", ".Spotlight-V100/a.h5"),
        ("**/*.h5", "day1/.AppleDouble/a.h5"),
        (".raw/*.h5", ".raw/._a.h5"),
        ("*", "._a.h5"),
    ],
)
def test_hidden_files_are_no_episodes_and_not_left_out(tmp_path, pattern, hidden):
    visible = {"*/*.h5": "day1/b.h5", ".raw/*.h5": ".raw/b.h5"}.get(pattern, "b.h5")
    fill(tmp_path, visible, hidden)
    assert listed(tmp_path, pattern) == ([visible[:-3].replace("/", "--")], [])


def test_a_pattern_may_ask_for_a_hidden_folder(tmp_path):
    fill(tmp_path, ".raw/a.h5", "b.txt")
    assert listed(tmp_path, ".raw/*.h5") == ([".raw--a"], [])


@pytest.mark.parametrize(
    "other", ["b.hdf5", "b.H5", "b.HDF5", "b.hdf", "b.h5.gz", "day1/b.h5", "b.h5.bak", "b.h5~"]
)
def test_files_that_the_pattern_nearly_matches_are_named(tmp_path, other):
    fill(tmp_path, "a.h5", other, "notes.txt", "b.json", "h5")
    assert listed(tmp_path) == (["a"], [other])
    (tmp_path / "a.h5").unlink()
    with pytest.raises(UserError, match=rf"'\*\.h5'; there are {other}; correct"):
        listed(tmp_path)


@pytest.mark.parametrize("name", ["a" * 150 + "/" + "b" * 100 + ".h5", "a\udcff.h5"])
def test_a_name_that_files_cannot_have_is_refused(tmp_path, name):
    fill(tmp_path, name)
    with pytest.raises(UserError, match="expected printable names of at most 200 bytes") as error:
        listed(tmp_path, "**/*.h5")
    str(error.value).encode()  # can be printed


def test_many_files_are_named_in_a_line():
    assert first_of([f"{number}.hdf5" for number in range(9)]).endswith("4.hdf5 and 4 more")


def test_results_below_the_folder_are_not_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, "a.h5", "results/datasets/demo/raw/b.h5")
    assert listed(tmp_path) == (["a"], [])
