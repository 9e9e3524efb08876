"""Closed loop: let a run's policy drive in scenes that it has never seen."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.rollout import RolloutSettings
from mobile_vla.config.simulator import SimulateSettings, unseen_episodes
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.roles import load_split
from mobile_vla.data.scenario import parse_scenario
from mobile_vla.evaluation.driving import summary
from mobile_vla.evaluation.loaded import load_policy
from mobile_vla.evaluation.pilots import Expert, Replay, Steering, Usual
from mobile_vla.evaluation.trial import Pilot, Rollout, frame_of, roll_out
from mobile_vla.files import atomic_path, describe, write_json
from mobile_vla.machine import default_device, use_threads
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve
from mobile_vla.model.prompts import PromptTable
from mobile_vla.model.stream import Stream
from mobile_vla.simulator.drive import instruction
from mobile_vla.simulator.world import Pose
from mobile_vla.training.run import identity_of

log = logging.getLogger(__name__)

STRIP = 6  # pictures of a film strip
REDUCED = 2  # a picture keeps every other pixel of a frame: 112 × 112


def rollout(
    settings: RolloutSettings,
    *,
    policy: Path,
    manifest: Path,
    actions: Path,
    split: Path,
    backbone: Path,
    threads: int,
    rollouts: Path,
    paths: Path,
) -> None:
    """Roll out a policy, the expert and the usual keys on the same unseen scenes.

    Args:
        settings: the run, its world and how it is rolled out.
        policy: its ``policy.json``.
        manifest: the dataset's ``manifest.json``.
        actions: the dataset's ``actions.npy``.
        split: the dataset's ``split.json``: the usual keys are those of the training episodes.
        backbone: the ``backbone.json``.
        threads: cores that the job was given.
        rollouts: ``rollouts.json`` to write, last.
        paths: ``rollouts.npz`` to write: where everybody went, and film strips.

    Raises:
        UserError: the policy is not the one of these settings or this backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    dataset = Dataset.load(manifest, actions)
    train = load_split(split, dataset, settings.fold, settings.subset).of["train"]
    identity = identity_of(dataset, split, settings.fold, settings.subset)
    checkpoint = Checkpoint.read(backbone)
    precision = resolve(settings.precision, default_device())
    loaded = load_policy(policy, settings.policy, identity, precision, checkpoint)
    own = settings.rollout
    episodes = list(unseen_episodes(settings.world, own.scenes).values())
    prompt_of = _ask(loaded, checkpoint.processor(), episodes)
    usual = Usual(dataset, train)

    def steering(batch: Sequence[SimulateSettings]) -> Pilot:
        stream = Stream(loaded, [prompt_of[one.episode] for one in batch], precision)
        return Steering(stream, settings.target, own.execute)

    pilots: dict[str, Callable[[Sequence[SimulateSettings]], Pilot]] = {
        "policy": steering,
        "expert": Expert,
        "replay": lambda batch: Replay(usual, batch),
    }
    limit = math.ceil(settings.world.frames * own.time_limit)
    driven = {
        name: roll_out(
            episodes, pilot_of, images=settings.images, limit=limit, batch_size=own.batch_size
        )
        for name, pilot_of in pilots.items()
    }
    arrays: dict[str, Any] = _arrays(settings, episodes, driven)
    with atomic_path(paths) as temporary:
        np.savez(temporary, **arrays)
    result = {
        "experiment": settings.experiment,
        "run": settings.run,
        "dataset": dataset.name,
        "manifest": dataset.digest,
        "world": settings.world.model_dump(mode="json"),
        "scenes": own.scenes,
        "rollouts": len(episodes),
        "execute": own.execute,
        "frame_limit": limit,
        **summary(episodes, driven),
        "paths_file": describe(paths),
    }
    write_json(rollouts, result)
    shares = {name: found["success"]["rate"] for name, found in result["drivers"].items()}
    log.info(
        "%s %s: %d rollouts in %d unseen scenes, success: %s; %s, %s",
        settings.experiment,
        settings.run,
        len(episodes),
        own.scenes,
        ", ".join(f"{name} {share:.0%}" for name, share in shares.items()),
        result["against_replay"]["verdict"],
        result["against_expert"]["verdict"],
    )


def _ask(policy: Policy, processor: Any, episodes: Sequence[SimulateSettings]) -> dict[str, int]:
    """Give the policy the prompts of episodes; return the index of each one's."""
    values = [{**parse_scenario(one.episode), "instruction": instruction(one)} for one in episodes]
    names = [one.episode for one in episodes]
    table = PromptTable.of(policy.settings.prompt, values, names)
    policy.use_prompts(table.texts, processor)
    return dict(zip(names, table.of_episode, strict=True))


def _arrays(
    settings: RolloutSettings,
    episodes: Sequence[SimulateSettings],
    driven: dict[str, list[Rollout]],
) -> dict[str, np.ndarray]:
    """Return what ``rollouts.npz`` holds of N rollouts; see docs/architecture.md."""
    scenes = [one.scene for one in driven["policy"]]
    boxes = [(one.box.x, one.box.y, one.box.depth, one.box.width) for one in scenes]
    arrays = {
        "scene": np.array([one.scene for one in episodes]),
        "side": np.array([one.side for one in episodes]),
        "box": np.array(boxes),  # (N, 4)
        "target": np.array([(one.target.x, one.target.y) for one in scenes]),  # (N, 2)
    }
    for name, found in driven.items():
        longest = max(len(one.poses) for one in found)
        poses = np.full((len(found), longest, 2), np.nan)
        for row, one in enumerate(found):
            poses[row, : len(one.poses)] = one.poses
        arrays[f"{name}_poses"] = poses
        arrays[f"{name}_outcome"] = np.array([one.outcome for one in found])
    shown = _shown(driven["policy"], settings.rollout.film_strips)
    frames, pictures = _strips(settings, driven["policy"], shown)
    return {**arrays, "strip_rollout": shown, "strip_frame": frames, "strip": pictures}


def _shown(found: Sequence[Rollout], count: int) -> np.ndarray:
    """Return which rollouts become film strips: half of them failures, as far as there are any."""
    succeeded = [row for row, one in enumerate(found) if one.outcome == "success"]
    failed = [row for row, one in enumerate(found) if one.outcome != "success"]
    failures = min(len(failed), max(count // 2, count - len(succeeded)))
    chosen = [*succeeded[: count - failures], *failed[:failures]]
    return np.array(sorted(chosen), dtype=np.int64)


def _strips(
    settings: RolloutSettings, found: Sequence[Rollout], shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each strip's frames (S, 6), and the pictures (S, 6, 112, 112, 3) uint8."""
    frames = [np.linspace(0, len(found[row].poses) - 1, STRIP).round().astype(int) for row in shown]
    pictures = [
        frame_of(found[row].scene, Pose(*found[row].poses[frame]), settings.images)
        for row, own in zip(shown, frames, strict=True)
        for frame in own
    ]
    if not pictures:
        side = 224 // REDUCED
        return np.zeros((0, STRIP), int), np.zeros((0, STRIP, side, side, 3), np.uint8)
    small = np.stack(pictures)[:, ::REDUCED, ::REDUCED]
    return np.stack(frames), small.reshape(len(shown), STRIP, *small.shape[1:])
