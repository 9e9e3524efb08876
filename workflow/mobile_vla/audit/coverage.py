"""Count what a dataset covers: scenarios, lengths, motions, times of day."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from mobile_vla.audit.episode_checks import actions_of
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


def shared_sequences(every: Sequence[EpisodeFacts]) -> dict[str, SharedSequence]:
    """Return by side how many episodes share the most frequent action sequence.

    By side, because the sequences of left and right always differ.
    """
    by_side: dict[str, Counter[tuple[tuple[float, ...], ...]]] = defaultdict(Counter)
    for facts in every:
        by_side[facts.scenario["side"] or "unknown"][tuple(map(tuple, facts.actions))] += 1
    shared = {}
    for side, sequences in sorted(by_side.items()):
        count, total = max(sequences.values()), sequences.total()
        shared[side] = SharedSequence(episodes=count, of=total, share=_rounded(count / total))
    return shared


def statistics(
    every: Sequence[EpisodeFacts], rejected: int, flagged: int
) -> DatasetStatistics | EpisodeCounts:
    """Return the dataset's numbers: lengths, velocities, class balance of motions, dates.

    They are those of the episodes that are used; ``flagged`` ones are left out for their warnings.
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
            name: ActionStatistics(
                mean=_rounded(values.mean()),
                std=_rounded(values.std()),
                min=_rounded(values.min()),
                max=_rounded(values.max()),
                nonzero=_rounded(np.mean(values != 0)),
            )
            for name, values in zip(ACTION_COLUMNS, actions.T, strict=True)
        },
        motions=dict(sorted(Counter(_motion(action) for action in actions).items())),
        image_mean=[_rounded(value) for value in image_mean],
        same_sequence=shared_sequences(every),
        time_periods=dict(sorted(periods.items())),
        dates=dict(sorted(dates.items())),
    )


def _date(facts: EpisodeFacts) -> str:
    """Return the day of collection, by the attribute or else by the name."""
    stated = str(facts.attributes.get("collection_datetime", ""))
    if re.match(r"\d{4}-\d{2}-\d{2}", stated):
        return stated[:10]
    named = re.search(r"(?:^|_)(\d{4})(\d{2})(\d{2})_\d{6}(?:_|$)", facts.stem)
    return "-".join(named.groups()) if named else "unknown"


def _motion(action: np.ndarray) -> str:
    along, across, turn = (int(sign) for sign in np.sign(action))
    words = [ALONG[along], ACROSS[across], "turning" if turn else ""]
    return " ".join(word for word in words if word) or "standing"


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), 6)
