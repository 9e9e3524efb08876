"""Drivers of rollouts: the policy, the expert, and the replay of the most frequent actions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np

from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.conventions import ACTION_COLUMNS, columns_of
from mobile_vla.data.dataset import Dataset
from mobile_vla.errors import UserError
from mobile_vla.model.policy import Policy
from mobile_vla.simulator.driver import Driver, robot_of
from mobile_vla.simulator.world import Pose

# Parts of the scenario that training episodes are grouped by, the finest first.
LEVELS = (("side", "distance", "layout"), ("side", "distance"), ("side",), ())


class ExpertDriver:
    """The scripted driver that recorded the dataset; it knows the positions of all objects."""

    sees = False

    def __init__(self, episodes: Sequence[SimulateSettings]):
        self.drivers = [
            Driver(robot_of(episode).scene, episode.side, episode.style) for episode in episodes
        ]

    def commands(self, step: int, poses: Sequence[Pose], frames: np.ndarray | None) -> np.ndarray:
        """Return the scripted commands."""
        return np.stack(
            [driver.command(step, pose) for driver, pose in zip(self.drivers, poses, strict=True)]
        )

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots."""
        self.drivers = [self.drivers[robot] for robot in robots]


class FrequentActions:
    """The most frequent action at each frame of the training episodes of a scenario."""

    def __init__(self, dataset: Dataset, train: Sequence[int]):
        self.counts: dict[tuple[object, ...], list[Counter[tuple[float, ...]]]] = defaultdict(list)
        for index in train:
            episode, first = dataset.episodes[index], int(dataset.offsets[index])
            actions = dataset.actions[first : first + episode.frames].tolist()
            for keys in LEVELS:
                by_frame = self.counts[_group(keys, episode.scenario)]
                by_frame += [Counter() for _ in range(len(actions) - len(by_frame))]
                for counter, action in zip(by_frame, actions, strict=False):
                    counter[tuple(action)] += 1

    def sequence(self, scenario: Mapping[str, str | None]) -> np.ndarray:
        """Return (T, 3) float32 of the finest group of a scenario that has training episodes.

        Of equally frequent actions it is the one that sorts first.
        """
        for keys in LEVELS:
            by_frame = self.counts.get(_group(keys, scenario))
            if by_frame:
                actions = [
                    min(counter, key=lambda action: (-counter[action], action))
                    for counter in by_frame
                ]
                return np.array(actions, dtype=np.float32)
        raise ValueError("no training episode")


def _group(keys: Sequence[str], scenario: Mapping[str, str | None]) -> tuple[object, ...]:
    return (len(keys), *(scenario.get(key) for key in keys))


class ReplayDriver:
    """The replay of :class:`FrequentActions`, without images; beyond their end robots stand."""

    sees = False

    def __init__(self, actions: FrequentActions, episodes: Sequence[SimulateSettings]):
        self.sequences = [
            actions.sequence({key: getattr(episode, key) for key in LEVELS[0]})
            for episode in episodes
        ]

    def commands(self, step: int, poses: Sequence[Pose], frames: np.ndarray | None) -> np.ndarray:
        """Return the most frequent actions at this frame."""
        still = np.zeros(len(ACTION_COLUMNS), dtype=np.float32)
        return np.stack(
            [actions[step] if step < len(actions) else still for actions in self.sequences]
        )

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots."""
        self.sequences = [self.sequences[robot] for robot in robots]


class Streaming(Protocol):
    """Streaming inference for several robots; see :class:`~mobile_vla.model.streaming.Stream`."""

    policy: Policy

    def step(self, frames: np.ndarray) -> np.ndarray:
        """Return the chunks (B, C, A) of the newest frames (B, 224, 224, 3)."""

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots."""


class PolicyDriver:
    """The policy: it sees each frame, and the steps of its chunks are carried out in turn.

    With ``target: next`` a chunk begins one step after the frame that it was predicted from, as in
    training: the command at a frame comes from the prediction at the frame before, and at frame 0,
    where every episode stands, there is none yet. With ``current`` it is carried out at once.

    Args:
        execute: steps of a chunk that are carried out before the next prediction takes over.
    """

    sees = True

    def __init__(self, stream: Streaming, target: Literal["next", "current"], execute: int):
        self.stream, self.execute = stream, execute
        self.lead = 1 if target == "next" else 0
        self.columns = columns_of(stream.policy.settings.actions.dimensions)
        self.chunk: np.ndarray | None = None  # (B, C, A)
        self.predicted_at = 0  # the frame of the chunk's prediction

    def commands(self, step: int, poses: Sequence[Pose], frames: np.ndarray | None) -> np.ndarray:
        """Return the due step of the chunk.

        Raises:
            UserError: the policy predicts what is not a number.
        """
        assert frames is not None
        predicted = self.stream.step(frames)
        if not np.isfinite(predicted).all():
            raise UserError(
                f"the policy predicts values that are not finite at frame {step} of a rollout; "
                "train again with `precision: fp32` or a lower `learning_rate`"
            )
        if self.lead == 0:
            self._take_over(step, predicted)
        commands = np.zeros((len(frames), len(ACTION_COLUMNS)), dtype=np.float32)
        if self.chunk is not None:
            commands[:, self.columns] = self.chunk[:, step - self.predicted_at - self.lead]
        if self.lead == 1:
            self._take_over(step, predicted)
        return commands

    def _take_over(self, step: int, predicted: np.ndarray) -> None:
        if self.chunk is None or step - self.predicted_at >= self.execute:
            self.chunk, self.predicted_at = predicted, step

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots."""
        self.stream.keep(robots)
        if self.chunk is not None:
            self.chunk = self.chunk[np.asarray(robots)]
