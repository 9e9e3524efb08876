"""The stage ``split``: give each episode its role in each fold."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mobile_vla.config.split import SplitSettings
from mobile_vla.data.balance import counts_of, require_validation, warn_of_empty_cells
from mobile_vla.data.folds import FoldRoles, make_folds
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

log = logging.getLogger(__name__)


def split(settings: SplitSettings, outputs: SplitFiles, *, manifest: Path) -> None:
    """Give every episode of a manifest its role in each fold.

    All episodes of a group play the same role, and groups are stratified by cell; see
    :func:`mobile_vla.data.assignment.deal` for the rule and :mod:`mobile_vla.data.folds` for the
    kinds of splits.

    Args:
        settings: dataset, kind of split, shares, seed and stratification.
        outputs: the file to write; its counts are of episodes.
        manifest: ``manifest.json``.

    Raises:
        Problems: two files with the same bytes would be on two sides.
        UserError: there are too few groups, a cell has no validation episode, or a value that is to
            be held out has no episode.
    """
    episodes = Manifest.read(manifest).episodes
    try:
        assigned = make_folds(episodes, settings.split)
        require_validation(assigned, episodes, settings.split)
    except UserError as error:
        raise UserError(f"dataset {settings.dataset}: {error}") from None
    folds = tuple(_fold(roles, episodes) for roles in assigned)
    _refuse_duplicates(settings.dataset, folds, episodes)
    warn_of_empty_cells(settings.dataset, assigned, settings.split)
    basis = SplitBasis.model_validate(settings.split.model_dump(mode="json"))
    DatasetSplit(dataset=settings.dataset, settings=basis, folds=folds).write(outputs.split)
    for index, fold in enumerate(folds):
        totals = {str(role): len(members) for role, members in fold.roles.items()}
        if fold.unused:
            totals["unused"] = len(fold.unused)
        number = f", fold {index}" if len(folds) > 1 else ""
        held_out = f" (held out: {fold.held_out})" if fold.held_out else ""
        log.info("dataset %s%s%s: %s", settings.dataset, number, held_out, totals)


def _fold(assigned: FoldRoles, episodes: Sequence[Episode]) -> Fold:
    """Return a fold as ``split.json`` holds it; episodes in the manifest's order."""
    names = [episode.name for episode in episodes]
    return Fold(
        held_out=assigned.held_out,
        roles={
            role: tuple(name for name in names if assigned.roles.get(name) == role)
            for role in ROLES
        },
        unused=tuple(
            UnusedEpisode(episode=name, reason=assigned.unused[name])
            for name in names
            if name in assigned.unused
        ),
        cells=tuple(
            CellCounts(cell=dict(cell), train=count["train"], val=count["val"], test=count["test"])
            for cell, count in counts_of(assigned).items()
        ),
    )


def _refuse_duplicates(dataset: str, folds: Sequence[Fold], episodes: Sequence[Episode]) -> None:
    digests = {episode.name: episode.raw_sha256 for episode in episodes}
    shared = [text for fold in folds for text in shared_content(fold.roles, digests)]
    if shared:
        raise Problems(
            f"dataset {dataset}: the same content would be on two sides of the split",
            [Problem(f"dataset {dataset}", text) for text in dict.fromkeys(shared)],
        )
