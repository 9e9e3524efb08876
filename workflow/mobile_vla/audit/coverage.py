"""Count what a dataset covers: scenarios, lengths, motions, times of day."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.audit.content_checks import actions_of
from mobile_vla.audit.result import (
    ActionStatistics,
    CoveredCell,
    DatasetStatistics,
    EpisodeCounts,
    Lengths,
    SharedSequence,
)
from mobile_vla.conventions import ACTION_COLUMNS, KNOWN_VALUES, ScenarioKey
from mobile_vla.ingest.result import EpisodeFacts

CELL_KEYS: tuple[ScenarioKey, ...] = ("side", "distance", "style")

ALONG = {1: "forward", 0: "", -1: "backward"}
ACROSS = {1: "left", 0: "", -1: "right"}


def coverage(every: Sequence[EpisodeFacts]) -> list[CoveredCell]:
    """Return the number of usable episodes in each combination of side, distance and style.

    All twelve known combinations are listed, empty ones included, and after them those in which
    a name does not say everything.
    """
    counts = Counter(
        tuple(facts.scenario[key] or "unknown" for key in CELL_KEYS) for facts in every
    )
    known = list(itertools.product(*(KNOWN_VALUES[key] for key in CELL_KEYS)))
    others = sorted(cell for cell in counts if cell not in known)
    return [
        CoveredCell(cell=dict(zip(CELL_KEYS, cell, strict=True)), episodes=counts[cell])
        for cell in [*known, *others]
    ]


def shared_sequences(every: Sequence[EpisodeFacts]) -> dict[str, tuple[int, int]]:
    """Return by side how many episodes share the most frequent action sequence, and of how many.

    By side, because the sequences of left and right always differ.
    """
    by_side: dict[str, list[tuple[tuple[float, ...], ...]]] = defaultdict(list)
    for facts in every:
        by_side[facts.scenario["side"] or "unknown"].append(
            tuple(tuple(action) for action in facts.actions)
        )
    return {
        side: (Counter(sequences).most_common(1)[0][1], len(sequences))
        for side, sequences in sorted(by_side.items())
    }


def statistics(
    every: Sequence[EpisodeFacts], rejected: int, flagged: int
) -> DatasetStatistics | EpisodeCounts:
    """Return the dataset's numbers: lengths, velocities, class balance of motions, dates.

    Args:
        every: facts of the episodes that are used.
        rejected: how many are unusable.
        flagged: how many are left out for their warnings.
    """
    if not every:
        return EpisodeCounts(usable=0, rejected=rejected, flagged=flagged)
    lengths = np.array([facts.frames for facts in every])  # (E,)
    actions = np.concatenate([actions_of(facts) for facts in every])  # (rows, 3)
    colors = np.array([facts.image_statistics.mean for facts in every])  # (E, 3)
    periods = Counter(str(facts.attributes.get("time_period", "unknown")) for facts in every)
    dates = Counter(_date(facts) for facts in every)
    image_mean = (colors * lengths[:, None]).sum(0) / lengths.sum()  # (3,)
    return DatasetStatistics(
        usable=len(every),
        rejected=rejected,
        flagged=flagged,
        frames=int(lengths.sum()),
        lengths=Lengths(
            min=int(lengths.min()), median=float(np.median(lengths)), max=int(lengths.max())
        ),
        actions={
            name: _action_statistics(actions[:, index]) for index, name in enumerate(ACTION_COLUMNS)
        },
        motions=dict(sorted(Counter(_motion(action) for action in actions).items())),
        image_mean=[_rounded(value) for value in image_mean],
        same_sequence={
            side: SharedSequence(episodes=count, of=total, share=_rounded(count / total))
            for side, (count, total) in shared_sequences(every).items()
        },
        time_periods=dict(sorted(periods.items())),
        dates=dict(sorted(dates.items())),
    )


def _action_statistics(values: np.ndarray) -> ActionStatistics:
    return ActionStatistics(
        mean=_rounded(values.mean()),
        std=_rounded(values.std()),
        min=_rounded(values.min()),
        max=_rounded(values.max()),
        nonzero=_rounded(np.mean(values != 0)),
    )


def _date(facts: EpisodeFacts) -> str:
    """Return the day of collection, by the attribute or else by the name."""
    stated = str(facts.attributes.get("collection_datetime", ""))
    if re.match(r"\d{4}-\d{2}-\d{2}", stated):
        return stated[:10]
    named = re.search(r"(?:^|_)(\d{4})(\d{2})(\d{2})_\d{6}(?:_|$)", Path(facts.file).stem)
    return "-".join(named.groups()) if named else "unknown"


def _motion(action: np.ndarray) -> str:
    along, across, turn = (int(sign) for sign in np.sign(action))
    words = [ALONG[along], ACROSS[across], "turning" if turn else ""]
    return " ".join(word for word in words if word) or "standing"


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), 6)
