"""Manifest: the episodes that are used, and those that are not, with the reasons."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config.manifest import ManifestSettings
from mobile_vla.data.actions import ACTION_COLUMNS
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import atomic_path, describe, digest_of, read_json, write_json

log = logging.getLogger(__name__)

Facts = Mapping[str, Any]


def manifest(
    settings: ManifestSettings, *, facts: list[Path], manifest: Path, actions: Path
) -> None:
    """Decide which episodes are used; write the manifest and their actions.

    Args:
        settings: dataset, and what a rejected episode does.
        facts: ``EPISODE.json`` of every episode, in any order.
        manifest: ``manifest.json`` to write.
        actions: ``actions.npy`` to write, (rows, 3) float32.

    Raises:
        Problems: episodes were rejected and ``on_error`` is ``fail``: all their defects.
        UserError: two episodes have the same name, or none is left.
    """
    every = sorted((read_json(path) for path in facts), key=lambda one: str(one["episode"]))
    _distinct_names(settings.dataset, every)
    rejected = [one for one in every if one["errors"]]
    kept = [one for one in every if not one["errors"]]
    if rejected and settings.on_error == "fail":
        raise Problems(
            f"dataset {settings.dataset}: {len(rejected)} of {len(every)} episodes cannot be used; "
            "mend or remove them, or say `on_error: quarantine` to leave them out",
            _problems(rejected),
        )
    if not kept:
        raise Problems(
            f"dataset {settings.dataset}: none of {len(every)} episodes can be used",
            _problems(rejected),
        )
    if rejected:
        log.warning("%s", _summary(settings.dataset, rejected, len(every)))
    values = np.concatenate([_actions(one) for one in kept])  # (rows, 3)
    with atomic_path(actions) as temporary:
        np.save(temporary, values)
    entries = [_entry(one) for one in kept]
    write_json(
        manifest,
        {
            "dataset": settings.dataset,
            "rows": len(values),
            "digest": digest_of(entries),
            "episodes": entries,
            "quarantined": [
                {key: one[key] for key in ("episode", "file", "errors")} for one in rejected
            ],
            "actions_file": describe(actions),
        },
    )


def _actions(facts: Facts) -> np.ndarray:
    return np.array(facts["actions"], dtype=np.float32).reshape(-1, len(ACTION_COLUMNS))  # (T, 3)


def _entry(facts: Facts) -> dict[str, Any]:
    return {
        "episode": facts["episode"],
        "frames": facts["frames"],
        "scenario": facts["scenario"],
        "group": facts["group"],
        "instruction": facts["instruction"],
        "raw_sha256": facts["sha256"],
        "frames_sha256": facts["frame_file"]["sha256"],
    }


def _distinct_names(dataset: str, every: Sequence[Facts]) -> None:
    problems = [
        Problem(
            f"dataset {dataset}",
            f"two episodes named {one['episode']}: {one['file']} and {other['file']}",
            "each name once",
            "rename one of the files, or narrow the dataset's pattern",
        )
        for one, other in itertools.pairwise(every)
        if one["episode"] == other["episode"]
    ]
    if problems:
        raise Problems(f"dataset {dataset}: names that stand twice", problems)
    if not every:
        raise UserError(f"dataset {dataset}: no episodes; check its path and pattern")


def _problems(rejected: Sequence[Facts]) -> list[Problem]:
    return [
        Problem(
            f"{facts['file']}, {error['place']}",
            f"{error['found']} [{error['code']}]",
            error["expected"],
            error["remedy"],
        )
        for facts in rejected
        for error in facts["errors"]
    ]


def _summary(dataset: str, rejected: Sequence[Facts], count: int) -> str:
    lines = [f"dataset {dataset}: {len(rejected)} of {count} episodes are quarantined:"]
    for facts in rejected:
        reasons = "; ".join(
            f"{error['code']} ({error['place']}): {error['found']}" for error in facts["errors"]
        )
        lines.append(f"  {facts['episode']}: {reasons}")
    return "\n".join(lines)
