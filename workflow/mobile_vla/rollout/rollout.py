"""Evaluate a run's policy in closed loop, in unseen scenes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.rollout import RolloutSettings
from mobile_vla.config.simulator import SimulateSettings, unseen_episodes
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.roles import load_split
from mobile_vla.driving.drivers import ExpertDriver, FrequentActions, PolicyDriver, ReplayDriver
from mobile_vla.driving.scenes import DrivenWorld, driven_worlds, prompts_of
from mobile_vla.driving.simulation import BatchDriver, roll_out
from mobile_vla.files import atomic_path
from mobile_vla.layout import RolloutFiles
from mobile_vla.machine import default_device, use_threads
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve
from mobile_vla.model.streaming import Stream
from mobile_vla.result import FileDigest
from mobile_vla.rollout.result import RolloutResult, WorldRollouts
from mobile_vla.rollout.summary import (
    compare_drivers,
    scene_outcomes,
    success_rate,
    summarise_driver,
    trajectory_arrays,
)
from mobile_vla.runs.data import PolicyInputs, trained_on
from mobile_vla.runs.policy import open_policy

log = logging.getLogger(__name__)


def rollout(
    settings: RolloutSettings, inputs: PolicyInputs, outputs: RolloutFiles, *, threads: int
) -> None:
    """Roll out a policy, the expert and the replay of commands on the same unseen scenes.

    Raises:
        UserError: the policy is not the one of these settings or this backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    dataset = Dataset.load(inputs.manifest, inputs.actions)
    train = load_split(inputs.split, dataset, settings.fold, settings.subset).of["train"]
    origin = trained_on(dataset, inputs.split, settings)
    checkpoint = Checkpoint.read(inputs.backbone, inputs.checkpoint)
    precision = resolve(settings.precision, default_device())
    policy = open_policy(inputs.policy, settings.policy, origin, precision, checkpoint)
    scenes, batch_size = settings.rollout.scenes, settings.rollout.batch_size
    worlds = driven_worlds(settings.worlds, unseen_episodes, scenes, settings.rollout.time_limit)
    episodes = [episode for world in worlds for episode in world.episodes]
    prompt_of = use_prompts(policy, checkpoint.processor(), worlds)
    frequent = FrequentActions(dataset, train)

    def policy_driver(batch: Sequence[SimulateSettings]) -> BatchDriver:
        stream = Stream(policy, [prompt_of[episode.episode] for episode in batch], precision)
        return PolicyDriver(stream, settings.windows.target, settings.rollout.execute)

    drivers: dict[str, Callable[[Sequence[SimulateSettings]], BatchDriver]] = {
        "policy": policy_driver,
        "expert": ExpertDriver,
        "replay": lambda batch: ReplayDriver(frequent, batch),
    }
    by_world = {
        name: [
            roll_out(
                world.episodes,
                driver_of,
                images=world.images,
                limit=world.limit,
                batch_size=batch_size,
            )
            for world in worlds
        ]
        for name, driver_of in drivers.items()
    }
    rollouts = {name: [one for own in each for one in own] for name, each in by_world.items()}
    images = [world.images for world in worlds for _ in world.episodes]
    arrays: dict[str, Any] = trajectory_arrays(
        episodes, rollouts, images, settings.rollout.film_strips
    )
    with atomic_path(outputs.paths) as temporary:
        np.savez(temporary, **arrays)
    uncertainty = settings.uncertainty
    result = RolloutResult(
        experiment=settings.experiment,
        run=settings.run,
        dataset=dataset.name,
        manifest=dataset.digest,
        scenes=scenes * len(worlds),
        rollouts=len(episodes),
        execute=settings.rollout.execute,
        frame_limit=max(world.limit for world in worlds),
        drivers={
            name: summarise_driver(episodes, of_driver, rollouts["expert"], uncertainty)
            for name, of_driver in rollouts.items()
        },
        against_replay=compare_drivers(episodes, rollouts, "replay", uncertainty),
        against_expert=compare_drivers(episodes, rollouts, "expert", uncertainty),
        by_dataset=[
            WorldRollouts(
                dataset=world.dataset,
                rollouts=len(world.episodes),
                frame_limit=world.limit,
                success={
                    name: success_rate(each[place], uncertainty) for name, each in by_world.items()
                },
            )
            for place, world in enumerate(worlds)
            if dataset.is_mixture
        ],
        each=scene_outcomes(episodes, rollouts),
        paths_file=FileDigest.of(outputs.paths),
    )
    result.write(outputs.rollouts)
    rates = [f"{name} {driver.success.rate:.0%}" for name, driver in result.drivers.items()]
    log.info(
        "%s: %d rollouts in %d unseen scenes, success: %s; %s, %s",
        settings.title,
        result.rollouts,
        result.scenes,
        ", ".join(rates),
        result.against_replay.verdict,
        result.against_expert.verdict,
    )


def use_prompts(policy: Policy, processor: Any, worlds: Sequence[DrivenWorld]) -> dict[str, int]:
    """Give the policy the prompts of episodes; return the index of each one's by its name."""
    table = prompts_of(policy.settings, worlds)
    policy.use_prompts(table.texts, processor)
    names = [episode.episode for world in worlds for episode in world.episodes]
    return dict(zip(names, table.of_episode, strict=True))
