"""The real `lerobot` library and this project read each other's datasets: `make test-interop`."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mobile_vla.config.ingest import Images
from mobile_vla.files import read_json
from mobile_vla.ingest.resize import to_frame
from support.lerobot_video import plainly_decoded
from support.project import ROOT, SMALL, Project

PYTHON = ROOT / ".venv-interop/bin/python"
LIBRARY = ROOT / "tests/interop/library.py"
CAMERA = "observation.images.wrist"
THEIRS = """\
datasets:
  {name}:
    kind: lerobot
    path: ../{name}
    camera: observation.images.wrist
    split: {{train: 0.5, val: 0.25, test: 0.25, stratify_by: []}}
"""


def library(*arguments: object) -> str:
    """Run the library; return what it prints."""
    command = [PYTHON, LIBRARY, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def digests(images: np.ndarray) -> list[str]:
    """Return a digest of each of the images (T, H, W, 3), as the library's side makes them."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interop")


def built(folder: Path, name: str) -> tuple[Path, list[str]]:
    """Import a dataset that the library wrote; return the folder of results and the episodes."""
    _, rest = SMALL.split("backbones:\n")
    rest = rest.replace("dataset: demo", f"dataset: {name}")
    rest = rest.replace('"pass on the {side}"', '"{instruction}"')
    config = f"{THEIRS.format(name=name)}backbones:\n{rest}"
    project = Project(folder / f"{name}_project", config)
    place = f"results/datasets/{name}"
    project.build(f"{place}/manifest.json")
    listed = read_json(project.folder / place / "manifest.json")["episodes"]
    assert len(listed) == 8
    return project.folder / place, [one["episode"] for one in listed]


def test_images_of_the_library_are_read_as_it_reads_them(folder: Path) -> None:
    library("create", folder / "pictures")
    theirs = json.loads(library("read", folder / "pictures"))
    place, names = built(folder, "pictures")
    ours = [h5py.File(place / f"raw/{name}.h5") for name in names]
    images = np.concatenate([file["images"][()] for file in ours])
    assert digests(images) == theirs["pixels"][CAMERA]
    actions = np.concatenate([file["actions"][()] for file in ours])
    np.testing.assert_array_equal(actions, np.float32(theirs["action"])[:, [6, 7, 8]])


def test_videos_of_the_library_are_read_to_the_pixel(folder: Path) -> None:
    library("create", folder / "films", "--video")
    place, names = built(folder, "films")
    (path,) = (folder / "films/videos" / CAMERA).rglob("*.mp4")
    frames = np.concatenate([np.load(place / f"episodes/{name}.npy") for name in names])
    expected = [to_frame(image, Images()) for image in plainly_decoded(path)]
    np.testing.assert_array_equal(frames, expected)


def test_the_library_reads_what_is_exported(folder: Path) -> None:
    project = Project(folder / "project", SMALL)
    manifest = "results/datasets/demo/manifest.json"
    project.build(manifest)
    subprocess.run(
        [project.python, "-m", "mobile_vla", "export-lerobot", "demo", folder / "exported"],
        cwd=project.folder,
        env={**project.environment, "PYTHONPATH": str(project.folder / "workflow")},
        check=True,
    )
    theirs: dict[str, Any] = json.loads(library("read", folder / "exported"))
    names = [one["episode"] for one in read_json(project.folder / manifest)["episodes"]]
    ours = [h5py.File(project.folder / f"results/datasets/demo/raw/{name}.h5") for name in names]
    np.testing.assert_array_equal(
        np.float32(theirs["action"]), np.concatenate([file["actions"][()] for file in ours])
    )
    images = np.concatenate([file["images"][()] for file in ours])
    (pixels,) = theirs["pixels"].values()
    assert pixels == digests(images)
    lengths = [len(file["images"]) for file in ours]
    assert theirs["episodes"] == np.repeat(range(len(ours)), lengths).tolist()
    texts = [str(np.ravel(file["language_instruction"][()])[0], "utf-8") for file in ours]
    assert theirs["tasks"] == np.repeat(texts, lengths).tolist()
