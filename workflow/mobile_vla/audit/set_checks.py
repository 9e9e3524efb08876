"""Checks of all episodes together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from mobile_vla.audit.content_checks import actions_of
from mobile_vla.audit.coverage import CELL_KEYS, KNOWN, coverage
from mobile_vla.audit.findings import Facts, Finding, SetCheck, of_dataset, of_episode
from mobile_vla.config.windows import Actions
from mobile_vla.data.actions import ACTION_COLUMNS

FEW = 5  # episodes below which shares say nothing
SAME_SEQUENCE = 0.5  # share of episodes with one action sequence that is worth a warning
THIN = 3  # episodes that a cell needs to be in train, validation and test


def duplicates(every: Sequence[Facts], _: Actions) -> Iterator[Finding]:
    """No two episodes are the same: they could stand on both sides of the split."""
    by_file: dict[str, Facts] = {}
    by_content: dict[str, Facts] = {}
    for facts in every:
        content = f"{facts['frame_file']['sha256']} {facts['actions']}"
        same = by_file.get(facts["sha256"])
        code, what = "duplicate_file", "the same bytes as"
        if same is None:
            same = by_content.get(content)
            code, what = "duplicate_content", "the same frames and actions as"
        if same is not None:
            yield of_episode(
                facts,
                code,
                "warning",
                "file",
                found=f"{what} {same['episode']}",
                expected="each episode once",
                remedy="remove one of the two: on both sides of the split it falsifies the scores",
            )
        by_file.setdefault(facts["sha256"], facts)
        by_content.setdefault(content, facts)


def constant_dimension(every: Sequence[Facts], declared: Actions) -> Iterator[Finding]:
    """Each predicted dimension varies, and each that varies is predicted."""
    if not every:
        return
    actions = np.concatenate([actions_of(facts) for facts in every])  # (rows, 3)
    for index, name in enumerate(ACTION_COLUMNS):
        values = actions[:, index]
        if name in declared.dimensions and np.ptp(values) == 0:
            yield of_dataset(
                "constant_dimension",
                "warning",
                f"actions, {name}",
                found=f"always {values[0]:g}",
                expected="a velocity that varies",
                remedy=f"take {name} out of `actions.dimensions`: it makes every error look small",
            )
        if name not in declared.dimensions and values.any():
            yield of_dataset(
                "unused_dimension",
                "warning",
                f"actions, {name}",
                found=f"not zero in {np.mean(values != 0):.1%} of the frames, and not predicted",
                expected="all velocities that the robot needs among `actions.dimensions`",
                remedy=f"add {name} to `actions.dimensions`, or know that it is ignored",
            )


def same_sequence(every: Sequence[Facts], _: Actions) -> Iterator[Finding]:
    """Drives differ: else replaying the usual keys by frame number scores well without seeing."""
    by_side: dict[str, list[tuple[tuple[float, ...], ...]]] = defaultdict(list)
    for facts in every:
        by_side[facts["scenario"]["side"] or "unknown"].append(
            tuple(tuple(action) for action in facts["actions"])
        )
    for side, sequences in sorted(by_side.items()):
        count = Counter(sequences).most_common(1)[0][1]
        share = count / len(sequences)
        if len(sequences) >= FEW and share >= SAME_SEQUENCE:
            yield of_dataset(
                "same_sequence",
                "warning",
                f"actions, side {side}",
                found=f"{count} of {len(sequences)} episodes ({share:.0%}) have the same actions",
                expected=f"less than {SAME_SEQUENCE:.0%}",
                remedy="vary the scenes: a policy that replays this sequence scores as well as "
                "one that looks",
            )


def frame_sizes(every: Sequence[Facts], _: Actions) -> Iterator[Finding]:
    """All images have the same size; another one means another camera or setting."""
    sizes = Counter(tuple(facts["raw_shape"]) for facts in every)
    if len(sizes) < 2:
        return
    usual = max(sizes, key=lambda size: (sizes[size], size))
    for facts in every:
        size = tuple(facts["raw_shape"])
        if size != usual:
            yield of_episode(
                facts,
                "other_image_size",
                "warning",
                "images",
                found=f"{size[1]}×{size[0]} pixels",
                expected=f"{usual[1]}×{usual[0]} as in {sizes[usual]} of {len(every)} episodes",
                remedy="check that it is the same camera and field of view",
            )


def empty_cells(every: Sequence[Facts], _: Actions) -> Iterator[Finding]:
    """Every combination of side, distance and style was recorded."""
    counts = {tuple(entry["cell"].values()): entry["episodes"] for entry in coverage(every)}
    seen = {
        key: {cell[place] for cell, count in counts.items() if count}
        for place, key in enumerate(CELL_KEYS)
    }
    for key in CELL_KEYS:
        absent = [value for value in KNOWN[key] if value not in seen[key]]
        if absent and seen[key] & set(KNOWN[key]):
            yield of_dataset(
                "missing_scenario",
                "warning" if key == "side" else "info",
                f"coverage, {key}",
                found=f"no episode with {key} {' or '.join(absent)}",
                expected=f"{', '.join(KNOWN[key])}",
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
                "warning",
                f"coverage, {' '.join(cell)}",
                found="no episode",
                expected="some, as in the other combinations",
                remedy="record some, or make no claim about this combination",
            )
    thin = [cell for cell, count in within.items() if 0 < count < THIN]
    if thin:
        yield of_dataset(
            "thin_cells",
            "info",
            "coverage",
            found=f"{len(thin)} of {len(within)} combinations have fewer than {THIN} episodes",
            expected=f"{THIN} or more, one each for training, validation and test",
            remedy="record more, or stratify the split by fewer keys",
        )


SET_CHECKS: tuple[SetCheck, ...] = (
    duplicates,
    constant_dimension,
    same_sequence,
    frame_sizes,
    empty_cells,
)
