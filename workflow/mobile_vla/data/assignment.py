"""Which group plays which role: a pure function of the groups, their cells and a seed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from mobile_vla.config.scenario import ScenarioKey
from mobile_vla.config.split import Split
from mobile_vla.data.roles import ROLES, Role
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
    what a name does not say is ``unknown``.
    """
    members = list(scenarios)
    return tuple(
        (key, "+".join(sorted({member.get(key) or "unknown" for member in members})))
        for key in keys
    )


def assign(cells: Mapping[str, Cell], split: Split) -> dict[str, Role]:
    """Give every group its role.

    Within a cell, groups are ranked by a hash of (seed, group). Test takes the lowest, validation
    the highest, training those between. With n groups in the cell the borders lie at
    ``floor(n·test + u)`` and ``floor(n·(test + train) + u)``, so that each quota is its share
    rounded up or down. The phase u in [0, 1) belongs to the cell alone: which way a cell is
    rounded depends on no other cell, hence a new group moves nothing outside its cell and at most
    two groups in it, one at each border. Phases are spread over the cells (:data:`TURNS`), so that
    roundings cancel and small cells do not starve a role: of 12 cells with one group each, a
    share of 1/4 gets 3.

    A role that would be empty all the same takes one group of the largest role: the highest hash
    for validation, the lowest for test.

    Args:
        cells: the cell of each group.
        split: shares and seed.

    Raises:
        UserError: there are fewer groups than roles; says how many there are in each cell.
    """
    members: dict[Cell, list[str]] = defaultdict(list)
    for group, cell in cells.items():
        members[cell].append(group)
    roles: dict[str, Role] = {}
    for cell, groups in members.items():
        count, phase = len(groups), _phase(split.seed, cell)
        low = _border(count * split.test + phase)
        high = _border(count * (split.test + split.train) + phase)
        for rank, group in enumerate(sorted(groups, key=lambda name: _rank(split.seed, name))):
            roles[group] = "test" if rank < low else "train" if rank < high else "val"
    wanted: tuple[Role, ...] = ROLES if split.test > 0 else ("train", "val")
    if len(cells) < len(wanted):
        raise UserError(_too_few(members, wanted))
    for role in wanted:
        if role not in roles.values():
            roles[_donor(roles, role, split.seed)] = role
    return roles


def _border(value: float) -> int:
    return math.floor(round(value, 9))  # 20 · 0.15 shall be 3 whatever the last bits say


def _rank(seed: int, group: str) -> tuple[str, str]:
    return digest_of(["group", seed, group]), group


def _turn(*parts: str | int) -> float:
    """Return a number in [0, 1) that looks random and is the same for the same parts."""
    return int(digest_of(["turn", *parts], digits=12), 16) / 16**12


def _phase(seed: int, cell: Cell) -> float:
    phase = _turn(seed)
    for key, value in cell:
        known = TURNS[key].get(value)
        phase += _turn(seed, key, value) if known is None else known
    return phase % 1.0


def _donor(roles: Mapping[str, Role], role: Role, seed: int) -> str:
    """Return the group that an empty role takes from the largest one."""
    counts = Counter(roles.values())
    giving = max(ROLES, key=lambda other: counts[other])
    ranked = sorted(
        (group for group in roles if roles[group] == giving), key=lambda name: _rank(seed, name)
    )
    return ranked[-1] if role == "val" else ranked[0]


def _too_few(members: Mapping[Cell, list[str]], wanted: tuple[Role, ...]) -> str:
    lines = [
        f"{len(groups)} in {', '.join(f'{key} {value}' for key, value in cell) or 'the only cell'}"
        for cell, groups in sorted(members.items())
    ]
    total = sum(map(len, members.values()))
    return (
        f"{total} group{'s' if total != 1 else ''} of episodes cannot be split into "
        f"{', '.join(wanted)} ({'; '.join(lines)}); record more episodes"
        + (", or set `split.test: 0`" if len(wanted) > 2 else "")
    )
