"""What a figure needs of rollouts: where everybody went, and small pictures of some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.rollout.simulation import Rollout, frame_of
from mobile_vla.simulator.world import Pose

STRIP = 6  # pictures of a film strip
REDUCED = 2  # a picture keeps every other pixel of a frame: 112 × 112


def paths_and_strips(
    episodes: Sequence[SimulateSettings],
    driven: Mapping[str, Sequence[Rollout]],
    images: Images,
    count: int,
) -> dict[str, np.ndarray]:
    """Return what ``rollouts.npz`` holds of N rollouts; see docs/architecture.md.

    Args:
        episodes: scene and side of each.
        driven: by driver, what became of each.
        images: how the camera's images become frames.
        count: film strips of the policy's rollouts.
    """
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
    shown = _shown(driven["policy"], count)
    frames, pictures = _strips(driven["policy"], shown, images)
    return {**arrays, "strip_rollout": shown, "strip_frame": frames, "strip": pictures}


def _shown(found: Sequence[Rollout], count: int) -> np.ndarray:
    """Return which rollouts become film strips: half of them failures, as far as there are any."""
    succeeded = [row for row, one in enumerate(found) if one.outcome == "success"]
    failed = [row for row, one in enumerate(found) if one.outcome != "success"]
    failures = min(len(failed), max(count // 2, count - len(succeeded)))
    chosen = [*succeeded[: count - failures], *failed[:failures]]
    return np.array(sorted(chosen), dtype=np.int64)


def _strips(
    found: Sequence[Rollout], shown: np.ndarray, images: Images
) -> tuple[np.ndarray, np.ndarray]:
    """Return each strip's frames (S, 6), and the pictures (S, 6, 112, 112, 3) uint8."""
    frames = [np.linspace(0, len(found[row].poses) - 1, STRIP).round().astype(int) for row in shown]
    pictures = [
        frame_of(found[row].scene, Pose(*found[row].poses[frame]), images)
        for row, own in zip(shown, frames, strict=True)
        for frame in own
    ]
    if not pictures:
        side = FRAME_SIZE // REDUCED
        return np.zeros((0, STRIP), int), np.zeros((0, STRIP, side, side, 3), np.uint8)
    small = np.stack(pictures)[:, ::REDUCED, ::REDUCED]
    return np.stack(frames), small.reshape(len(shown), STRIP, *small.shape[1:])
