"""A dataset leaves as a LeRobotDataset and comes back through the workflow."""

import shutil
import subprocess

import numpy as np
import pytest

from mobile_vla.config.ingest import Images
from mobile_vla.files import read_json
from mobile_vla.ingest.resize import to_frame
from support.edits import rows
from support.lerobot_video import append_files, plainly_decoded
from support.project import ROOT, SMALL, Project

LEKIWI = ROOT / "tests/data/lerobot/lekiwi_video"
MP4 = "videos/observation.images.wrist/chunk-000/file-000.mp4"
SCORES = "results/experiments/head_only/seed0/evaluation.json"
MANIFEST = "results/datasets/theirs/manifest.json"
BACK = """\
  theirs:
    kind: lerobot
    path: exported
    split: {train: 0.5, val: 0.25, test: 0.25, stratify_by: [side]}
backbones:
"""
LORA = "experiments:\n"
USED = "experiments:\n  again: {dataset: theirs, lora: {r: 4}}\n"


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """A project whose simulated episodes left and are a second dataset of it."""
    copied = finished.copy(tmp_path_factory.mktemp("exported") / "project")
    subprocess.run(
        [copied.python, "-m", "mobile_vla", "export-lerobot", "demo", "exported"],
        cwd=copied.folder,
        env={**copied.environment, "PYTHONPATH": str(copied.folder / "workflow")},
        check=True,
    )
    copied.edit("config.yaml", "backbones:\n", BACK)
    copied.edit("config.yaml", LORA, USED)
    return copied


@pytest.fixture
def returned(exported, tmp_path):
    return exported.copy(tmp_path / "project")


def test_experiments_learn_the_same_from_a_dataset_that_came_back(returned):
    target = "results/experiments/again/seed0/training_results.json"
    planned = returned.plan(target)
    assert planned["import_lerobot"] == planned["ingest"] == 12
    returned.build(target)
    ours, theirs = (
        read_json(returned.folder / f"results/datasets/{name}/manifest.json")
        for name in ("demo", "theirs")
    )
    kept = ("episode", "frames", "frames_sha256")
    assert [{key: one[key] for key in kept if key in one} for one in ours["episodes"]] == [
        {key: one[key] for key in kept if key in one} for one in theirs["episodes"]
    ]
    one, other = (
        returned.folder / f"results/experiments/{name}/seed0/metrics.csv"
        for name in ("lora", "again")
    )
    assert one.read_bytes() == other.read_bytes()
    assert returned.plan(target) == {}
    (returned.folder / "exported").rename(returned.folder / "moved")
    returned.edit("config.yaml", "path: exported", "path: ./moved")
    assert returned.plan(target) == {}


def test_what_is_no_dataset_is_said_before_anything_runs(returned):
    shutil.rmtree(returned.folder / "exported/meta/episodes")
    done = returned.snakemake("-n")
    assert done.status == 1
    assert "has no index of episodes" in done.output and "Traceback" not in done.output


def test_a_damaged_file_stops_the_import_of_its_episodes_alone(returned):
    path = returned.folder / "exported/data/chunk-000/file-000.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    done = returned.snakemake("--cores", "1", MANIFEST)
    assert done.status != 0
    log = next(returned.folder.glob("results/logs/raw/theirs/*.log")).read_text()
    assert "cannot be read" in log and "copy the dataset again" in log
    assert "Traceback" not in log


VIDEOS = MANIFEST.replace("theirs", "lekiwi")
EDITS = {row["videos"]: row["reruns"] for row in rows() if "videos" in row}
VIDEO = """\
datasets:
  lekiwi:
    kind: lerobot
    path: lekiwi
    camera: observation.images.wrist
    actions: {dimensions: [linear_x, angular_z], scale: {linear_x: 0.2, angular_z: 0.4}}
    split: {train: 0.5, val: 0.25, test: 0.25, stratify_by: []}
"""


@pytest.fixture(scope="module")
def with_video(tmp_path_factory):
    """A project with a dataset of videos, trained and scored."""
    prompt = ('"pass on the {side}"', '"{instruction}"')
    _, rest = SMALL.split("backbones:\n")
    rest = rest.replace("dataset: demo", "dataset: lekiwi").replace(*prompt)
    tail = "  lora:\n    lora: {r: 4}\n"
    folder = tmp_path_factory.mktemp("video") / "project"
    made = Project(folder, f"{VIDEO}backbones:\n{rest.replace(tail, '')}")
    shutil.copytree(LEKIWI, folder / "lekiwi")
    made.build(SCORES)
    return made


