"""Summarise rollouts: outcomes and comparisons, trajectories and film strips."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import SIDES, SimulateSettings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.driving.outcome import OUTCOMES
from mobile_vla.driving.simulation import FinishedRollout, frame_of
from mobile_vla.rollout.result import (
    DriverComparison,
    DriverResult,
    PathLengthRatio,
    SceneOutcomes,
)
from mobile_vla.simulator.world import Pose
from mobile_vla.statistics.intervals import FEWEST
from mobile_vla.statistics.proportions import paired_mean, proportion
from mobile_vla.statistics.result import Proportion

Rollouts = Mapping[str, Sequence[FinishedRollout]]
"""N rollouts by driver: ``policy``, ``expert`` and ``replay``, in the same scenes."""


def success_rate(rollouts: Sequence[FinishedRollout], uncertainty: Uncertainty) -> Proportion:
    """Return the proportion of rollouts that succeed."""
    succeeded = sum(rollout.outcome == "success" for rollout in rollouts)
    return proportion(succeeded, len(rollouts), uncertainty)


def summarise_driver(
    episodes: Sequence[SimulateSettings],
    rollouts: Sequence[FinishedRollout],
    expert: Sequence[FinishedRollout],
    uncertainty: Uncertainty,
) -> DriverResult:
    """Summarise the N rollouts of a driver.

    The Wilson intervals take each rollout as independent: they show the precision of a driver's
    proportion, and no verdict rests on them.
    """
    counts = Counter(rollout.outcome for rollout in rollouts)
    ratios = [
        rollout.length / other.length
        for rollout, other in zip(rollouts, expert, strict=True)
        if rollout.outcome == other.outcome == "success"
    ]
    successes = defaultdict(list)
    for episode, rollout in zip(episodes, rollouts, strict=True):
        successes[episode.side].append(rollout.outcome == "success")
    return DriverResult(
        success=success_rate(rollouts, uncertainty),
        outcomes={outcome: counts[outcome] for outcome in OUTCOMES},
        success_by_side={
            side: proportion(sum(successes[side]), len(successes[side]), uncertainty)
            for side in SIDES
        },
        path_length_ratio=PathLengthRatio(
            rollouts=len(ratios), median=float(np.median(ratios)) if ratios else None
        ),
    )


def compare_drivers(
    episodes: Sequence[SimulateSettings],
    rollouts: Rollouts,
    other: Literal["replay", "expert"],
    uncertainty: Uncertainty,
) -> DriverComparison:
    """Compare the policy with another driver.

    Both sides of a scene are dependent, so the bootstrap draws scenes.
    """
    gains = [
        int(policy.outcome == "success") - int(reference.outcome == "success")
        for policy, reference in zip(rollouts["policy"], rollouts[other], strict=True)
    ]
    difference = paired_mean(gains, uncertainty, [episode.scene for episode in episodes])
    verdict = "inconclusive"
    if difference.units >= FEWEST and (difference.above(0) or difference.below(0)):
        verdict = f"{'better' if difference.above(0) else 'worse'} than the {other}"
    return DriverComparison(difference=difference, verdict=verdict)


def scene_outcomes(episodes: Sequence[SimulateSettings], rollouts: Rollouts) -> list[SceneOutcomes]:
    """List the outcomes of all drivers by scene and side."""
    return [
        SceneOutcomes(
            scene=episode.scene,
            side=episode.side,
            distance=episode.distance,
            layout=episode.layout,
            policy=policy.outcome,
            expert=expert.outcome,
            replay=replay.outcome,
        )
        for episode, policy, expert, replay in zip(
            episodes, rollouts["policy"], rollouts["expert"], rollouts["replay"], strict=True
        )
    ]


STRIP = 6  # images of a film strip
REDUCED = 2  # an image keeps every other pixel of a frame: 112 × 112


def trajectory_arrays(
    episodes: Sequence[SimulateSettings],
    rollouts: Mapping[str, Sequence[FinishedRollout]],
    images: Sequence[Images],
    count: int,
) -> dict[str, np.ndarray]:
    """Return the content of ``rollouts.npz``, with ``count`` film strips of the policy.

    ``images`` are of each rollout how its pictures become frames.
    """
    scenes = [rollout.scene for rollout in rollouts["policy"]]
    boxes = [(scene.box.x, scene.box.y, scene.box.depth, scene.box.width) for scene in scenes]
    targets = [(scene.target.x, scene.target.y) for scene in scenes]
    arrays = {
        "scene": np.array([episode.scene for episode in episodes]),
        "side": np.array([episode.side for episode in episodes]),
        "box": np.array(boxes),  # (N, 4)
        "target": np.array(targets),  # (N, 2)
    }
    for driver, of_driver in rollouts.items():
        longest = max(len(rollout.poses) for rollout in of_driver)
        poses = np.full((len(of_driver), longest, 2), np.nan)
        for row, rollout in enumerate(of_driver):
            poses[row, : len(rollout.poses)] = rollout.poses
        arrays[f"{driver}_poses"] = poses
        arrays[f"{driver}_outcome"] = np.array([rollout.outcome for rollout in of_driver])
    shown = _shown(rollouts["policy"], count)
    frames, strips = _film_strips(rollouts["policy"], shown, images)
    return {**arrays, "strip_rollout": shown, "strip_frame": frames, "strip": strips}


def _shown(rollouts: Sequence[FinishedRollout], count: int) -> np.ndarray:
    """Return which rollouts become film strips: half of them failures, as far as there are any."""
    succeeded = [row for row, rollout in enumerate(rollouts) if rollout.outcome == "success"]
    failed = [row for row, rollout in enumerate(rollouts) if rollout.outcome != "success"]
    failures = min(len(failed), max(count // 2, count - len(succeeded)))
    chosen = [*succeeded[: count - failures], *failed[:failures]]
    return np.array(sorted(chosen), dtype=np.int64)


def _film_strips(
    rollouts: Sequence[FinishedRollout], shown: np.ndarray, images: Sequence[Images]
) -> tuple[np.ndarray, np.ndarray]:
    """Return each strip's frames (S, 6), and the images (S, 6, 112, 112, 3) uint8."""
    frames = [
        np.linspace(0, len(rollouts[row].poses) - 1, STRIP).round().astype(int) for row in shown
    ]
    views = [
        frame_of(rollouts[row].scene, Pose(*rollouts[row].poses[frame]), images[row])
        for row, of_strip in zip(shown, frames, strict=True)
        for frame in of_strip
    ]
    if not views:
        side = FRAME_SIZE // REDUCED
        return np.zeros((0, STRIP), int), np.zeros((0, STRIP, side, side, 3), np.uint8)
    small = np.stack(views)[:, ::REDUCED, ::REDUCED]
    return np.stack(frames), small.reshape(len(shown), STRIP, *small.shape[1:])
