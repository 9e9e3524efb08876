"""Ask another policy the pictures of recorded drives, and show where it would drive otherwise."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mobile_vla.conventions import ACTION_COLUMNS, columns_of
from mobile_vla.errors import UserError
from mobile_vla.evaluation.trajectories import integrate
from mobile_vla.files import write_text
from mobile_vla.robot.policy import (
    AS_TRAINED,
    PolicyOptions,
    RobotPolicy,
    load_robot_policy,
    predict_drive,
)
from mobile_vla.robot.predict import frames_of_episode
from mobile_vla.robot.recording import AHEAD, ANSWERS, DIMENSIONS
from mobile_vla.robot.served import TorchPolicy

log = logging.getLogger(__name__)

COLUMNS = ("drive", "frame", *ACTION_COLUMNS, *(f"other_{name}" for name in ACTION_COLUMNS))


@dataclass(frozen=True, eq=False)
class Replayed:
    """The first actions of two policies at the frames of a drive, (T, 3) in raw command units."""

    name: str
    driven: np.ndarray
    other: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """(T,) the largest difference of a dimension at each frame."""
        found: np.ndarray = np.abs(self.driven - self.other).max(axis=1)
        return found

    def __str__(self) -> str:
        frame = int(self.difference.argmax())
        one, other = (_command(values[frame]) for values in (self.driven, self.other))
        ends = [integrate(values)[-1, :2] for values in (self.driven, self.other)]
        apart = float(np.linalg.norm(ends[0] - ends[1]))
        forward, left = ends[1] - ends[0]
        return (
            f"{self.name}: {len(self.driven)} frames; the first actions differ by "
            f"{self.difference.mean():.3g} on average, and most at frame {frame}: {one} was "
            f"driven, and {other} would be. By its commands it would end {apart:.3g} command steps "
            f"away ({forward:+.3g} forward, {left:+.3g} to the left)"
        )


def replay(
    folder: Path,
    policy: Path,
    *,
    instruction: str | None = None,
    backbone: Path | None = None,
    output: Path | None = None,
    options: PolicyOptions = AS_TRAINED,
) -> None:
    """Ask a policy what another one was asked in drives that `serve --record` kept.

    Each drive's line says by how much the first actions differ, where most, and how far apart the
    two would end, each by its own commands. The pictures are those that the driven robot saw: a
    robot that goes elsewhere would soon see others.

    Args:
        folder: the folder of the drives.
        policy: the other policy's folder.
        instruction: its prompt; by default that of each drive.
        backbone: the backbone's folder; by default that of the results which the policy lies in.
        output: file for a table of all frames, as CSV.
        options: how the policy is run.

    Raises:
        UserError: there is no drive in the folder, a file cannot be read, or the policy does not
            accept a drive's prompt.
    """
    # A server that is killed while it writes leaves a hidden one.
    files = sorted(path for path in folder.glob("*.h5") if not path.name.startswith("."))
    if not files:
        raise UserError(
            f"{folder}: no drive (*.h5); expected the folder of `serve --record FOLDER`"
        )
    loaded = load_robot_policy(policy, backbone, options)
    found = [_replayed(file, loaded, instruction) for file in files]
    for one in found:
        sys.stdout.write(f"{one}\n")
    if output is not None:
        write_text(output, "".join(_table(found)))


def _replayed(file: Path, loaded: RobotPolicy, instruction: str | None) -> Replayed:
    frames, _ = frames_of_episode(file, loaded.images)
    try:
        with h5py.File(file) as drive:
            answers = drive[ANSWERS][()]  # (T, C, A)
            columns = columns_of(list(drive.attrs[DIMENSIONS]))
            ahead = [int(one) for one in drive.attrs[AHEAD]]
            prompt = bytes(drive["language_instruction"][0]).decode()
    except (KeyError, OSError) as error:
        raise UserError(
            f"{file}: no recorded drive ({error}); expected a file that `serve --record` wrote"
        ) from None
    if ahead[0] != loaded.ahead[0]:
        raise UserError(
            f"{file}: its first actions were due {ahead[0]} steps after the frame, and those of "
            f"the policy are {loaded.ahead[0]}; use a policy with the same `target`"
        )
    served, before, found = TorchPolicy(loaded), None, []
    asked = loaded.prompts.index(instruction or prompt)
    for chunk in predict_drive(loaded, frames, asked):
        guarded = served.guard.check(chunk, np.zeros_like(chunk[0]) if before is None else before)
        before = guarded.chunk[0]
        found.append(before)
    driven, other = (np.zeros((len(frames), len(ACTION_COLUMNS))) for _ in range(2))
    driven[:, columns] = answers[:, 0]
    other[:, columns_of(loaded.policy.settings.actions.dimensions)] = found
    return Replayed(file.stem, driven, other)


def _command(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"


def _table(replayed: list[Replayed]) -> Iterator[str]:
    yield ",".join(COLUMNS) + "\n"
    for one in replayed:
        for frame, (driven, other) in enumerate(zip(one.driven, one.other, strict=True)):
            values = [f"{value:.9g}" for value in (*driven, *other)]
            yield ",".join([one.name, str(frame), *values]) + "\n"
