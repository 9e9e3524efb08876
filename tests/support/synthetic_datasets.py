"""Synthetic facts of episodes, and datasets made of them without raw files."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config.data import ManifestSettings
from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.manifest import manifest
from mobile_vla.data.result import ROLES, DatasetSplit, Episode, Fold, Manifest, SplitBasis
from mobile_vla.files import digest_of
from mobile_vla.ingest.result import (
    THUMBNAIL,
    EpisodeFacts,
    ImageStatistics,
    StrongColors,
    thumbnail_step,
)
from mobile_vla.ingest.scenario import parse_scenario
from mobile_vla.layout import ManifestFiles
from mobile_vla.result import FileDigest


def facts_of(name: str, frames: int = 18, **changes: Any) -> EpisodeFacts:
    """Return the facts of an episode without findings, with some of them changed."""
    side = parse_scenario(name)["side"]
    lateral = {"left": 1.15, "right": -1.15, None: 1.15}[side]
    # Its second half depends on the name, so that no two episodes are the same.
    extra = int(digest_of(name, 2), 16) % max(frames - 4, 1)
    actions = [[0.0, 0.0, 0.0]] + [
        [1.15, lateral if index < 2 or index == extra else 0.0, 0.0] for index in range(frames - 1)
    ]
    facts = {
        "episode": name,
        "file": f"raw/{name}.h5",
        "sha256": digest_of(["raw", name]),
        "size": 1000,
        "scenario": parse_scenario(name),
        "group": name,
        "frames": frames,
        "frame_file": FileDigest(sha256=digest_of(["frames", name]), size=1000),
        "raw_shape": (720, 1280, 3),
        "actions": actions,
        "event_types": ["episode_start"] + ["start_action"] * (frames - 1),
        "instruction": None,
        "attributes": {"num_frames": frames, "episode_name": name, "time_period": "dawn"},
        "image_statistics": ImageStatistics(
            mean=[120.0, 110.0, 100.0],
            frame_mean=[110.0] * frames,
            frame_std=[40.0] * frames,
            max=240,
            strong=StrongColors(red=0.2, blue=0.01),
            repeats=[],
            sharpness=[400.0] * frames,
            dark=[0.0] * frames,
            bright=[0.0] * frames,
            pan=[0.0] * frames,
            zoom=[0.0] * frames,
            change=[0.0] * frames,
            thumbnails=_thumbnails(name, frames),
        ),
        "errors": [],
    }
    return EpisodeFacts.model_validate({**facts, **changes})


def _thumbnails(name: str, frames: int) -> str:
    """Return thumbnails of nothing in particular, of no two episodes the same."""
    rng = np.random.default_rng(int(digest_of(name, 8), 16))
    picture = rng.integers(90, 130, size=(THUMBNAIL, THUMBNAIL), dtype=np.uint8).tobytes()
    count = len(range(0, frames, thumbnail_step(frames)))
    return base64.b64encode(picture * count).decode()


def changed(facts: EpisodeFacts, **changes: Any) -> EpisodeFacts:
    """Return facts of which some are changed."""
    return EpisodeFacts.model_validate({**dict(facts), **changes})


def write_facts(
    folder: Path, every: Sequence[EpisodeFacts], *, frames: Collection[str] = ()
) -> list[Path]:
    """Write facts as ``ingest`` does; return their files in the order given.

    The episodes named in ``frames`` get some, of one colour that the name decides.
    """
    paths = []
    for index, facts in enumerate(every):
        paths.append(folder / f"{index:04}" / f"{facts.episode}.json")
        facts.write(paths[-1])
        if facts.episode in frames:
            shade = np.array([int(digest_of(facts.episode, 2), 16), 90, 30], dtype=np.uint8)
            picture = np.broadcast_to(shade, (facts.frames, *FRAME_SHAPE))
            np.save(paths[-1].with_suffix(".npy"), picture)
    return paths


def names(count: int) -> list[str]:
    """Return names of episodes that pass left and right in turn."""
    sides = ("left", "right")
    return [
        f"episode_20251103_09{index:02d}00_1box_hori_{sides[index % 2]}_core_close"
        for index in range(count)
    ]


def make_frames(folder: Path, name: str, count: int) -> FileDigest:
    """Write random frames beside a manifest in ``folder``; return their identity."""
    path = folder / "episodes" / f"{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(int(digest_of(name, 8), 16))
    np.save(path, random.integers(0, 256, size=(count, *FRAME_SHAPE), dtype=np.uint8))
    return FileDigest.of(path)


def make_dataset(
    folder: Path, lengths: dict[str, int], *, frames: bool = False, name: str = "made"
) -> Dataset:
    """Return a dataset of episodes of the given names and lengths, with random frames on wish."""
    facts = [facts_of(name, count) for name, count in lengths.items()]
    if frames:
        facts = [
            changed(episode, frame_file=make_frames(folder, episode.episode, episode.frames))
            for episode in facts
        ]
    paths = write_facts(folder, facts)
    files = folder / "manifest.json", folder / "actions.npy"
    manifest(
        ManifestSettings(dataset=name, on_error="fail"),
        ManifestFiles(*files),
        facts=paths,
    )
    return Dataset.load(*files)


def rewrite_manifest(path: Path, episodes: Sequence[Episode]) -> None:
    """Write a manifest again with other episodes."""
    before = Manifest.read(path)
    before.model_copy(update={"episodes": tuple(episodes)}).write(path)


def write_roles(path: Path, roles: dict[str, Sequence[str]], dataset: str = "made") -> None:
    """Write a ``split.json`` of one fold with the roles given."""
    listed = {role: tuple(roles.get(role, ())) for role in ROLES}
    fold = Fold(held_out=None, roles=listed, unused=(), cells=())
    basis = SplitBasis(seed=0, stratify_by=())
    DatasetSplit(dataset=dataset, settings=basis, folds=(fold,)).write(path)
