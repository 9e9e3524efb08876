"""Trajectories and film strips of rollouts: the content of ``rollouts.npz``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.rollout.simulation import FinishedRollout, frame_of
from mobile_vla.simulator.world import Pose

STRIP = 6  # images of a film strip
REDUCED = 2  # an image keeps every other pixel of a frame: 112 × 112


def trajectory_arrays(
    episodes: Sequence[SimulateSettings],
    rollouts: Mapping[str, Sequence[FinishedRollout]],
    images: Images,
    count: int,
) -> dict[str, np.ndarray]:
    """Return the content of ``rollouts.npz`` for N rollouts; see docs/architecture.md.

    Args:
        episodes: scene and side of each.
        rollouts: by driver.
        images: how the camera's images become frames.
        count: film strips of the policy's rollouts.
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
    rollouts: Sequence[FinishedRollout], shown: np.ndarray, images: Images
) -> tuple[np.ndarray, np.ndarray]:
    """Return each strip's frames (S, 6), and the images (S, 6, 112, 112, 3) uint8."""
    frames = [
        np.linspace(0, len(rollouts[row].poses) - 1, STRIP).round().astype(int) for row in shown
    ]
    views = [
        frame_of(rollouts[row].scene, Pose(*rollouts[row].poses[frame]), images)
        for row, of_strip in zip(shown, frames, strict=True)
        for frame in of_strip
    ]
    if not views:
        side = FRAME_SIZE // REDUCED
        return np.zeros((0, STRIP), int), np.zeros((0, STRIP, side, side, 3), np.uint8)
    small = np.stack(views)[:, ::REDUCED, ::REDUCED]
    return np.stack(frames), small.reshape(len(shown), STRIP, *small.shape[1:])
