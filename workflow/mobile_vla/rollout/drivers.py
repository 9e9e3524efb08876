"""Who drives in a rollout: the policy, the expert that it learnt from, and the usual keys."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from mobile_vla.config.simulator import SimulateSettings
from mobile_vla.conventions import ACTION_COLUMNS, columns_of
from mobile_vla.data.dataset import Dataset
from mobile_vla.errors import UserError
from mobile_vla.model.streaming import Stream
from mobile_vla.simulator.driver import Driver, robot_of
from mobile_vla.simulator.world import Pose

LEVELS = (("side", "distance", "layout"), ("side", "distance"), ("side",), ())
"""What of the scenario decides the usual keys: the finest level that training episodes have."""


class Expert:
    """The scripted driver, who recorded the dataset; it knows where everything stands."""

    sees = False

    def __init__(self, episodes: Sequence[SimulateSettings]):
        self.drivers = [Driver(robot_of(one).scene, one.side, one.style) for one in episodes]

    def commands(self, step: int, poses: Sequence[Pose], frames: np.ndarray | None) -> np.ndarray:
        """Return the keys that the driver presses; see :class:`Pilot`."""
        return np.stack(
            [driver.command(step, pose) for driver, pose in zip(self.drivers, poses, strict=True)]
        )

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots."""
        self.drivers = [self.drivers[robot] for robot in robots]


class Usual:
    """Replays, frame by frame, the most frequent command of like training episodes.

    Args:
        dataset: the dataset.
        train: indices of its training episodes.
    """

    def __init__(self, dataset: Dataset, train: Sequence[int]):
        self.pressed: dict[tuple[object, ...], list[Counter[tuple[float, ...]]]] = defaultdict(list)
        for index in train:
            episode, first = dataset.episodes[index], int(dataset.offsets[index])
            actions = dataset.actions[first : first + episode.frames].tolist()
            for keys in LEVELS:
                cell = _cell(keys, episode.scenario)
                counts = self.pressed[cell]
                counts += [Counter() for _ in range(len(actions) - len(counts))]
                for counter, action in zip(counts, actions, strict=False):
                    counter[tuple(action)] += 1

    def sequence(self, scenario: Mapping[str, str | None]) -> np.ndarray:
        """Return (T, 3) float32 for a scenario; ties go to the command that sorts first."""
        for keys in LEVELS:
            counts = self.pressed.get(_cell(keys, scenario))
            if counts:
                usual = [min(one, key=lambda action: (-one[action], action)) for one in counts]
                return np.array(usual, dtype=np.float32)
        raise ValueError("no training episode")


def _cell(keys: Sequence[str], scenario: Mapping[str, str | None]) -> tuple[object, ...]:
    return (len(keys), *(scenario.get(key) for key in keys))


class Replay:
    """Drives blindly by :class:`Usual`, and stands when its episodes would be over."""

    sees = False

    def __init__(self, usual: Usual, episodes: Sequence[SimulateSettings]):
        self.sequences = [
            usual.sequence({"side": one.side, "distance": one.distance, "layout": one.layout})
            for one in episodes
        ]

    def commands(self, step: int, poses: Sequence[Pose], frames: np.ndarray | None) -> np.ndarray:
        """Return the usual keys of this frame; see :class:`Pilot`."""
        still = np.zeros(len(ACTION_COLUMNS), dtype=np.float32)
        return np.stack([one[step] if step < len(one) else still for one in self.sequences])

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots."""
        self.sequences = [self.sequences[robot] for robot in robots]


class Steering:
    """The policy at the wheel: it sees each frame, and its chunks are carried out in turn.

    With ``target: next`` a chunk begins one step after the frame that it was predicted from, as in
    training: the command at a frame comes from the prediction made at the frame before, and at
    frame 0, where every episode stands, there is none yet. With ``current`` it is carried out at
    once.

    Args:
        stream: the policy, with a robot for each episode.
        target: what the chunk's first action belongs to.
        execute: steps of a chunk that are carried out before the next prediction takes over.
    """

    sees = True

    def __init__(self, stream: Stream, target: Literal["next", "current"], execute: int):
        self.stream, self.execute = stream, execute
        self.lead = 1 if target == "next" else 0
        self.columns = columns_of(stream.policy.settings.actions.dimensions)
        self.chunk: np.ndarray | None = None  # (B, C, A)
        self.made = 0  # the frame that it was predicted at

    def commands(self, step: int, poses: Sequence[Pose], frames: np.ndarray | None) -> np.ndarray:
        """Return the step of the chunk that is due; see :class:`Pilot`.

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
            commands[:, self.columns] = self.chunk[:, step - self.made - self.lead]
        if self.lead == 1:
            self._take_over(step, predicted)
        return commands

    def _take_over(self, step: int, predicted: np.ndarray) -> None:
        if self.chunk is None or step - self.made >= self.execute:
            self.chunk, self.made = predicted, step

    def keep(self, robots: Sequence[int]) -> None:
        """Go on with some of the robots."""
        self.stream.keep(robots)
        if self.chunk is not None:
            self.chunk = self.chunk[np.asarray(robots)]
