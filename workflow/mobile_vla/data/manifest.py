"""Manifest: the episodes that are used, and those that are not, with the reasons."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config.data import ManifestSettings
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import atomic_path, describe, digest_of, read_json, write_json
from mobile_vla.layout import ManifestFiles

log = logging.getLogger(__name__)

Facts = Mapping[str, Any]


def manifest(
    settings: ManifestSettings,
    outputs: ManifestFiles,
    *,
    facts: list[Path],
    flags: Path | None = None,
) -> None:
    """Decide which episodes are used; write the manifest and their actions.

    Args:
        settings: dataset, and what a rejected episode does.
        outputs: the files to write.
        facts: ``EPISODE.json`` of every episode, in any order.
        flags: ``flags.json`` with the episodes that are left out for their warnings; None where
            ``on_warning`` keeps them.

    Raises:
        Problems: episodes were rejected and ``on_error`` is ``fail``: all their defects.
        UserError: two episodes have the same name, or none is left.
    """
    every = sorted((read_json(path) for path in facts), key=lambda one: str(one["episode"]))
    _distinct_names(settings.dataset, every)
    warnings = _warnings(settings.dataset, flags)
    rejected = [one for one in every if one["errors"]]
    flagged = [one for one in every if not one["errors"] and one["episode"] in warnings]
    kept = [one for one in every if not one["errors"] and one["episode"] not in warnings]
    if rejected and settings.on_error == "fail":
        raise Problems(
            f"dataset {settings.dataset}: {len(rejected)} of {len(every)} episodes cannot be used; "
            "mend or remove them, or say `on_error: quarantine` to leave them out",
            _problems(rejected),
        )
    if not kept:
        raise Problems(
            f"dataset {settings.dataset}: none of {len(every)} episodes can be used",
            [*_problems(rejected), *_flag_problems(flagged, warnings)],
        )
    out = sorted([*rejected, *flagged], key=lambda one: str(one["episode"]))
    if out:
        log.warning("%s", _summary(settings.dataset, out, warnings, len(every)))
    values = np.concatenate([_actions(one) for one in kept])  # (rows, 3)
    with atomic_path(outputs.actions) as temporary:
        np.save(temporary, values)
    entries = [_entry(one) for one in kept]
    write_json(
        outputs.manifest,
        {
            "dataset": settings.dataset,
            "rows": len(values),
            "digest": digest_of(entries),
            "episodes": entries,
            "quarantined": [
                {
                    **{key: one[key] for key in ("episode", "file", "errors")},
                    "warnings": [] if one["errors"] else warnings[one["episode"]],
                }
                for one in out
            ],
            "actions_file": describe(outputs.actions),
        },
    )


def _warnings(dataset: str, flags: Path | None) -> Mapping[str, list[str]]:
    """Return the codes for which episodes are left out."""
    if flags is None:
        return {}
    content = read_json(flags)
    if content["dataset"] != dataset:
        raise UserError(
            f"{flags}: found the flags of dataset {content['dataset']}, expected those of {dataset}"
        )
    found: Mapping[str, list[str]] = content["episodes"]
    return found


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


def _flag_problems(
    flagged: Sequence[Facts], warnings: Mapping[str, Sequence[str]]
) -> list[Problem]:
    return [
        Problem(
            f"{facts['file']}",
            f"left out for {', '.join(warnings[facts['episode']])}",
            remedy="see audit.html; say `on_warning: keep`, or accept what is no trouble",
        )
        for facts in flagged
    ]


def _summary(
    dataset: str, out: Sequence[Facts], warnings: Mapping[str, Sequence[str]], count: int
) -> str:
    lines = [f"dataset {dataset}: {len(out)} of {count} episodes are quarantined:"]
    for facts in out:
        reasons = "; ".join(
            f"{error['code']} ({error['place']}): {error['found']}" for error in facts["errors"]
        )
        lines.append(f"  {facts['episode']}: {reasons or ', '.join(warnings[facts['episode']])}")
    return "\n".join(lines)
