"""A part of the training episodes: nested, so that runs on 13, 100 and 1,000 can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from mobile_vla.config.scenario import ScenarioKey
from mobile_vla.data.assignment import Cell, cell_of, phase_of, rank
from mobile_vla.data.dataset import Episode

DRAW = "subset"  # ranks that have nothing to do with those that dealt the roles


def subset_order(episodes: Sequence[Episode], keys: Sequence[ScenarioKey], seed: int) -> list[int]:
    """Return the order in which training episodes are taken: a subset of N is its first N.

    So a smaller subset is part of every larger one. Groups stay together, and only the last one may
    be cut. Within a cell, groups are ranked by a hash of (seed, group), and the i-th of n stands at
    (i + u) / n, where u in [0, 1) is the cell's phase: in each beginning of the order, every cell
    has its share rounded up or down.

    Args:
        episodes: the training episodes, in any order.
        keys: the scenario keys that the split is stratified by.
        seed: the split's seed.

    Returns:
        The indices of all of ``episodes``, a function of the episodes, the keys and the seed alone.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, episode in enumerate(episodes):
        members[episode.group].append(index)
    cells: dict[Cell, list[str]] = defaultdict(list)
    for group, indices in members.items():
        cells[cell_of([episodes[index].scenario for index in indices], keys)].append(group)
    place: dict[str, float] = {}
    for cell, groups in cells.items():
        phase = phase_of(cell, seed, DRAW)
        for number, group in enumerate(sorted(groups, key=lambda name: rank(name, seed, DRAW))):
            place[group] = (number + phase) / len(groups)
    ordered = sorted(members, key=lambda group: (place[group], rank(group, seed, DRAW)))
    return [
        index
        for group in ordered
        for index in sorted(members[group], key=lambda i: rank(episodes[i].name, seed, DRAW))
    ]
