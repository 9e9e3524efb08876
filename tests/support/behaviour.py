"""Results of rollouts, language test and latency, without a policy."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import SimulateSettings, World, unseen_episodes
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.files import write_json
from mobile_vla.language.language import listening
from mobile_vla.rollout.drivers import Expert
from mobile_vla.rollout.outcomes import summary
from mobile_vla.rollout.simulation import Rollout, roll_out
from mobile_vla.rollout.trajectories import paths_and_strips

SCENES = 8
LIMIT = 30


class Straight(Expert):
    """Drives straight ahead, and hits most boxes."""

    def commands(self, step: int, poses: Any, frames: np.ndarray | None) -> np.ndarray:
        return np.tile(np.float32([1.15, 0, 0]), (len(poses), 1))


@cache
def _driven() -> tuple[list[SimulateSettings], dict[str, list[Rollout]], dict[str, np.ndarray]]:
    episodes = list(unseen_episodes(World(), SCENES).values())
    options: dict[str, Any] = {"images": Images(), "limit": LIMIT, "batch_size": 16}
    expert = roll_out(episodes, Expert, **options)
    blind = roll_out(episodes, Straight, **options)
    own = [*expert[:10], *blind[10:]]
    driven = {"policy": own, "expert": expert, "replay": blind}
    return episodes, driven, paths_and_strips(episodes, driven, Images(), 2)


def write_rollouts(folder: Path, experiment: str, run: str) -> tuple[Path, Path]:
    """Write ``rollouts.json`` and ``rollouts.npz`` of somebody who hits some boxes."""
    episodes, driven, arrays = _driven()
    folder.mkdir(parents=True, exist_ok=True)
    stored: dict[str, Any] = arrays
    np.savez(folder / "rollouts.npz", **stored)
    write_json(
        folder / "rollouts.json",
        {
            "experiment": experiment,
            "run": run,
            "dataset": "demo",
            "scenes": SCENES,
            "rollouts": len(episodes),
            "execute": 1,
            "frame_limit": LIMIT,
            **summary(episodes, driven, Uncertainty(draws=1000)),
        },
    )
    return folder / "rollouts.json", folder / "rollouts.npz"


def write_language(folder: Path, experiment: str, run: str) -> Path:
    """Write ``language.json`` of a policy that listens."""
    sides = ["left", "right"] * 6
    random = np.random.default_rng(0)
    truth = np.zeros((24, 2, 2), dtype=np.float32)
    episode = np.repeat(np.arange(12), 2)
    lateral = np.where(np.array(sides)[episode] == "left", 1.15, -1.15)
    truth[..., 1] = lateral[:, None]
    noise = random.normal(0, 0.2, truth.shape)
    found = listening(
        {"right": truth + noise, "opposite": truth * [1, -1] + noise, "constant": noise},
        truth=truth,
        mask=np.ones((24, 2), dtype=bool),
        episode=episode,
        sides=sides,
        dimensions=("linear_x", "linear_y"),
        threshold=0.0575,
        uncertainty=Uncertainty(draws=1000),
    )
    write_json(folder / "language.json", {"experiment": experiment, "run": run, **found})
    return folder / "language.json"


def write_latency(folder: Path, experiment: str) -> Path:
    """Write ``latency.json`` in two number formats."""
    formats = [
        {
            "precision": precision,
            "seconds": {"min": step, "p50": step, "p95": 2 * step, "p99": 3 * step, "max": 1.0},
            "control_rate_hz": 1 / (3 * step),
            "memory_bytes": 500_000_000,
            "validation_mae": 0.25,
            "mae_change": 0.0,
        }
        for precision, step in (("fp32", 0.008), ("bf16", 0.005))
    ]
    path = folder / "latency.json"
    write_json(
        path,
        {
            "experiment": experiment,
            "run": "seed0",
            "device": "cpu",
            "device_name": "a processor",
            "threads": 1,
            "steps": 100,
            "memory_of": "the process, at its peak so far",
            "precisions": formats,
            "contended": experiment == "head_only",
        },
    )
    return path
