"""The independent writer and the library agree on the users' format."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py

from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.files import read_json
from mobile_vla.ingest.ingest import ingest
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
