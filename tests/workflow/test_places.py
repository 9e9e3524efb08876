"""Folders with odd names, and files that Snakemake must not read before they are checked."""

import pytest

from support.project import SMALL, Project
from support.recorded import write_folder

EPISODE = "episode_20251101_063000_1box_hori_left_core_close"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a project in a folder whose name a shell or Snakemake would read as more than text."""
    return Project(tmp_path_factory.mktemp("odd") / 'it\'s $(touch RAN) "$HOME" <b> {c}')


def test_a_job_runs_in_a_folder_of_any_name_and_as_no_command(project):
    project.config = SMALL
    project.build(f"results/datasets/demo/raw/{EPISODE}.h5")
    assert not list(project.folder.rglob("RAN*"))


def test_files_of_any_name_are_episodes(project):
    write_folder(project.folder / "my data", 1)
    (episode,) = (project.folder / "my data").iterdir()
    names = ["it's $(touch RAN)", "a<results>b", "a‹x›b", "a<b", "{side}", "ü & b; touch RAN"]
    for name in names:
        (episode.parent / f"{name}.h5").write_bytes(episode.read_bytes())
    episode.unlink()
    mine = '  mine: {kind: recorded, path: "my data"}\nbackbones:'
    project.config = SMALL.replace("backbones:", mine)
    project.build("results/datasets/mine/manifest.json")
    made = {path.stem for path in (project.folder / "results/datasets/mine/episodes").glob("*.npy")}
    assert made >= {names[0], "a%3Cresults%3Eb", "a‹x›b", "%7Bside%7D"} and len(made) == 6
    assert not list(project.folder.rglob("RAN*"))


@pytest.mark.parametrize("odd", ["a:b", "a\nb", "{a}:b"])
def test_a_folder_that_no_path_variable_can_hold_is_refused(project, tmp_path, odd):
    moved = project.copy(tmp_path / f"{odd} copy")
    finished = moved.snakemake("-n")
    assert finished.status != 0 and "rename or move the folder" in finished.output
    assert "Traceback" not in finished.output


def test_python_in_the_configuration_does_not_run(project):
    project.config = f"__use_yte__: true\n\"?open('RAN', 'w').write('x')\": 1\n{SMALL}"
    finished = project.snakemake("-n")
    assert finished.status != 0 and "config.yaml:1 (__use_yte__)" in finished.output
    assert not (project.folder / "RAN").exists()


def test_a_checkpoint_that_is_not_there_is_said_in_the_plan(project):
    project.config = SMALL.replace("defaults:", "  real: {checkpoint: ./gone}\ndefaults:").replace(
        "backbone: tiny", "backbone: real"
    )
    finished = project.snakemake("-n")
    assert finished.status != 0 and "./gone is no folder" in finished.output
    assert "config.yaml:12 (backbones.real.checkpoint)" in finished.output