def test_a_dataset_of_videos_is_imported_trained_on_and_scored(with_video):
    place = with_video.folder / "results/datasets/lekiwi"
    every = plainly_decoded(with_video.folder / "lekiwi" / MP4)
    for number in (0, 7):
        frames = np.load(place / f"episodes/episode_{number:06d}.npy")
        decoded = every[24 * number :][:24]
        expected = [to_frame(image, Images()) for image in decoded]
        np.testing.assert_array_equal(frames, expected)
    assert not (place / "raw").exists(), "images in full size are stored nowhere"
    facts = read_json(place / "episodes/episode_000007.json")
    assert facts["errors"] == [] and facts["attributes"]["video_codec"] == "av1"
    provenance = read_json(place / "episodes/episode_000000.provenance.json")
    assert {"av", "libavcodec"} <= set(provenance["versions"])
    scores = read_json(with_video.folder / SCORES)
    assert scores["episodes"] == 2 and np.isfinite(scores["policy"]["rmse"]["overall"])
    assert scores["recorded_units"] == {"linear_x": 0.2, "angular_z": 0.4}
    zero = scores["baselines"]["zero"]["mae"]  # of a robot that stands: what was driven
    driven = np.abs(np.load(place / "actions.npy"))[:, [0, 2]] / [0.2, 0.4]
    assert all(0 < zero[name] <= most for name, most in zip(zero, [1, *driven.max(0)], strict=True))


def test_a_prompt_that_needs_a_side_is_refused_in_a_plan_that_trains(with_video, tmp_path):
    copied = with_video.copy(tmp_path / "project")
    copied.edit("config.yaml", '"{instruction}"', '"pass on the {side}"')
    done = copied.snakemake("-n")
    assert done.status == 1 and "Traceback" not in done.output
    assert "needs the side, which no episode says" in done.output
    assert copied.snakemake("-n", "audit").status == 0, "the data can be looked at first"


def test_only_a_videos_bytes_count(with_video, tmp_path):
    copied = with_video.copy(tmp_path / "project")
    assert copied.plan(SCORES) == {}
    (copied.folder / "lekiwi").rename(copied.folder / "moved")
    copied.edit("config.yaml", "path: lekiwi", "path: ./moved")
    assert copied.plan(SCORES) == {}
    copied.edit("config.yaml", "path: ./moved", "path: ./moved\n    rate: 15")
    assert copied.plan(VIDEOS)["import_videos"] == 1
    copied.edit("config.yaml", "rate: 15", "rate: 30")
    assert copied.plan(SCORES) == {}


@pytest.fixture(scope="module")
def with_two_videos(with_video, tmp_path_factory):
    """The same, with more episodes in a second file, which are imported."""
    copied = with_video.copy(tmp_path_factory.mktemp("two") / "project")
    append_files(copied.folder / "lekiwi")
    assert copied.plan(SCORES) == EDITS["append"]
    copied.build(VIDEOS)
    return copied


@pytest.mark.long
def test_a_changed_video_reruns_its_episodes_alone(with_two_videos):
    path = with_two_videos.folder / "lekiwi" / MP4.replace("000.mp4", "001.mp4")
    content = path.read_bytes()
    with path.open("ab") as file:
        file.write(bytes(8))
    assert with_two_videos.plan(VIDEOS) == EDITS["changed"]
    assert with_two_videos.plan("results/datasets/lekiwi/episodes/episode_000007.json") == {}
    path.write_bytes(content)
    assert with_two_videos.plan(VIDEOS) == {}


@pytest.mark.long
def test_what_cannot_be_decoded_stops_at_the_manifest_or_is_left_out(with_two_videos, tmp_path):
    copied = with_two_videos.copy(tmp_path / "project")
    path = copied.folder / "lekiwi" / MP4.replace("000.mp4", "001.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = copied.snakemake("--cores", "1", VIDEOS)
    assert done.status != 0 and "Traceback" not in done.output
    assert "file-001.mp4/episode_000015" in done.output and "copy the dataset again" in done.output
    copied.edit("config.yaml", "kind: lerobot", "kind: lerobot\n    on_error: quarantine")
    copied.build(VIDEOS)
    manifest = read_json(copied.folder / VIDEOS)
    used, out = ([one["episode"] for one in manifest[key]] for key in ("episodes", "quarantined"))
    assert used + out == [f"episode_{number:06d}" for number in range(16)]
    assert used[8:] and out, "a part of the file can be decoded"
