"""Assign the episodes of each fold to train, val and test, by the kind of split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mobile_vla.config.split import Holdout, KFold, LeaveOneOut, Split
from mobile_vla.data.assignment import Cell, assign, cell_of, deal
from mobile_vla.data.result import Episode
from mobile_vla.errors import UserError


@dataclass(frozen=True)
class FoldRoles:
    """The role of each episode in one fold.

    Args:
        held_out: the value of the scenario key that only the test episodes have, or None.
        roles: train, val or test, by episode.
        cells: the cell of each episode that has a role.
        unused: why an episode has none, by episode.
    """

    held_out: str | None
    roles: dict[str, str]
    cells: dict[str, Cell]
    unused: dict[str, str]


def make_folds(episodes: Sequence[Episode], split: Split) -> list[FoldRoles]:
    """Return the folds of a split. All episodes of a group are on one side of each.

    Raises:
        UserError: there are too few groups, or a value to hold out has no episode.
    """
    if isinstance(split, KFold):
        return _kfold(episodes, split)
    if isinstance(split, LeaveOneOut):
        return [_left_out(episodes, split, value) for value in split.held_out]
    return [_holdout(episodes, split)]


def _groups(episodes: Sequence[Episode]) -> dict[str, list[Episode]]:
    groups: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        groups[episode.group].append(episode)
    return groups


def _cells(groups: Mapping[str, Sequence[Episode]], split: Split) -> dict[str, Cell]:
    return {
        group: cell_of([member.scenario for member in members], split.stratify_by)
        for group, members in groups.items()
    }


def _fold(
    groups: Mapping[str, Sequence[Episode]],
    cells: Mapping[str, Cell],
    role_of: Mapping[str, str],
    held_out: str | None = None,
    unused: Mapping[str, str] | None = None,
) -> FoldRoles:
    """Give every episode the role and the cell of its group."""
    group_of = {member.name: group for group, members in groups.items() for member in members}
    return FoldRoles(
        held_out=held_out,
        roles={name: role_of[group] for name, group in group_of.items()},
        cells={name: cells[group] for name, group in group_of.items()},
        unused=dict(unused or {}),
    )


def _holdout(episodes: Sequence[Episode], split: Holdout) -> FoldRoles:
    groups = _groups(episodes)
    cells = _cells(groups, split)
    shares = {"test": split.test, "train": split.train, "val": split.val}
    remedy = ", or set `split.test: 0`" if split.test > 0 else ""
    return _fold(groups, cells, assign(cells, shares, split.seed, remedy=remedy))


def _kfold(episodes: Sequence[Episode], split: KFold) -> list[FoldRoles]:
    """Return K folds: the groups are dealt to them once, and each fold tests its part."""
    groups = _groups(episodes)
    cells = _cells(groups, split)
    names = [f"fold {index}" for index in range(split.folds)]
    shares = dict.fromkeys(names, 1 / split.folds)
    dealt = assign(cells, shares, split.seed, remedy=", or lower `split.folds`")
    val = split.val / (1 - 1 / split.folds)  # of those that are not tested
    folds = []
    for name in names:
        rest = {group: cell for group, cell in cells.items() if dealt[group] != name}
        chosen = assign(rest, {"train": 1 - val, "val": val}, split.seed, f"val of {name}")
        role_of = {group: chosen.get(group, "test") for group in groups}
        folds.append(_fold(groups, cells, role_of))
    return folds


def _left_out(episodes: Sequence[Episode], split: LeaveOneOut, value: str) -> FoldRoles:
    """Return the fold that tests one value of the key, and trains and selects on the others."""
    key = split.key
    unused = {
        episode.name: f"its name does not say its {key}"
        for episode in episodes
        if episode.scenario[key] is None
    }
    groups = _groups([episode for episode in episodes if episode.name not in unused])
    values = {
        group: {member.scenario[key] for member in members} for group, members in groups.items()
    }
    tested = {group for group, held in values.items() if held == {value}}
    tested |= _tested_of_mixed(
        {group: groups[group] for group, held in values.items() if len(held) > 1}, split, value
    )
    used: dict[str, list[Episode]] = defaultdict(list)
    for group, members in groups.items():
        for member in members:
            if (member.scenario[key] == value) == (group in tested):
                used[group].append(member)
            elif group in tested:
                unused[member.name] = (
                    f"its group {group} is tested on {key} {value}, and it has another"
                )
            else:
                unused[member.name] = (
                    f"{key} {value} is held out, and others of its group {group} train or select"
                )
    cells = _cells(used, split)
    rest = {group: cell for group, cell in cells.items() if group not in tested}
    if not tested & used.keys() or len(rest) < 2:
        raise UserError(_nothing_to_hold_out(episodes, key, value, len(rest)))
    chosen = assign(rest, {"train": 1 - split.val, "val": split.val}, split.seed, f"val of {value}")
    role_of = {group: chosen.get(group, "test") for group in used}
    return _fold(used, cells, role_of, value, unused)


def _tested_of_mixed(
    mixed: Mapping[str, Sequence[Episode]], split: LeaveOneOut, value: str
) -> set[str]:
    """Return which groups that hold several values are tested in the fold of one of them.

    They are dealt to the values as to the folds of ``kfold``, so that each is tested once; in the
    folds of the other values it trains or selects.
    """
    cells = _cells(mixed, split)
    shares = dict.fromkeys(split.possible, 1 / len(split.possible))
    enough = len(mixed) >= len(split.possible)
    dealt = (assign if enough else deal)(cells, shares, split.seed, "mixed")
    holding = {
        group
        for group, members in mixed.items()
        if any(member.scenario[split.key] == value for member in members)
    }
    return {group for group in holding if dealt[group] == value}


def _nothing_to_hold_out(episodes: Sequence[Episode], key: str, value: str, rest: int) -> str:
    counts = Counter(episode.scenario[key] or "not said" for episode in episodes)
    listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    lack = (
        f"nothing to train and select on ({rest} group{'s' if rest != 1 else ''} of episodes)"
        if rest < 2
        else f"no episode of {value} to test"
    )
    return (
        f"the fold that holds out {key} {value} has {lack}; episodes by {key}: {listed}; name the "
        "values that can be held out in `split.values`, record more episodes, or say `kind: kfold`"
    )
