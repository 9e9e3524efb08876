"""Ingest a recorded dataset of a config.yaml, as the workflow does, without Snakemake."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobile_vla.config.loading import read_with_source
from mobile_vla.data.manifest import manifest
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.recorded import recorded_episodes, recorded_files
from mobile_vla.layout import EpisodeFiles, ManifestFiles

CONFIG = """\
datasets:
  theirs:
    kind: recorded
    path: {path}
    pattern: "*.hdf5"
    images: {{color: rgb}}
    fields:
      episodes: data/demo_*
      images: obs/agentview_image
      actions: actions
      instruction: "@ep_meta/lang"
      state: obs/robot0_base_pos
backbones:
  tiny: {{weights: random}}
defaults: {{dataset: theirs, backbone: tiny, window: 2, chunk: 3}}
experiments:
  lora: {{}}
"""
"""A configuration for a file that ``support.hdf5_layouts.write_robomimic`` wrote."""


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files without a child, which saves a fork; what it is for is tested in test_ingest."""
    for module in ("ingest", "groups"):
        name = f"mobile_vla.ingest.{module}.isolated"
        monkeypatch.setattr(name, lambda work: work(lambda place: None))


def ingested(folder: Path, name: str = "theirs") -> ManifestFiles:
    """Ingest the episodes of a dataset of ``config.yaml`` in a folder, and make their manifest."""
    project, source = read_with_source(folder / "config.yaml")
    dataset, results = project.datasets[name], folder / "results"
    files = recorded_files(name, dataset, source)
    episodes = recorded_episodes(name, dataset, files, source, folder / "cache.json")
    raw_folder, facts = Path(dataset.path), []
    for episode, one in episodes.items():
        written = EpisodeFiles.below(results, dataset=name, episode=episode)
        relative = one.file.relative_to(raw_folder)
        ingest(one.settings, written, raw=relative, raw_folder=raw_folder)
        facts.append(written.facts)
    made = ManifestFiles.below(results, dataset=name)
    manifest(project.manifest(name), made, facts=facts)
    return made
