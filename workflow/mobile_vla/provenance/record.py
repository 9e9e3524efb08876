"""Record the circumstances of a job, in a ``*.provenance.json``."""

from __future__ import annotations

import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import JsonValue

from mobile_vla.files import sha256_of
from mobile_vla.provenance.code import ROOT, chosen_modules, code_of, versions
from mobile_vla.result import Result

STATUS = ("-c", "status.relativePaths=false", "status", "--porcelain=v2", "--branch")
CODE = ("workflow/", "presets/")  # where an untracked file can change a result
CODE_SUFFIXES = (".py", ".smk", ".yaml", ".yml", ".j2", ".css", ".js")
DECODERS = ("libavcodec", "libavformat", "libavutil", "libswscale")
SMALL = 1_000_000  # bytes; larger files have a JSON beside them with their digest


class Commit(Result):
    """The state of the project's checkout."""

    commit: str
    """Hash of the commit."""
    dirty: bool
    """Whether a tracked file differs from it, config.yaml apart, or code or presets are in none."""


class Provenance(Result):
    """``*.provenance.json``: how a result was made."""

    stage: str
    """The command's name."""
    settings: dict[str, JsonValue] | None
    """What the command was given."""
    inputs: dict[str, str]
    """SHA-256 of each small input, by path."""
    code: list[str]
    """Modules of the command, and those that its settings choose, each with its code's digest."""
    versions: dict[str, str | None]
    """Versions of the packages that can change the result; None for one that is not installed. Of a
    job that decodes video also those of FFmpeg's libraries."""
    git: Commit | None
    """State of the checkout; None outside of one."""
    command: str
    """The command line."""
    host: str
    """Name of the machine."""
    device: str | None
    """GPU or processor; None for a job that uses no torch."""
    threads: int | None
    """CPU threads of torch; None for a job that uses no torch."""
    python: str
    """Version of Python."""
    started: str
    """Start of the job, as ISO time."""
    finished: str
    """End of the job, as ISO time."""
    seconds: float
    """How long the job took."""


def git_state(folder: Path = ROOT) -> Commit | None:
    """Return the state of the project's checkout; None outside of one.

    Dirty is a tree with a changed tracked file, or an untracked one among code and presets.
    Weights, data, notes and logs change no result. Nor does an edited config.yaml: editing it is
    what it is for, and the settings that a job was given stand beside its commit.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    others = (":/", ":(top,exclude)config.yaml")
    try:
        # one call for both: each job makes it, and there are thousands
        lines = git(*STATUS, "--", *others).splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    commit = next(line.split()[2] for line in lines if line.startswith("# branch.oid"))
    if commit == "(initial)":
        return None
    return Commit(commit=commit, dirty=any(map(_makes_dirty, lines)))


def _makes_dirty(line: str) -> bool:
    """Return whether a line of ``git status --porcelain=v2`` tells of code that is in no commit."""
    kind, _, path = line.partition(" ")
    if kind == "#":
        return False
    # git names an untracked folder alone, with a slash behind it, and quotes unusual names
    place = path.strip('"')
    code = place.endswith("/") or PurePosixPath(place).suffix in CODE_SUFFIXES
    return kind != "?" or (code and place.startswith(CODE))


class JobRecorder:
    """Notes what a job begins with, and writes its provenance at the end."""

    def __init__(self, stage: str, entry: str, packages: Sequence[str]):
        self.stage = stage
        self.code = code_of(entry)
        self.packages = packages
        self.started = datetime.now(UTC)
        self.settings: dict[str, Any] | None = None
        self.inputs: dict[str, str] = {}

    def note(self, settings: dict[str, Any] | None, paths: Iterable[Path]) -> None:
        """Note a job's settings as JSON values, the code they choose, and its inputs, if there.

        Small ones with the SHA-256 of their bytes: a manifest, a split, a policy's description.
        They hold the digests of the large ones, which are not read twice for this.
        """
        self.settings = settings
        self.code = sorted({*self.code, *code_of(*chosen_modules(settings or {}))})
        for path in paths:
            if path.is_file() and path.stat().st_size <= SMALL:
                self.inputs[str(path)] = sha256_of(path)

    def write(self, path: Path) -> None:
        """Write the provenance of a job that has just ended."""
        finished = datetime.now(UTC)
        device, threads = _compute()
        provenance = Provenance(
            stage=self.stage,
            settings=self.settings,
            inputs=self.inputs,
            code=self.code,
            versions=versions(self.packages) | _libraries(self.packages),
            git=git_state(),
            command=shlex.join(["python", "-m", "mobile_vla", *sys.argv[1:]]),
            host=socket.gethostname(),
            device=device,
            threads=threads,
            python=platform.python_version(),
            started=self.started.isoformat(timespec="seconds"),
            finished=finished.isoformat(timespec="seconds"),
            seconds=round((finished - self.started).total_seconds(), 3),
        )
        provenance.write(path)


def _libraries(packages: Sequence[str]) -> dict[str, str | None]:
    """Return the versions of what PyAV decoded with, for a job that depends on it."""
    av = sys.modules.get("av") if "av" in packages else None
    found = {} if av is None else av.library_versions
    return {name: ".".join(map(str, found[name])) for name in DECODERS if name in found}


def _compute() -> tuple[str | None, int | None]:
    """Return device and threads of a job that used torch."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None, None
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    return device or platform.machine(), torch.get_num_threads()
