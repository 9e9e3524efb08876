"""A config.yaml written for a test: the project that it means, or what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobile_vla.config.loading import read_project
from mobile_vla.config.project import Project
from mobile_vla.errors import Problem, Problems

BASE = """\
datasets:
  demo: {kind: simulated, simulation: {scenes: 3}}
backbones:
  tiny: {weights: random}
defaults:
  dataset: demo
  backbone: tiny
  window: 4
  chunk: 10
experiments:
  lora: {}
"""


def load(text: str, folder: Path) -> Project:
    """Write the file and read it."""
    file = folder / "config.yaml"
    file.write_text(text)
    return read_project(file)


def problems(text: str, folder: Path) -> dict[str, Problem]:
    """Return what is wrong with it, by place: ``12 (experiments.lora.window)``."""
    with pytest.raises(Problems) as caught:
        load(text, folder)
    return {
        problem.place.removeprefix(f"{folder}/config.yaml:"): problem
        for problem in caught.value.problems
    }
