"""Count the episodes of a split by cell and role, and refuse cells without validation episodes."""

from __future__ import annotations

import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence

from mobile_vla.config.split import Holdout, Split
from mobile_vla.conventions import ScenarioKey
from mobile_vla.data.assignment import Cell, describe_cell
from mobile_vla.data.folds import FoldRoles, make_folds
from mobile_vla.data.result import ROLES, Episode
from mobile_vla.errors import UserError

log = logging.getLogger(__name__)

NAMED = 30  # cells that a message lists; of more, the first


def counts_of(fold: FoldRoles) -> dict[Cell, Counter[str]]:
    """Return how many episodes of each role a cell has, in the order of the cells."""
    counts: dict[Cell, Counter[str]] = defaultdict(Counter)
    for name, role in fold.roles.items():
        counts[fold.cells[name]][role] += 1
    return dict(sorted(counts.items()))


def cells_without_validation(fold: FoldRoles) -> list[Cell]:
    """Return the cells without a validation episode.

    Where a value of the scenario is held out, cells of test episodes alone cannot have any.
    """
    return [
        cell
        for cell, count in counts_of(fold).items()
        if not count["val"] and (count["train"] or fold.held_out is None)
    ]


def require_validation(
    folds: Sequence[FoldRoles], episodes: Sequence[Episode], split: Split
) -> None:
    """Refuse folds in which some cells have no validation episode.

    Their checkpoint would be selected without these cells.

    Raises:
        UserError: with the counts of the first such fold, and what works.
    """
    lacking = [index for index, fold in enumerate(folds) if cells_without_validation(fold)]
    if not lacking:
        return
    fold = folds[lacking[0]]
    cells = cells_without_validation(fold)
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
        f"{len(cells)} of {len(counts_of(fold))} cells of `stratify_by: [{keys}]` have no "
        f"validation episode{where}, so that checkpoints would be selected without them\n"
        f"{several}{_table(fold, set(cells))}\n"
        f"    expected: a validation episode in each cell\n"
        f"    to do:    {instead}record more episodes of the cells without one, "
        "or raise `split.val`"
    )


def warn_of_empty_cells(dataset: str, folds: Sequence[FoldRoles], split: Split) -> None:
    """Log the cells without training or test episodes; split.json shows them too."""
    for index, fold in enumerate(folds):
        for role in ("train", "test"):
            if role == "test" and isinstance(split, Holdout) and not split.test:
                continue  # there is no test
            counts = counts_of(fold)
            empty = [
                cell
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
                    "; ".join(
                        f"{describe_cell(cell)} ({_numbers(counts[cell])})" for cell in empty
                    ),
                )


def _numbers(count: Counter[str]) -> str:
    return ", ".join(f"{role} {count[role]}" for role in ROLES)


def _largest_subset(episodes: Sequence[Episode], split: Split) -> tuple[ScenarioKey, ...] | None:
    """Return the largest subset of the keys for which every cell has a validation episode."""
    for size in range(len(split.stratify_by) - 1, -1, -1):
        for keys in itertools.combinations(split.stratify_by, size):
            try:
                folds = make_folds(episodes, split.model_copy(update={"stratify_by": keys}))
            except UserError:
                continue
            if not any(cells_without_validation(fold) for fold in folds):
                return keys
    return None


def _table(fold: FoldRoles, empty: set[Cell]) -> str:
    """Return the counts of all cells, those without validation first."""
    counts = counts_of(fold)
    cells = sorted(counts, key=lambda cell: (cell not in empty, cell))
    keys = [key for key, _ in cells[0]]
    lines = [
        [*(value for _, value in cell), *(str(counts[cell][role]) for role in ROLES)]
        for cell in cells[:NAMED]
    ]
    rows: list[list[str]] = [[*keys, *ROLES], *lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = [
        "    " + "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))
        for row in rows
    ]
    more = [f"    and {len(cells) - NAMED} cells more"] if len(cells) > NAMED else []
    return "\n".join([line.rstrip() for line in text] + more)
