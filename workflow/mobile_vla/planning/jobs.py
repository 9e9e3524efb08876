"""Jobs as Snakemake plans them, each with what is recorded of its last run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mobile_vla.errors import UserError
from mobile_vla.provenance.code import ROOT
from mobile_vla.provenance.record import Provenance

PLUGINS = ROOT / "plugins"
RULES = ROOT.parent / "Snakefile"
SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")
"""Where Snakemake looks for rules."""
SETTINGS = re.compile(r""" --settings ('(?:[^']|'"'"')*'|\S+)""")
ON_INPUT = re.compile(r"<<'SETTINGS'\n(.*)\nSETTINGS", re.DOTALL)
OF_DATASET = re.compile(r"(?:^|/)results/datasets/([^/]+)/")
KINDS = ("dataset", "backbone", "experiment", "trial", "report")
"""What a line of the plan is about, in the order of the lines."""


@dataclass(frozen=True)
class PlannedJob:
    """A job of the plan.

    ``reason`` is Snakemake's. It stops looking once there is one: where an input is computed again,
    it does not say that a setting has changed, too.
    """

    rule: str
    wildcards: dict[str, str]
    reason: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    line: str  # the shell's
    tracked: tuple[str, ...]  # code digests and versions that it would run with

    @property
    def subject(self) -> tuple[str, str]:
        """Return the kind and the name of what it belongs to; features belong to a backbone."""
        for kind in ("experiment", "backbone", "dataset", "trial"):
            if kind in self.wildcards:
                return kind, self.wildcards[kind]
        for path in self.outputs if not self.wildcards else ():  # one that imports videos
            if (match := OF_DATASET.search(path)) is not None:
                return "dataset", match[1]
        return "report", ""

    @property
    def provenance(self) -> Path | None:
        """Return where its provenance lies; None for a job that has none."""
        names = (path for path in self.outputs if path.endswith(".provenance.json"))
        return next(map(Path, names), None)

    @cached_property
    def last(self) -> Provenance | None:
        """The provenance of its last run; None where it never ran, or another version wrote it."""
        return None if self.provenance is None else recorded(self.provenance)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What its command would be given."""
        given = SETTINGS.search(self.line)
        if given is None:
            return {}
        text = given[1]
        if text == "-":
            listed = ON_INPUT.search(self.line)
            text = listed[1] if listed else "{}"
        else:
            text = text.removeprefix("'").removesuffix("'").replace("'\"'\"'", "'")
        settings: dict[str, Any] = json.loads(text)
        return settings


def recorded(provenance: Path) -> Provenance | None:
    """Return the provenance of a job; None where there is none, or another version wrote it."""
    try:
        return Provenance.read(provenance)
    except UserError:
        return None


def rules_of_the_project() -> list[str]:
    """Return the option that names the project's rules, where the current folder has none."""
    here = any(Path(name).is_file() for name in SNAKEFILES)
    return [] if here else ["--snakefile", str(RULES)]


def planned_jobs(*arguments: str, folder: Path | None = None) -> list[PlannedJob]:
    """Return what ``snakemake -n`` would run, in its order.

    Args:
        arguments: further ones of Snakemake's.
        folder: where it works; by default the current one.

    Raises:
        SystemExit: Snakemake refused; it has said why.
    """
    call = [sys.executable, "-m", "snakemake", "-n", "--logger", "plan", *arguments]
    path = os.pathsep.join(filter(None, (str(PLUGINS), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        call, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.returncode)
    return read_jobs(done.stdout.splitlines())


def read_jobs(lines: Iterable[str]) -> list[PlannedJob]:
    """Return the jobs that the logger printed, the target rule aside, which computes nothing.

    Raises:
        RuntimeError: it printed fewer than Snakemake counts.
    """
    jobs: list[PlannedJob] = []
    tracked: dict[str, tuple[str, ...]] = {}
    total = printed = 0
    for line in lines:
        job = json.loads(line)
        if "total" in job:
            total = job["total"]
            continue
        printed += 1
        command = job["command"]
        if command is None:
            continue
        tracked.setdefault(command, tuple(job.get("tracked", ())))
        jobs.append(
            PlannedJob(
                rule=job["rule_name"],
                wildcards=job["wildcards"],
                reason=job["reason"],
                inputs=tuple(job["input"]),
                outputs=tuple(job["output"]),
                line=job["shellcmd"],
                tracked=tracked[command],
            )
        )
    if printed != total:
        raise RuntimeError(f"Snakemake counts {total} jobs, and the logger printed {printed}")
    return jobs
