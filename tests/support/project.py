"""The project in a folder of its own, and Snakemake run there as a user would run it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SMALL = """\
datasets:
  demo:
    kind: simulated
    simulation: {scenes: 6, world: {frames: 15}}
    split: {train: 0.5, val: 0.25, test: 0.25, stratify_by: [side]}
backbones:
  tiny:
    weights: random
    vision: {hidden_size: 16, layers: 1, heads: 2, ffn: 32}
    text: {hidden_size: 32, layers: 1, heads: 2, ffn: 32, vocabulary: 1500, dropout: 0}
    image_tokens: 4
defaults:
  dataset: demo
  backbone: tiny
  window: 3
  chunk: 4
  prompt: {template: "pass on the {side}"}
  head: {hidden_size: 8}
  timing: {warmup_steps: 1, steps: 3}
  latency: {warmup_steps: 1, steps: 20}
  rollout: {scenes: 1, film_strips: 1}
  training: {epochs: 2, batch_size: 8, learning_rate: 1e-3, precision: fp32}
experiments:
  lora:
    lora: {r: 4}
  head_only:
    finetune: none
"""


@dataclass
class Finished:
    """What a run of Snakemake printed, and its exit status."""

    status: int
    output: str

    def jobs(self) -> dict[str, int]:
        """Return how many jobs of each rule a dry run planned; ``all`` aside.

        Those that import videos have a rule each, and count as one rule's.
        """
        table = re.search(r"^job +count\n-+ +-+\n(.*?)\n\n", self.output, re.S | re.M)
        if table is None:
            return {}
        jobs = Counter[str]()
        for line in table.group(1).splitlines():
            name, count = line.split()
            if name not in ("all", "total"):
                jobs["import_videos" if name.startswith("import_videos_") else name] += int(count)
        return dict(jobs)


class Project:
    """A copy of what git would give a new user, with a configuration of its own.

    Args:
        folder: where to.
        config: text of its ``config.yaml``; None keeps the shipped one.
    """

    environment: Mapping[str, str] = os.environ
    """What Snakemake is started with."""

    python: str = sys.executable
    """What starts Snakemake and its jobs: an interpreter, or a program that forks one."""

    def __init__(self, folder: Path, config: str | None = SMALL):
        self.folder = folder
        listed = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.splitlines():
            if name.startswith("tests/") or not (ROOT / name).is_file():
                continue
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        if config is not None:
            self.config = config

    @classmethod
    def at(cls, folder: Path) -> Project:
        """Return the project of a folder that is there."""
        project = cls.__new__(cls)
        project.folder = folder
        return project

    @property
    def config(self) -> str:
        """Text of ``config.yaml``."""
        return (self.folder / "config.yaml").read_text()

    @config.setter
    def config(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file; it must be there."""
        file = self.folder / name
        text = file.read_text()
        assert old in text, f"{name} does not hold {old!r}"
        file.write_text(text.replace(old, new))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake as in a terminal, with the environment's programs on the path.

        It leads a process group of its own, so that a test can do to it what Ctrl-C does.
        """
        path = f"{Path(sys.executable).parent}:{self.environment['PATH']}"
        environment = {**self.environment, "PATH": path}
        environment.pop("PYTHONPATH", None)
        return subprocess.Popen(
            [self.python, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def snakemake(self, *arguments: str, timeout: float = 1800) -> Finished:
        """Run Snakemake to its end."""
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # or it would go on beside the next tests
            raise
        return Finished(process.returncode, output)

    def plan(self, *arguments: str) -> dict[str, int]:
        """Return the jobs of a dry run, by rule."""
        finished = self.snakemake("-n", *arguments)
        assert finished.status == 0, finished.output
        return finished.jobs()

    def build(self, *arguments: str, timeout: float = 1800) -> Finished:
        """Run the workflow to its end."""
        finished = self.snakemake("--cores", "2", *arguments, timeout=timeout)
        assert finished.status == 0, finished.output
        return finished

    def copy(self, folder: Path) -> Project:
        """Copy the whole folder, results and all, as ``cp -r`` does."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project.at(folder)
