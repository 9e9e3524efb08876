"""The stage ``manifest``: decide which episodes are used, and list the others with the reasons."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256
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
    raw_folder: Path | None = None,
) -> None:
    """Decide which episodes are used; write the manifest and their actions.

    Args:
        facts: ``EPISODE.json`` of every episode, in any order.
        flags: ``flags.json`` with the episodes that are left out for their warnings; None where
            ``on_warning`` keeps them.
        raw_folder: the folder of recorded files, for messages.

    Raises:
        Problems: episodes were rejected and ``on_error`` is ``fail``: all their defects.
        UserError: two episodes have the same name, or none is left.
    """
    every = sorted((EpisodeFacts.read(path) for path in facts), key=lambda episode: episode.episode)
    _check_names(settings.dataset, every)
    warnings: Warnings = {}
    if flags is not None:
        listed = Flags.read(flags)
        if listed.dataset != settings.dataset:
            raise UserError(
                f"{flags}: found the flags of dataset {listed.dataset}, expected those of "
                f"{settings.dataset}"
            )
        warnings = listed.episodes
    rejected = [episode for episode in every if episode.errors]
    out = [episode for episode in every if episode.errors or episode.episode in warnings]
    kept = [facts for facts in every if not facts.errors and facts.episode not in warnings]
    if rejected and settings.on_error == "fail":
        raise Problems(
            f"dataset {settings.dataset}: {len(rejected)} of {len(every)} episodes cannot be used; "
            "mend or remove them, or say `on_error: quarantine` to leave them out",
            _problems(rejected, warnings, raw_folder),
        )
    if not kept:
        raise Problems(
            f"dataset {settings.dataset}: none of {len(every)} episodes can be used",
            _problems(sorted(out, key=lambda one: not one.errors), warnings, raw_folder),
        )
    if out:
        log.warning("%s", _summary(settings.dataset, out, warnings, len(every)))
    values = _actions(kept)
    with atomic_path(outputs.actions) as temporary:
        np.save(temporary, values)
    episodes = tuple(
        Episode(
            episode=episode.episode,
            frames=episode.frames,
            scenario=episode.scenario,
            group=episode.group,
            instruction=episode.instruction,
            raw_sha256=episode.raw.sha256,
            frames_sha256=episode.frame_file.sha256,
            actions_sha256=sha256(_actions([episode]).tobytes()).hexdigest(),
        )
        for episode in kept
    )
    Manifest(
        dataset=settings.dataset,
        rows=len(values),
        digest=digest_of([episode.model_dump(mode="json") for episode in episodes]),
        episodes=episodes,
        quarantined=tuple(
            Quarantined(
                episode=episode.episode,
                file=episode.place,
                errors=tuple(episode.errors),
                warnings=() if episode.errors else warnings[episode.episode],
            )
            for episode in out
        ),
        actions_file=FileDigest.of(outputs.actions),
    ).write(outputs.manifest)


def _actions(episodes: Sequence[EpisodeFacts]) -> np.ndarray:
    """Return the actions of episodes, (rows, 3) float32."""
    rows = [action for episode in episodes for action in episode.actions]
    return np.array(rows, dtype=np.float32).reshape(-1, len(ACTION_COLUMNS))


def _check_names(dataset: str, every: Sequence[EpisodeFacts]) -> None:
    """Refuse a dataset without episodes, or with two of one name."""
    problems = [
        Problem(
            f"dataset {dataset}",
            f"two episodes named {first.episode}: {first.place} and {second.place}",
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


def _problems(
    out: Sequence[EpisodeFacts], warnings: Warnings, raw_folder: Path | None
) -> list[Problem]:
    problems = []
    for facts in out:
        file = facts.place if raw_folder is None else str(raw_folder / facts.place)
        problems += [
            Problem(
                f"{file}, {error.place}",
                f"{error.found} [{error.code}]",
                str(error.expected),
                str(error.remedy),
            )
            for error in facts.errors
        ]
        if not facts.errors:
            found = f"left out for {', '.join(warnings[facts.episode])}"
            remedy = "see audit.html; say `on_warning: keep`, or accept what is no trouble"
            problems.append(Problem(file, found, remedy=remedy))
    return problems


def _summary(dataset: str, out: Sequence[EpisodeFacts], warnings: Warnings, count: int) -> str:
    lines = [f"dataset {dataset}: {len(out)} of {count} episodes are quarantined:"]
    for facts in out:
        reasons = "; ".join(
            f"{error.code} ({error.place}): {error.found}" for error in facts.errors
        )
        lines.append(f"  {facts.episode}: {reasons or ', '.join(warnings[facts.episode])}")
    return "\n".join(lines)
