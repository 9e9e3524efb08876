"""The stage ``split``: give each episode its role in each fold, by the kind of split."""

from __future__ import annotations

import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.config.split import Holdout, KFold, LeaveOneOut, Split, SplitSettings
from mobile_vla.conventions import ScenarioKey
from mobile_vla.data.assignment import Cell, assign, cell_of, deal, describe_cell
from mobile_vla.data.result import (
    ROLES,
    CellCounts,
    DatasetSplit,
    Episode,
    Fold,
    Manifest,
    SplitBasis,
    UnusedEpisode,
)
from mobile_vla.data.roles import shared_content
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.layout import SplitFiles
from mobile_vla.sentence import Sentence, say

NAMED = 30  # cells that a message lists; of more, the first

log = logging.getLogger(__name__)


def split(settings: SplitSettings, outputs: SplitFiles, *, manifest: Path) -> None:
    """Give every episode of a manifest its role in each fold.

    All episodes of a group play the same role, and groups are stratified by cell; see
    :func:`mobile_vla.data.assignment.deal` for the rule.

    Raises:
        Problems: the same episode would be on two sides, from two files.
        UserError: there are too few groups, a cell has no validation episode, or a value that is to
            be held out has no episode.
    """
    episodes = Manifest.read(manifest).episodes
    try:
        assigned = make_folds(episodes, settings.split)
        _require_validation(assigned, episodes, settings.split)
    except UserError as error:
        raise UserError(f"dataset {settings.dataset}: {error}") from None
    folds = tuple(roles.written(episodes) for roles in assigned)
    shared = [text for fold in folds for text in shared_content(fold.roles, episodes)]
    if shared:
        raise Problems(
            f"dataset {settings.dataset}: the same content would be on two sides of the split",
            [Problem(f"dataset {settings.dataset}", text) for text in dict.fromkeys(shared)],
        )
    _warn_of_empty_cells(settings.dataset, assigned, settings.split)
    basis = SplitBasis.model_validate(settings.split.model_dump(mode="json"))
    DatasetSplit(dataset=settings.dataset, settings=basis, folds=folds).write(outputs.split)
    for index, fold in enumerate(folds):
        totals = {str(role): len(members) for role, members in fold.roles.items()}
        if fold.unused:
            totals["unused"] = len(fold.unused)
        number = f", fold {index}" if len(folds) > 1 else ""
        held_out = f" (held out: {fold.held_out})" if fold.held_out else ""
        log.info("dataset %s%s%s: %s", settings.dataset, number, held_out, totals)


@dataclass(frozen=True)
class FoldRoles:
    """The role of each episode in one fold."""

    held_out: str | None
    """The value of the scenario key that only the test episodes have, or None."""
    roles: dict[str, str]
    """train, val or test, by episode."""
    cells: dict[str, Cell]
    """The cell of each episode that has a role."""
    unused: dict[str, Sentence]
    """Why an episode has none, by episode."""

    def counts(self) -> dict[Cell, Counter[str]]:
        """Return how many episodes of each role a cell has, in the order of the cells."""
        counts: dict[Cell, Counter[str]] = defaultdict(Counter)
        for name, role in self.roles.items():
            counts[self.cells[name]][role] += 1
        return dict(sorted(counts.items()))

    def cells_without_validation(self) -> list[Cell]:
        """Return the cells without a validation episode.

        Where a value of the scenario is held out, cells of test episodes alone cannot have any.
        """
        return [
            cell
            for cell, count in self.counts().items()
            if not count["val"] and (count["train"] or self.held_out is None)
        ]

    def written(self, episodes: Sequence[Episode]) -> Fold:
        """Return the fold as ``split.json`` holds it; episodes in the manifest's order."""
        names = [episode.name for episode in episodes]
        return Fold(
            held_out=self.held_out,
            roles={
                role: tuple(name for name in names if self.roles.get(name) == role)
                for role in ROLES
            },
            unused=tuple(
                UnusedEpisode(episode=name, reason=self.unused[name])
                for name in names
                if name in self.unused
            ),
            cells=tuple(
                CellCounts(
                    cell=dict(cell), train=count["train"], val=count["val"], test=count["test"]
                )
                for cell, count in self.counts().items()
            ),
        )


def make_folds(episodes: Sequence[Episode], split: Split) -> list[FoldRoles]:
    """Return the folds of a split. All episodes of a group are on one side of each.

    Raises:
        UserError: there are too few groups, or a value to hold out has no episode.
    """
    if isinstance(split, LeaveOneOut):
        return [_left_out(episodes, split, value) for value in split.held_out]
    groups = _groups(episodes)
    cells = _cells(groups, split)
    if isinstance(split, KFold):
        return _kfold(groups, cells, split)
    shares = {"test": split.test, "train": split.train, "val": split.val}
    remedy = ", or set `split.test: 0`" if split.test > 0 else ""
    return [_fold(groups, cells, assign(cells, shares, split.seed, remedy=remedy))]


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
    unused: Mapping[str, Sentence] | None = None,
) -> FoldRoles:
    """Give every episode the role and the cell of its group."""
    group_of = {member.name: group for group, members in groups.items() for member in members}
    return FoldRoles(
        held_out=held_out,
        roles={name: role_of[group] for name, group in group_of.items()},
        cells={name: cells[group] for name, group in group_of.items()},
        unused=dict(unused or {}),
    )


