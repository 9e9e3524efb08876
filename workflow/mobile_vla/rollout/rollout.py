"""Closed loop: let a run's policy drive in scenes that it has never seen."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.rollout import RolloutSettings
from mobile_vla.config.simulator import SimulateSettings, unseen_episodes
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.prompts import PromptTable
from mobile_vla.data.roles import load_split
from mobile_vla.files import atomic_path, describe, write_json
from mobile_vla.ingest.scenario import parse_scenario
from mobile_vla.layout import RolloutFiles
from mobile_vla.machine import default_device, use_threads
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve
from mobile_vla.model.streaming import Stream
from mobile_vla.rollout.drivers import Expert, Replay, Steering, Usual
from mobile_vla.rollout.outcomes import summary
from mobile_vla.rollout.simulation import Pilot, roll_out
from mobile_vla.rollout.trajectories import paths_and_strips
from mobile_vla.runs.data import trained_on
from mobile_vla.runs.inputs import PolicyInputs
from mobile_vla.runs.policy import open_policy
from mobile_vla.simulator.driver import instruction

log = logging.getLogger(__name__)


def rollout(
    settings: RolloutSettings, inputs: PolicyInputs, outputs: RolloutFiles, *, threads: int
) -> None:
    """Roll out a policy, the expert and the replay of commands on the same unseen scenes.

    Args:
        settings: the run, its world and how it is rolled out.
        inputs: its policy and data; the replay repeats the training episodes' commands.
        outputs: the files to write.
        threads: cores that the job was given.

    Raises:
        UserError: the policy is not the one of these settings or this backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    dataset = Dataset.load(inputs.manifest, inputs.actions)
    train = load_split(inputs.split, dataset, settings.fold, settings.subset).of["train"]
    origin = trained_on(dataset, inputs.split, settings)
    checkpoint = Checkpoint.read(inputs.backbone)
    precision = resolve(settings.precision, default_device())
    loaded = open_policy(inputs.policy, settings.policy, origin, precision, checkpoint)
    own = settings.rollout
    episodes = list(unseen_episodes(settings.world, own.scenes).values())
    prompt_of = _ask(loaded, checkpoint.processor(), episodes)
    usual = Usual(dataset, train)

    def steering(batch: Sequence[SimulateSettings]) -> Pilot:
        stream = Stream(loaded, [prompt_of[one.episode] for one in batch], precision)
        return Steering(stream, settings.windows.target, own.execute)

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
    arrays: dict[str, Any] = paths_and_strips(episodes, driven, settings.images, own.film_strips)
    with atomic_path(outputs.paths) as temporary:
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
        **summary(episodes, driven, settings.uncertainty),
        "paths_file": describe(outputs.paths),
    }
    write_json(outputs.rollouts, result)
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
