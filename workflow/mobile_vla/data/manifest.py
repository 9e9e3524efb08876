"""The stage ``manifest``: decide which episodes are used, and list the others with the reasons."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mobile_vla.config.data import ManifestSettings
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.data.result import Episode, Flags, Manifest, Quarantined
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import atomic_path, digest_of
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import ManifestFiles
from mobile_vla.result import FileDigest

log = logging.getLogger(__name__)

Warnings = Mapping[str, tuple[str, ...]]
"""Codes of the warnings that an episode is left out for, by episode."""


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
    every = sorted((EpisodeFacts.read(path) for path in facts), key=lambda episode: episode.episode)
    _check_names(settings.dataset, every)
    warnings = _warnings(settings.dataset, flags)
    rejected = [episode for episode in every if episode.errors]
    sound = [episode for episode in every if not episode.errors]
    flagged = [episode for episode in sound if episode.episode in warnings]
    kept = [episode for episode in sound if episode.episode not in warnings]
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
    out = sorted([*rejected, *flagged], key=lambda episode: episode.episode)
    if out:
        log.warning("%s", _summary(settings.dataset, out, warnings, len(every)))
    values = np.concatenate([_actions(episode) for episode in kept])  # (rows, 3)
    with atomic_path(outputs.actions) as temporary:
        np.save(temporary, values)
    episodes = tuple(_episode(episode) for episode in kept)
    content = Manifest(
        dataset=settings.dataset,
        rows=len(values),
        digest=digest_of([episode.model_dump(mode="json") for episode in episodes]),
        episodes=episodes,
        quarantined=tuple(
            Quarantined(
                episode=episode.episode,
                file=episode.file,
                errors=tuple(episode.errors),
                warnings=() if episode.errors else warnings[episode.episode],
            )
            for episode in out
        ),
        actions_file=FileDigest.of(outputs.actions),
    )
    content.write(outputs.manifest)


def _warnings(dataset: str, path: Path | None) -> Warnings:
    """Return the codes for which episodes are left out."""
    if path is None:
        return {}
    flags = Flags.read(path)
    if flags.dataset != dataset:
        raise UserError(
            f"{path}: found the flags of dataset {flags.dataset}, expected those of {dataset}"
        )
    return flags.episodes


def _actions(facts: EpisodeFacts) -> np.ndarray:
    return np.array(facts.actions, dtype=np.float32).reshape(-1, len(ACTION_COLUMNS))  # (T, 3)


def _episode(facts: EpisodeFacts) -> Episode:
    assert facts.sha256 is not None  # a file without bytes is rejected
    return Episode(
        episode=facts.episode,
        frames=facts.frames,
        scenario=facts.scenario,
        group=facts.group,
        instruction=facts.instruction,
        raw_sha256=facts.sha256,
        frames_sha256=facts.frame_file.sha256,
    )


def _check_names(dataset: str, every: Sequence[EpisodeFacts]) -> None:
    """Refuse a dataset without episodes, or with two of one name."""
    problems = [
        Problem(
            f"dataset {dataset}",
            f"two episodes named {first.episode}: {first.file} and {second.file}",
            "each name once",
            "rename one of the files, or narrow the dataset's pattern",
        )
        for first, second in itertools.pairwise(every)
        if first.episode == second.episode
    ]
    if problems:
        raise Problems(f"dataset {dataset}: names that stand twice", problems)
    if not every:
        raise UserError(f"dataset {dataset}: no episodes; check its path and pattern")


def _problems(rejected: Sequence[EpisodeFacts]) -> list[Problem]:
    return [
        Problem(
            f"{facts.file}, {error.place}",
            f"{error.found} [{error.code}]",
            error.expected,
            error.remedy,
        )
        for facts in rejected
        for error in facts.errors
    ]


def _flag_problems(flagged: Sequence[EpisodeFacts], warnings: Warnings) -> list[Problem]:
    return [
        Problem(
            facts.file,
            f"left out for {', '.join(warnings[facts.episode])}",
            remedy="see audit.html; say `on_warning: keep`, or accept what is no trouble",
        )
        for facts in flagged
    ]


def _summary(dataset: str, out: Sequence[EpisodeFacts], warnings: Warnings, count: int) -> str:
    lines = [f"dataset {dataset}: {len(out)} of {count} episodes are quarantined:"]
    for facts in out:
        reasons = "; ".join(
            f"{error.code} ({error.place}): {error.found}" for error in facts.errors
        )
        lines.append(f"  {facts.episode}: {reasons or ', '.join(warnings[facts.episode])}")
    return "\n".join(lines)
