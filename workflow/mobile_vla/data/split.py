"""Split: who is trained on, who selects the checkpoint, and who is scored."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from pathlib import Path

from mobile_vla.config.split import SplitSettings
from mobile_vla.data.assignment import Cell, assign, cell_of
from mobile_vla.data.roles import ROLES
from mobile_vla.errors import UserError
from mobile_vla.files import read_json, write_json

log = logging.getLogger(__name__)


def split(settings: SplitSettings, *, manifest: Path, split: Path) -> None:
    """Give every episode of a manifest its role.

    All episodes of a group play the same role, and groups are stratified by cell; see
    :func:`mobile_vla.data.assignment.assign` for the rule.

    Args:
        settings: dataset, shares, seed and stratification.
        manifest: ``manifest.json``.
        split: ``split.json`` to write; its counts are of episodes.

    Raises:
        UserError: there are too few groups.
    """
    episodes = read_json(manifest)["episodes"]
    members: dict[str, list[dict[str, str | None]]] = defaultdict(list)
    for episode in episodes:
        members[episode["group"]].append(episode["scenario"])
    cells = {
        group: cell_of(scenarios, settings.split.stratify_by)
        for group, scenarios in members.items()
    }
    try:
        roles = assign(cells, settings.split)
    except UserError as error:
        raise UserError(f"dataset {settings.dataset}: {error}") from None
    counts: dict[Cell, Counter[str]] = defaultdict(Counter)
    for episode in episodes:
        counts[cells[episode["group"]]][roles[episode["group"]]] += 1
    write_json(
        split,
        {
            "dataset": settings.dataset,
            "settings": settings.split.model_dump(mode="json"),
            "roles": {
                role: [one["episode"] for one in episodes if roles[one["group"]] == role]
                for role in ROLES
            },
            "cells": [
                {"cell": dict(cell), **{role: counts[cell][role] for role in ROLES}}
                for cell in sorted(counts)
            ],
        },
    )
    totals = {role: sum(count[role] for count in counts.values()) for role in ROLES}
    log.info("dataset %s: %s", settings.dataset, totals)
