"""Check a dataset as a whole, by the episodes that are used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mobile_vla.audit.colors import probable_bgr
from mobile_vla.audit.content_checks import actions_of
from mobile_vla.audit.coverage import CELL_KEYS, coverage, shared_sequences
from mobile_vla.audit.findings import SetCheck, of_dataset
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.conventions import ACTION_COLUMNS, KNOWN_VALUES
from mobile_vla.ingest.result import EpisodeFacts

FEW = 5  # episodes below which shares say nothing
SAME_SEQUENCE = 0.5  # share of episodes with one action sequence that is worth a warning
THIN = 3  # episodes that a cell needs to be in train, validation and test


def constant_dimension(every: Sequence[EpisodeFacts], declared: Declared) -> Iterator[Finding]:
    """Each predicted dimension varies, and each that varies is predicted."""
    if not every:
        return
    actions = np.concatenate([actions_of(facts) for facts in every])  # (rows, 3)
    for index, name in enumerate(ACTION_COLUMNS):
        values = actions[:, index]
        if name in declared.actions.dimensions and np.ptp(values) == 0:
            yield of_dataset(
                "constant_dimension",
                f"actions, {name}",
                found=f"always {values[0]:g}",
                expected="a velocity that varies",
                remedy=f"take {name} out of `actions.dimensions`: it makes every error look small",
            )
        if name not in declared.actions.dimensions and values.any():
            yield of_dataset(
                "unused_dimension",
                f"actions, {name}",
                found=f"not zero in {np.mean(values != 0):.1%} of the frames, and not predicted",
                expected="all velocities that the robot needs among `actions.dimensions`",
                remedy=f"add {name} to `actions.dimensions`, or know that it is ignored",
            )


def same_sequence(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """Drives differ; else replaying the most frequent actions scores well without any picture."""
    for side, (count, total) in shared_sequences(every).items():
        if total >= FEW and count / total >= SAME_SEQUENCE:
            yield of_dataset(
                "same_sequence",
                f"actions, side {side}",
                found=f"{count} of {total} episodes ({count / total:.0%}) have the same actions",
                expected=f"less than {SAME_SEQUENCE:.0%}",
                remedy="vary the scenes: a policy that replays this sequence scores as well as "
                "one that looks",
            )


def empty_cells(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """Every combination of side, distance and style was recorded."""
    counts = {tuple(entry.cell.values()): entry.episodes for entry in coverage(every)}
    seen = {
        key: {cell[place] for cell, count in counts.items() if count}
        for place, key in enumerate(CELL_KEYS)
    }
    for key in CELL_KEYS:
        absent = [value for value in KNOWN_VALUES[key] if value not in seen[key]]
        if absent and seen[key] & set(KNOWN_VALUES[key]):
            yield of_dataset(
                "missing_side" if key == "side" else "missing_scenario",
                f"coverage, {key}",
                found=f"no episode with {key} {' or '.join(absent)}",
                expected=f"{', '.join(KNOWN_VALUES[key])}",
                remedy="record some, or make no claim about them",
            )
    within = {
        cell: count
        for cell, count in counts.items()
        if all(value in seen[key] for key, value in zip(CELL_KEYS, cell, strict=True))
    }
    for cell, count in within.items():
        if count == 0 and "unknown" not in cell:
            yield of_dataset(
                "empty_cell",
                f"coverage, {' '.join(cell)}",
                found="no episode",
                expected="some, as in the other combinations",
                remedy="record some, or make no claim about this combination",
            )
    thin = [cell for cell, count in within.items() if 0 < count < THIN]
    if thin:
        yield of_dataset(
            "thin_cells",
            "coverage",
            found=f"{len(thin)} of {len(within)} combinations have fewer than {THIN} episodes",
            expected=f"{THIN} or more, one each for training, validation and test",
            remedy="record more, or stratify the split by fewer keys",
        )


SET_CHECKS: tuple[SetCheck, ...] = (
    constant_dimension,
    same_sequence,
    probable_bgr,
    empty_cells,
)
