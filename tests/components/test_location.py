"""Where recorded episodes and checkpoints lie is no part of what is computed from them."""

import json

import pytest

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.result import BackboneDescription
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.ingest.ingest import ingest
from mobile_vla.layout import EpisodeFiles
from support.config_text import BASE, load
from support.recorded import names, write_episode

NAME = f"{names(1)[0]}.h5"
PLACES = ("./here", "../elsewhere/renamed", "/data/lab", "~/episodes")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "episodes"
    path.mkdir()
    write_episode(path / NAME, frames=3, size=(8, 8))
    return path


def moved(folder):
    return folder.rename(folder.with_name("elsewhere"))


def linked(folder):
    link = folder.with_name("link")
    link.symlink_to(folder)
    return link


def deeper(folder):
    inner = folder.with_name("disk") / "2" / "renamed"
    inner.parent.mkdir(parents=True)
    return folder.rename(inner)


def written_differently(folder):
    return folder / ".." / folder.name


def ingested(folder, results):
    outputs = EpisodeFiles(results / "a.json", results / "a.npy")
    results.mkdir()
    settings = IngestSettings(dataset="lab", episode="a", images=Images(color="rgb"))
    ingest(settings, outputs, raw=NAME, raw_folder=folder)
    return outputs


@pytest.mark.parametrize("move", [moved, linked, deeper, written_differently])
def test_an_episode_has_the_same_facts_wherever_its_folder_lies(folder, tmp_path, move):
    before = ingested(folder, tmp_path / "before")
    after = ingested(move(folder), tmp_path / "after")
    assert before.facts.read_bytes() == after.facts.read_bytes()
    assert before.frames.read_bytes() == after.frames.read_bytes()
    assert json.loads(after.facts.read_text())["file"] == NAME


@pytest.mark.parametrize("place", PLACES)
def test_a_local_checkpoint_is_described_without_its_place(tmp_path, place):
    text = BASE.replace("defaults:", f"  k: {{checkpoint: {place}}}\ndefaults:")
    project = load(text, tmp_path)
    assert place not in project.backbone("k").canonical()
    assert project.checkpoint_folder("k") == place


@pytest.mark.parametrize("kind", ["recorded", "lerobot"])
def test_no_stage_of_the_data_is_given_the_folder(tmp_path, kind):
    one, other = (
        load(
            BASE.replace("{kind: simulated", f"{{kind: {kind}, path: {place}").replace(
                ", simulation: {scenes: 3}", ""
            ),
            tmp_path,
        )
        for place in PLACES[:2]
    )
    for make in ("manifest", "split", "audit_data", "audit", "flags"):
        assert getattr(one, make)("demo") == getattr(other, make)("demo")
    assert one.ingest("demo", "a") == other.ingest("demo", "a")
    assert one.train("lora", "seed0") == other.train("lora", "seed0")
    assert one.page() == other.page()


def test_the_id_of_a_hub_is_no_place(tmp_path):
    hub = f"{{checkpoint: a/b, revision: {'a' * 40}}}"
    project = load(BASE.replace("defaults:", f"  k: {hub}\ndefaults:"), tmp_path)
    assert "a/b" in project.backbone("k").canonical()
    assert project.checkpoint_folder("k") is None


def test_a_described_checkpoint_is_looked_for_where_it_lies_now(tmp_path):
    description = tmp_path / "backbone.json"
    BackboneDescription(name="k", checkpoint="./then", revision=None, files={}).write(description)
    assert Checkpoint.read(description).source == "./then"
    assert Checkpoint.read(description, tmp_path / "now").source == str(tmp_path / "now")
