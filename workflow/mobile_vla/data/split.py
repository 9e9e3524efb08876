"""Split: who is trained on, who selects the checkpoint, and who is scored, in each fold."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobile_vla.config.split import SplitSettings
from mobile_vla.data.balance import counts_of, require_validation, warn_of_empty_cells
from mobile_vla.data.folds import Entry, Fold, make_folds
from mobile_vla.data.roles import ROLES, shared_content
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import read_json, write_json
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
    entries: list[Entry] = read_json(manifest)["episodes"]
    try:
        folds = make_folds(entries, settings.split)
        require_validation(folds, entries, settings.split)
    except UserError as error:
        raise UserError(f"dataset {settings.dataset}: {error}") from None
    contents = [_content(fold, entries) for fold in folds]
    _refuse_duplicates(settings.dataset, contents, entries)
    warn_of_empty_cells(settings.dataset, folds, settings.split)
    write_json(
        outputs.split,
        {
            "dataset": settings.dataset,
            "settings": settings.split.model_dump(mode="json"),
            "folds": contents,
        },
    )
    for index, content in enumerate(contents):
        totals = {role: len(members) for role, members in content["roles"].items()}
        if content["unused"]:
            totals["unused"] = len(content["unused"])
        number = f", fold {index}" if len(contents) > 1 else ""
        held_out = f" (held out: {content['held_out']})" if content["held_out"] else ""
        log.info("dataset %s%s%s: %s", settings.dataset, number, held_out, totals)


def _content(fold: Fold, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what ``split.json`` says of a fold; episodes in the manifest's order."""
    names = [one["episode"] for one in entries]
    return {
        "held_out": fold.held_out,
        "roles": {role: [name for name in names if fold.roles.get(name) == role] for role in ROLES},
        "unused": [
            {"episode": name, "reason": fold.unused[name]} for name in names if name in fold.unused
        ],
        "cells": [
            {"cell": dict(cell), **{role: count[role] for role in ROLES}}
            for cell, count in counts_of(fold).items()
        ],
    }


def _refuse_duplicates(
    dataset: str, contents: Sequence[dict[str, Any]], entries: Sequence[Entry]
) -> None:
    digests = {one["episode"]: one["raw_sha256"] for one in entries}
    found = [text for content in contents for text in shared_content(content["roles"], digests)]
    if found:
        raise Problems(
            f"dataset {dataset}: the same content would be on two sides of the split",
            [Problem(f"dataset {dataset}", text) for text in dict.fromkeys(found)],
        )