def _kfold(
    groups: Mapping[str, Sequence[Episode]], cells: Mapping[str, Cell], split: KFold
) -> list[FoldRoles]:
    """Return K folds: the groups are dealt to them once, and each fold tests its part."""
    names = [f"fold {index}" for index in range(split.folds)]
    shares = dict.fromkeys(names, 1 / split.folds)
    dealt = assign(cells, shares, split.seed, remedy=", or lower `split.folds`")
    val = split.val / (1 - 1 / split.folds)  # of those that are not tested
    folds = []
    for name in names:
        rest = {group: cell for group, cell in cells.items() if dealt[group] != name}
        chosen = assign(rest, {"train": 1 - val, "val": val}, split.seed, f"val of {name}")
        folds.append(_fold(groups, cells, {group: chosen.get(group, "test") for group in groups}))
    return folds


def _left_out(episodes: Sequence[Episode], split: LeaveOneOut, value: str) -> FoldRoles:
    """Return the fold that tests one value of the key, and trains and selects on the others."""
    key = split.key
    unused = {
        episode.name: say("its name does not say its {key}", key=key)
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
                unused[member.name] = say(
                    "its group {group} is tested on {key} {value}, and it has another",
                    group=group,
                    key=key,
                    value=value,
                )
            else:
                unused[member.name] = say(
                    "{key} {value} is held out, and others of its group {group} train or select",
                    group=group,
                    key=key,
                    value=value,
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
    shares = dict.fromkeys(split.possible, 1 / len(split.possible))
    enough = len(mixed) >= len(split.possible)
    dealt = (assign if enough else deal)(_cells(mixed, split), shares, split.seed, "mixed")
    return {
        group
        for group, members in mixed.items()
        if dealt[group] == value and any(member.scenario[split.key] == value for member in members)
    }


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


def _require_validation(
    folds: Sequence[FoldRoles], episodes: Sequence[Episode], split: Split
) -> None:
    """Refuse folds in which some cells have no validation episode, with what works.

    Their checkpoint would be selected without these cells.
    """
    lacking = [index for index, fold in enumerate(folds) if fold.cells_without_validation()]
    if not lacking:
        return
    fold = folds[lacking[0]]
    cells = fold.cells_without_validation()
    where = f" in fold {', '.join(map(str, lacking))}" if len(folds) > 1 else ""
    several = f"fold {lacking[0]}:\n" if len(folds) > 1 else ""
    keys = ", ".join(split.stratify_by)
    subset = _largest_subset(episodes, split)
    instead = (
        f"say `stratify_by: [{', '.join(subset)}]`, the most of these keys that leave no cell "
        "empty, "
        if subset is not None
        else ""
    )
    raise UserError(
        f"{len(cells)} of {len(fold.counts())} cells of `stratify_by: [{keys}]` have no "
        f"validation episode{where}, so that checkpoints would be selected without them\n"
        f"{several}{_table(fold, set(cells))}\n"
        f"    expected: a validation episode in each cell\n"
        f"    to do:    {instead}record more episodes of the cells without one, "
        "or raise `split.val`"
    )


def _largest_subset(episodes: Sequence[Episode], split: Split) -> tuple[ScenarioKey, ...] | None:
    """Return the largest subset of the keys for which every cell has a validation episode."""
    for size in range(len(split.stratify_by) - 1, -1, -1):
        for keys in itertools.combinations(split.stratify_by, size):
            try:
                folds = make_folds(episodes, split.model_copy(update={"stratify_by": keys}))
            except UserError:
                continue
            if not any(fold.cells_without_validation() for fold in folds):
                return keys
    return None


def _table(fold: FoldRoles, empty: set[Cell]) -> str:
    """Return the counts of all cells, those without validation first."""
    counts = fold.counts()
    cells = sorted(counts, key=lambda cell: (cell not in empty, cell))
    rows = [[*(key for key, _ in cells[0]), *ROLES]] + [
        [*(value for _, value in cell), *(str(counts[cell][role]) for role in ROLES)]
        for cell in cells[:NAMED]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = [
        "    " + "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))
        for row in rows
    ]
    more = [f"    and {len(cells) - NAMED} cells more"] if len(cells) > NAMED else []
    return "\n".join([line.rstrip() for line in text] + more)


def _warn_of_empty_cells(dataset: str, folds: Sequence[FoldRoles], split: Split) -> None:
    """Log the cells without training or test episodes; split.json shows them too."""
    for (index, fold), role in itertools.product(enumerate(folds), ("train", "test")):
        if role == "test" and isinstance(split, Holdout) and not split.test:
            continue  # there is no test
        counts = fold.counts()
        empty = [
            f"{describe_cell(cell)} ({', '.join(f'{name} {count[name]}' for name in ROLES)})"
            for cell, count in counts.items()
            # where a value is held out, only its cells have test episodes
            if not count[role] and (fold.held_out is None or (role == "train" and count["val"]))
        ]
        if empty:
            log.warning(
                "dataset %s%s: %d of %d cells have no %s episode: %s",
                dataset,
                f", fold {index}" if len(folds) > 1 else "",
                len(empty),
                len(counts),
                role,
                "; ".join(empty),
            )
