"""The clean folder of `reproduce`: other files of the user's lie where config.yaml says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobile_vla.config.loading import read_project
from mobile_vla.errors import UserError
from mobile_vla.planning.jobs import RULES
from mobile_vla.provenance.record import Commit
from mobile_vla.reproducing import folder
from mobile_vla.reproducing.folder import CONFIG, clean_folder
from support.project import SMALL

RECORDED = SMALL.replace(
    "    kind: simulated\n    simulation: {scenes: 6, world: {frames: 15}}\n",
    "    kind: recorded\n    path: ../../episodes\n",
).replace("backbones:\n", "include: extra.yaml\nbackbones:\n  real: {checkpoint: kosmos-2}\n")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of work, with data beside the folder above and a checkpoint within."""
    project = tmp_path / "lab/a/project"
    for path in (tmp_path / "lab/episodes", project / "kosmos-2", project / "results"):
        path.mkdir(parents=True)
    (tmp_path / "lab/episodes/one.h5").write_text("frames")
    (project / "config.yaml").write_text(RECORDED)
    (project / "extra.yaml").write_text("presets: {}\n")
    monkeypatch.chdir(project)
    return project


def test_relative_paths_lead_to_the_same_files_and_no_result_comes_along(lab: Path) -> None:
    with clean_folder(read_project(CONFIG), None, None) as clean:
        place = clean.folder
        assert clean.snakefile == RULES
        assert (place / "../../episodes/one.h5").read_text() == "frames"
        assert (place / "kosmos-2").resolve() == lab / "kosmos-2"
        assert (place / "extra.yaml").is_file()
        assert (place / "config.yaml").read_text() == RECORDED
        assert not (place / "results").exists()
    assert not place.exists()
    assert (lab.parents[1] / "episodes/one.h5").is_file() and (lab / "kosmos-2").is_dir()


def test_a_folder_that_is_named_stays_and_must_be_empty(lab: Path, tmp_path: Path) -> None:
    project = read_project(CONFIG)
    with clean_folder(project, None, tmp_path / "again") as clean:
        assert clean.folder.is_relative_to(tmp_path / "again")
    assert (clean.folder / "config.yaml").is_file()
    with (
        pytest.raises(UserError, match="expected no folder, or an empty one"),
        clean_folder(project, None, tmp_path / "again"),
    ):
        pass


@pytest.mark.parametrize(
    ("git", "why"),
    [
        (None, "names no commit"),
        (Commit(commit="a" * 40, dirty=True), "changes that are not in commit aaaaaaaaaa"),
        (Commit(commit="a" * 40, dirty=False), "commit aaaaaaaaaa is not in a repository here"),
        (Commit(commit="b" * 40, dirty=False), "this is its commit"),
    ],
)
def test_why_this_checkout_computes_is_said(
    lab: Path, monkeypatch: pytest.MonkeyPatch, git: Commit | None, why: str
) -> None:
    here = Commit(commit="b" * 40, dirty=False)
    monkeypatch.setattr(folder, "git_state", lambda place: here)
    with clean_folder(read_project(CONFIG), git, None) as clean:
        assert why in clean.why_this_code
