"""Results of rollouts, prompt-swap test and latency, without a policy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.bundle.result import (
    BundleOrigin,
    BundleRollouts,
    Certificate,
    InterleavedLatency,
    Parity,
    RobotCheck,
)
from mobile_vla.config.bundle import BundlePrecision
from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import SimulateSettings, World, unseen_episodes
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.driving.drivers import ExpertDriver
from mobile_vla.driving.simulation import FinishedRollout, roll_out
from mobile_vla.language.prompt_swap import SwapWindows, score_prompt_swap
from mobile_vla.language.result import SwappedRun
from mobile_vla.latency.result import ControlStepSeconds, LatencyResult, PrecisionLatency
from mobile_vla.model.result import TrainedOn
from mobile_vla.result import FileDigest
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.rollout.summary import (
    compare_drivers,
    scene_outcomes,
    summarise_driver,
    trajectory_arrays,
)
from mobile_vla.statistics.proportions import proportion
from mobile_vla.statistics.result import PairedMean

SCENES = 8
LIMIT = 30
UNCERTAINTY = Uncertainty(draws=1000)


class StraightDriver(ExpertDriver):
    """Drives straight ahead, and hits most boxes."""

    def commands(self, step: int, poses: Any, frames: np.ndarray | None) -> np.ndarray:
        return np.tile(np.float32([1.15, 0, 0]), (len(poses), 1))


@cache
def _rolled_out() -> tuple[
    list[SimulateSettings], dict[str, list[FinishedRollout]], dict[str, np.ndarray]
]:
    episodes = list(unseen_episodes(World(), SCENES).values())
    options: dict[str, Any] = {"images": Images(), "limit": LIMIT, "batch_size": 16}
    expert = roll_out(episodes, ExpertDriver, **options)
    straight = roll_out(episodes, StraightDriver, **options)
    policy = [*expert[:10], *straight[10:]]
    rollouts = {"policy": policy, "expert": expert, "replay": straight}
    return episodes, rollouts, trajectory_arrays(episodes, rollouts, [Images()] * len(episodes), 2)


def write_rollouts(folder: Path, experiment: str, run: str) -> tuple[Path, Path]:
    """Write ``rollouts.json`` and ``rollouts.npz`` of a policy that hits some boxes."""
    episodes, rollouts, arrays = _rolled_out()
    folder.mkdir(parents=True, exist_ok=True)
    stored: dict[str, Any] = arrays
    np.savez(folder / "rollouts.npz", **stored)
    RolloutResult(
        experiment=experiment,
        run=run,
        dataset="demo",
        manifest="d" * 64,
        scenes=SCENES,
        rollouts=len(episodes),
        execute=1,
        frame_limit=LIMIT,
        drivers={
            name: summarise_driver(episodes, of_driver, rollouts["expert"], UNCERTAINTY)
            for name, of_driver in rollouts.items()
        },
        against_replay=compare_drivers(episodes, rollouts, "replay", UNCERTAINTY),
        against_expert=compare_drivers(episodes, rollouts, "expert", UNCERTAINTY),
        each=scene_outcomes(episodes, rollouts),
        paths_file=FileDigest.of(folder / "rollouts.npz"),
    ).write(folder / "rollouts.json")
    return folder / "rollouts.json", folder / "rollouts.npz"


def swapped_run(experiment: str = "made", run: str = "seed0") -> SwappedRun:
    """Return a run under the prompts of the prompt-swap test."""
    prompts = {"right": ["to the left"], "opposite": ["to the right"], "constant": ["drive"]}
    return SwappedRun(
        experiment=experiment,
        run=run,
        dataset="demo",
        manifest="d" * 64,
        split="5" * 64,
        scored_on="test",
        prompts=prompts,
    )


def write_language(folder: Path, experiment: str, run: str) -> Path:
    """Write ``language.json`` of a policy that follows its prompt."""
    sides = ["left", "right"] * 6
    random = np.random.default_rng(0)
    truth = np.zeros((24, 2, 2), dtype=np.float32)
    episode = np.repeat(np.arange(12), 2)
    lateral = np.where(np.array(sides)[episode] == "left", 1.15, -1.15)
    truth[..., 1] = lateral[:, None]
    noise = random.normal(0, 0.2, truth.shape)
    windows = SwapWindows(
        truth=truth,
        mask=np.ones((24, 2), dtype=bool),
        episode=episode,
        groups=[str(index) for index in range(12)],
        sides=sides,
        dimensions=("linear_x", "linear_y"),
    )
    predicted = {"right": truth + noise, "opposite": truth * [1, -1] + noise, "constant": noise}
    named = swapped_run(experiment, run)
    result = score_prompt_swap(named, predicted, windows, 0.0575, UNCERTAINTY)
    result.write(folder / "language.json")
    return folder / "language.json"


def write_latency(folder: Path, experiment: str) -> Path:
    """Write ``latency.json`` in two number formats."""
    precisions = [
        PrecisionLatency(
            precision=precision,
            seconds=ControlStepSeconds(min=step, p50=step, p95=2 * step, p99=3 * step, max=1.0),
            control_rate_hz=1 / (3 * step),
            memory_bytes=500_000_000,
            validation_mae=0.25,
            mae_change=0.0,
        )
        for precision, step in (("fp32", 0.008), ("bf16", 0.005))
    ]
    path = folder / "latency.json"
    LatencyResult(
        experiment=experiment,
        run="seed0",
        device="cpu",
        device_name="a processor",
        threads=1,
        warmup_steps=10,
        steps=100,
        precisions=precisions,
        load_average=0.4,
        contended=experiment == "head_only",
    ).write(path)
    return path


def certificate_of(
    experiment: str, precision: BundlePrecision, failures: Sequence[str] = (), busy: bool = False
) -> Certificate:
    """Return a bundle's certificate."""
    step = ControlStepSeconds(min=0.001, p50=0.0015, p95=0.002, p99=0.003, max=0.004)
    change = PairedMean(
        mean=0.001, low=-0.002, high=0.004, confidence=0.95, method="bootstrap-t", units=22
    )
    mean = 2e-7 if precision == "fp32" else 0.0049
    return Certificate(
        experiment=experiment,
        run="seed0",
        precision=precision,
        passed=not failures,
        failures=list(failures),
        bundle="0" * 64,
        origin=BundleOrigin(
            policy="1" * 64,
            backbone="2" * 64,
            data=TrainedOn(dataset="demo", manifest="3" * 64, split="4" * 64, fold=0, subset=None),
        ),
        limit=1e-4,
        bytes=3_400_000,
        parity=Parity(
            episodes=22,
            frames=440,
            max_difference=20 * mean,
            mean_difference=mean,
            prompts=2,
            max_prompt_difference=mean,
            mae=0.22,
            bundle_mae=0.221,
            mae_change=change,
        ),
        rollouts=BundleRollouts(
            rollouts=80,
            success=proportion(67, 80, UNCERTAINTY),
            bundle_success=proportion(66, 80, UNCERTAINTY),
            better=1,
            worse=2,
            difference=change,
            margin=0.05,
            not_worse=precision == "fp32",
        ),
        latency=InterleavedLatency(
            threads=1,
            steps=100,
            bundle=step,
            torch={"fp32": step},
            load_average=0.4,
            contended=busy,
        ),
        alone=None
        if failures
        else RobotCheck(
            bundle="0" * 64,
            probe_difference=1e-6,
            start_seconds=0.3,
            steps=100,
            seconds=step,
            memory_bytes=85_000_000,
            threads=1,
            providers=["CPUExecutionProvider"],
            versions={"onnxruntime": "1.32.0"},
            processor="a processor",
            machine="x86_64",
        ),
    )
