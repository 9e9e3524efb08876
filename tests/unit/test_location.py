"""Where recorded episodes and checkpoints lie is no part of what is computed from them."""

from pathlib import Path

import pytest

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.locate_backbone import locate_backbone
from mobile_vla.backbone.result import BackboneDescription
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.location import LocationSettings
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.locate_dataset import locate_dataset
from mobile_vla.layout import BackboneLocationFiles, DatasetLocationFiles, EpisodeFiles
from mobile_vla.location import located
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


def written_below(differently):
    return differently / ".." / differently.name


def ingested(folder, results):
    files = DatasetLocationFiles(results / "location.json")
    locate_dataset(LocationSettings(folder=str(folder)), files)
    outputs = EpisodeFiles(results / "a.json", results / "a.npy")
    settings = IngestSettings(dataset="lab", episode="a", images=Images(color="rgb"))
    ingest(settings, outputs, raw=NAME, location=files.location)
    return outputs


@pytest.mark.parametrize("move", [moved, linked, deeper, written_below])
def test_an_episode_has_the_same_facts_wherever_its_folder_lies(folder, tmp_path, move):
    before = ingested(folder, tmp_path / "before")
    after = ingested(move(folder), tmp_path / "after")
    assert before.facts.read_bytes() == after.facts.read_bytes()
    assert before.frames.read_bytes() == after.frames.read_bytes()
    assert str(tmp_path) not in after.facts.read_text()


@pytest.mark.parametrize("place", PLACES)
def test_a_local_checkpoint_is_described_without_its_place(tmp_path, place):
    project = load(BASE.replace("defaults:", f"  k: {{checkpoint: {place}}}\ndefaults:"), tmp_path)
    assert place not in project.backbone("k").canonical()
    assert project.backbone_location("k").folder == place


def test_the_commit_of_a_hub_is_no_place(tmp_path):
    hub = f"{{checkpoint: a/b, revision: {'a' * 40}}}"
    project = load(BASE.replace("defaults:", f"  k: {hub}\ndefaults:"), tmp_path)
    assert "a/b" in project.backbone("k").canonical()
    assert project.backbone_location("k") is None


@pytest.mark.parametrize("place", PLACES)
def test_a_described_checkpoint_is_looked_for_where_it_lies_now(tmp_path, place):
    description = tmp_path / "backbone.json"
    BackboneDescription(name="k", checkpoint="location.json", revision=None, files={}).write(
        description
    )
    before = description.read_bytes()
    files = BackboneLocationFiles(tmp_path / "location.json")
    locate_backbone(LocationSettings(folder=place), files)
    assert Checkpoint.read(description).source == place
    assert description.read_bytes() == before


def test_raw_files_are_found_by_what_the_facts_say(tmp_path):
    made = tmp_path / "raw/a.h5"
    assert located(tmp_path, str(made)) == made
    assert str(located(tmp_path, "day1/a.h5")) == "day1/a.h5"
    locate_dataset(LocationSettings(folder="~/x"), DatasetLocationFiles(tmp_path / "location.json"))
    assert str(located(tmp_path, "day1/a.h5")) == str(Path("~/x/day1/a.h5").expanduser())
    assert located(tmp_path, str(made)) == made  # although recorded ones were there before
