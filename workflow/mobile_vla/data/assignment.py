"""Assign groups of episodes to parts of given shares, stratified by cell."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from mobile_vla.conventions import ScenarioKey
from mobile_vla.errors import UserError
from mobile_vla.files import digest_of

Cell = tuple[tuple[ScenarioKey, str], ...]
"""A value for each key that the split is stratified by, in that order."""

TURNS: dict[ScenarioKey, dict[str, float]] = {
    "side": {"left": 0, "right": 1 / 2},
    "distance": {"close": 0, "medium": 1 / 3, "far": 2 / 3},
    "style": {"core": 0, "variant": 1 / 4},
    "layout": {"hori": 0, "vert": 1 / 8},
    "obstacles": {"1box": 0, "2box": 1 / 16},
}
"""How far each value turns a cell's phase: a full cross of cells is spread evenly over a turn."""


def cell_of(scenarios: Iterable[Mapping[str, str | None]], keys: Iterable[ScenarioKey]) -> Cell:
    """Return a group's cell, from the scenarios of its members.

    A key's value is the sorted set of the members' values joined by ``+``, such as ``left+right``;
    what no name says is ``unknown``.
    """
    members = list(scenarios)
    return tuple(
        (key, "+".join(sorted({member.get(key) or "unknown" for member in members})))
        for key in keys
    )


def describe_cell(cell: Cell) -> str:
    """Return a cell as text: ``side left, distance close``."""
    return ", ".join(f"{key} {value}" for key, value in cell) or "the only cell"


def deal(
    cells: Mapping[str, Cell], shares: Mapping[str, float], seed: int, draw: str = ""
) -> dict[str, str]:
    """Deal every group to a part.

    Within a cell, groups are ranked by a hash of (seed, group). With n groups in the cell and
    cumulative shares c, the borders between parts lie at ``floor(n·c + u)``, so that each quota is
    its share rounded up or down. The phase u in [0, 1) belongs to the cell alone: which way a cell
    is rounded depends on no other cell, hence a new group moves nothing outside its cell and at
    most one group across each border in it. Phases are spread over the cells (:data:`TURNS`), so
    that roundings cancel and small cells do not starve a part: of 12 cells with one group each, a
    share of 1/4 gets 3.

    Args:
        shares: by part, in the order of the ranks; their sum is 1.
        draw: name of the deal, where a split has several: each ranks the groups differently.
    """
    members: dict[Cell, list[str]] = defaultdict(list)
    for group, cell in cells.items():
        members[cell].append(group)
    last = list(shares)[-1]
    dealt: dict[str, str] = {}
    for cell, groups in members.items():
        phase, total = phase_of(cell, seed, draw), 0.0
        borders = []
        for part, share in list(shares.items())[:-1]:
            total += share
            # 20 · 0.15 shall be 3 whatever the last bits say
            borders.append((math.floor(round(len(groups) * total + phase, 9)), part))
        for place, group in enumerate(sorted(groups, key=lambda name: rank(name, seed, draw))):
            dealt[group] = next((part for border, part in borders if place < border), last)
    return dealt


def assign(
    cells: Mapping[str, Cell],
    shares: Mapping[str, float],
    seed: int,
    draw: str = "",
    remedy: str = "",
) -> dict[str, str]:
    """Deal every group to a part, and leave no part empty that has a share.

    A part that :func:`deal` left empty takes one group of the largest part, the one nearest to
    it in rank.

    Raises:
        UserError: there are fewer groups than parts; with the counts of each cell, and ``remedy``.
    """
    wanted = [part for part, share in shares.items() if share > 0]
    if len(cells) < len(wanted):
        counts = sorted(Counter(cells.values()).items())
        each = "; ".join(f"{count} in {describe_cell(cell)}" for cell, count in counts)
        raise UserError(
            f"{len(cells)} group{'s' if len(cells) != 1 else ''} of episodes cannot be split into "
            f"{', '.join(wanted)} ({each or 'no episode'}); record more episodes{remedy}"
        )
    dealt = deal(cells, shares, seed, draw)
    for part in wanted:
        if part not in dealt.values():
            largest = max(wanted, key=Counter(dealt.values()).__getitem__)
            ranked = sorted(
                (group for group in dealt if dealt[group] == largest),
                key=lambda name: rank(name, seed, draw),
            )
            after = wanted.index(part) > wanted.index(largest)
            dealt[ranked[-1 if after else 0]] = part
    return dealt


def rank(name: str, seed: int, draw: str = "") -> tuple[str, str]:
    """Return what groups are ordered by: a hash of seed and name, the same in every dataset."""
    return digest_of(["group", seed, name, *([draw] if draw else [])]), name


def phase_of(cell: Cell, seed: int, draw: str = "") -> float:
    """Return a cell's phase in [0, 1): which way its quotas are rounded."""
    phase = _turn(seed, *([draw] if draw else []))
    for key, value in cell:
        known = TURNS[key].get(value)
        phase += _turn(seed, key, value) if known is None else known
    return phase % 1.0


def _turn(*parts: str | int) -> float:
    """Return a pseudo-random number in [0, 1), the same for the same parts."""
    return int(digest_of(["turn", *parts], digits=12), 16) / 16**12
