"""A clean folder that Snakemake computes in, with the code, settings and data of a number."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mobile_vla.config.backbone import PretrainedBackbone
from mobile_vla.config.entries import LerobotDataset, RecordedDataset
from mobile_vla.config.project import Project
from mobile_vla.config.reading import read
from mobile_vla.errors import UserError
from mobile_vla.planning.jobs import RULES, PlannedJob, planned_jobs
from mobile_vla.provenance.code import ROOT
from mobile_vla.provenance.record import Commit, git_state
from mobile_vla.trials.files import FOLDER as TRIALS

HOME = ROOT.parent
CONFIG = Path("config.yaml")


@dataclass(frozen=True)
class CleanFolder:
    """Where Snakemake works, with which rules, and why these where they are not the commit's."""

    folder: Path
    snakefile: Path
    why_this_code: str

    def planned(self, *arguments: str) -> list[PlannedJob]:
        """Return the jobs that would run."""
        return planned_jobs("--snakefile", str(self.snakefile), *arguments, folder=self.folder)

    def run(self, *arguments: str) -> None:
        """Run Snakemake.

        Raises:
            UserError: it failed; it has said why.
        """
        call = [sys.executable, "-m", "snakemake", "--snakefile", str(self.snakefile)]
        call += ["--cores", "all", *arguments]
        status = subprocess.run(call, cwd=self.folder, check=False).returncode
        if status:
            raise UserError(
                f"{self.folder}: snakemake could not compute the number again (exit status "
                f"{status}); expected that it can; its messages are above"
            )

    def bring(self, files: Iterable[Path]) -> None:
        """Link stored files into the folder, or copy them from another file system."""
        for path in files:
            place = self.folder / path
            if path.is_file() and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, place)
                except OSError:
                    shutil.copy2(path, place)


@contextmanager
def clean_folder(project: Project, git: Commit | None, into: Path | None) -> Iterator[CleanFolder]:
    """Give a clean folder with the current folder's settings and data, and a commit's code.

    Where the commit is that of this checkout, or cannot be had, it is this checkout's code.

    Args:
        project: what the current folder's config.yaml says.
        git: what a result's provenance names.
        into: the folder; by default a temporary one, which is removed at the end.

    Raises:
        UserError: ``into`` holds something.
    """
    if into is not None and into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UserError(f"{into}: found something there; expected no folder, or an empty one")
    with TemporaryDirectory(prefix="reproduce-") as temporary:
        base = Path(temporary).resolve() if into is None else into.absolute()
        paths = list(_paths(project))
        # a path such as ../lab leads to the same place from there, and to nothing else's
        above = max((path.parts.count("..") for path in paths), default=0)
        folder = base.joinpath(*["in"] * above)
        folder.mkdir(parents=True, exist_ok=True)
        why = _why_this_code(git)
        if why:
            snakefile = RULES
        else:
            assert git is not None
            folder = _check_out(git.commit, folder)
            snakefile = folder / "Snakefile"
        shutil.copyfile(CONFIG, folder / CONFIG)
        for path in paths:
            place = Path(os.path.normpath(folder / path))
            if path.exists() and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(path.absolute())
        yield CleanFolder(folder, snakefile, why)


def _paths(project: Project) -> Iterator[Path]:
    """Yield the relative paths of what is read beside config.yaml."""
    named: list[str] = [str(TRIALS)]
    for dataset in project.datasets.values():
        if isinstance(dataset, RecordedDataset | LerobotDataset):
            named.append(dataset.path)
        if isinstance(dataset, RecordedDataset) and dataset.scenarios is not None:
            named.append(dataset.scenarios)
    for backbone in project.backbones.values():
        if isinstance(backbone, PretrainedBackbone):
            named.append(backbone.checkpoint)
    content = read(CONFIG).content
    included = content.get("include") if isinstance(content, dict) else None
    named += [included] if isinstance(included, str) else included or []
    for name in dict.fromkeys(named):
        path = Path(os.path.normpath(Path(name).expanduser()))
        if not path.is_absolute():
            yield path


def _why_this_code(git: Commit | None) -> str:
    """Return why this checkout's code computes a number; nothing where its commit's does."""
    if git is None:
        return "its provenance names no commit"
    if git.dirty:
        return f"it was made with changes that are not in commit {git.commit[:10]}"
    here = git_state(HOME)
    if here is not None and here == git:
        return "this is its commit"
    known = subprocess.run(
        ["git", "-C", str(HOME), "cat-file", "-e", f"{git.commit}^{{commit}}"],
        capture_output=True,
        check=False,
    )
    if here is None or known.returncode:
        return f"its commit {git.commit[:10]} is not in a repository here; fetch it"
    return ""


def _check_out(commit: str, folder: Path) -> Path:
    """Check a commit out into a folder, and return where this project is in it.

    Raises:
        UserError: git cannot.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(
                f"{HOME}: commit {commit[:10]} could not be checked out into {folder}; expected "
                f"that git can; it says: {done.stderr.strip()}"
            )
        return done.stdout.strip()

    top = git("-C", str(HOME), "rev-parse", "--show-toplevel")
    git("clone", "--quiet", "--shared", "--no-checkout", top, str(folder))
    git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    return folder / HOME.resolve().relative_to(top)
