"""Roll out a bundle beside PyTorch, in the same unseen scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mobile_vla.bundle import runtime
from mobile_vla.bundle.result import BundleRollouts
from mobile_vla.config.bundle import CertifySettings
from mobile_vla.config.simulator import SimulateSettings, unseen_episodes
from mobile_vla.driving.drivers import PolicyDriver, Streaming
from mobile_vla.driving.scenes import driven_worlds
from mobile_vla.driving.simulation import FinishedRollout, roll_out
from mobile_vla.model.policy import Policy
from mobile_vla.model.streaming import Stream
from mobile_vla.rollout.rollout import use_prompts
from mobile_vla.rollout.summary import success_rate
from mobile_vla.statistics.intervals import FEWEST
from mobile_vla.statistics.proportions import paired_mean, proportion

MARGIN = 0.05
"""The loss of success that counts as none: five points."""


class BundleStreams:
    """A bundle's streaming inference for several robots, as :class:`Stream` has it."""

    def __init__(self, policy: Policy, bundle: runtime.Bundle, prompts: Sequence[int]):
        self.policy = policy
        self.streams = [runtime.BundleStream(bundle, prompt) for prompt in prompts]

    def step(self, frames: np.ndarray) -> np.ndarray:
        """Return the chunks (B, C, A) of the newest frames (B, 224, 224, 3)."""
        return np.stack(
            [stream.step(frame) for stream, frame in zip(self.streams, frames, strict=True)]
        )

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots."""
        self.streams = [self.streams[robot] for robot in robots]


def roll_out_both(
    settings: CertifySettings, policy: Policy, processor: Any, bundle: runtime.Bundle
) -> BundleRollouts | None:
    """Roll out a policy in fp32 and its bundle; None where no world is known.

    It gives the policy the prompts of the scenes. Scenes whose prompt the bundle has not are left
    out.
    """
    known = {text: place for place, text in enumerate(policy.texts)}
    rollout = settings.rollout
    worlds = driven_worlds(settings.worlds, unseen_episodes, rollout.scenes, rollout.time_limit)
    prompt_of = use_prompts(policy, processor, worlds) if worlds else {}
    text_of = {name: policy.texts[place] for name, place in prompt_of.items()}

    def by_torch(batch: Sequence[SimulateSettings]) -> Streaming:
        return Stream(policy, [prompt_of[one.episode] for one in batch])

    def by_bundle(batch: Sequence[SimulateSettings]) -> Streaming:
        return BundleStreams(policy, bundle, [known[text_of[one.episode]] for one in batch])

    scenes: list[int] = []
    rollouts: list[list[FinishedRollout]] = [[], []]
    for world in worlds:
        episodes = [one for one in world.episodes if text_of[one.episode] in known]
        scenes += [one.scene for one in episodes]
        for found, stream_of in zip(rollouts, (by_torch, by_bundle), strict=True):
            found += roll_out(
                episodes,
                _drivers(settings, stream_of),
                images=world.images,
                limit=world.limit,
                batch_size=settings.rollout.batch_size,
            )
    return _compared(settings, scenes, *rollouts) if scenes else None


def _drivers(
    settings: CertifySettings, stream_of: Callable[[Sequence[SimulateSettings]], Streaming]
) -> Callable[[Sequence[SimulateSettings]], PolicyDriver]:
    target, execute = settings.windows.target, settings.rollout.execute
    return lambda batch: PolicyDriver(stream_of(batch), target, execute)


def _compared(
    settings: CertifySettings,
    scenes: Sequence[int],
    torch: Sequence[FinishedRollout],
    bundle: Sequence[FinishedRollout],
) -> BundleRollouts:
    gains = [
        int(here.outcome == "success") - int(there.outcome == "success")
        for here, there in zip(bundle, torch, strict=True)
    ]
    uncertainty = settings.uncertainty
    difference = paired_mean(gains, uncertainty, scenes)
    not_worse = difference.units >= FEWEST and difference.above(-MARGIN)
    if not any(gains):  # where all are equal, the bootstrap's interval has no width
        not_worse = proportion(0, len(gains), uncertainty).high <= MARGIN
    return BundleRollouts(
        rollouts=len(gains),
        success=success_rate(torch, uncertainty),
        bundle_success=success_rate(bundle, uncertainty),
        better=sum(gain > 0 for gain in gains),
        worse=sum(gain < 0 for gain in gains),
        difference=difference,
        margin=MARGIN,
        not_worse=not_worse,
    )
