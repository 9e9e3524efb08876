"""Put the splits of several datasets together: each episode keeps its role, and counts once."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

from mobile_vla.config.data import MixSettings
from mobile_vla.data.assignment import cell_of
from mobile_vla.data.dataset import Dataset, member_prefix
from mobile_vla.data.result import DatasetSplit, Fold, SplitBasis
from mobile_vla.data.split import FoldRoles
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.layout import SplitFiles
from mobile_vla.sentence import Sentence, say

log = logging.getLogger(__name__)

UNUSED = "unused"

Roles = dict[str, tuple[str, Sentence | None]]
"""By episode its role, or ``unused`` and why."""


def mix_splits(
    settings: MixSettings,
    outputs: SplitFiles,
    *,
    manifest: Path,
    actions: Path,
    splits: list[Path],
) -> None:
    """Write the split of a mixture, in which each episode has the role that its dataset gives it.

    An episode that is in two datasets, with the same bytes or the same frames and actions, counts
    once: in the first of them.

    Args:
        manifest: the mixture's.
        actions: the mixture's.
        splits: ``split.json`` of each dataset, in the mixture's order.

    Raises:
        Problems: an episode is in two datasets that give it different roles.
        UserError: the splits are not those of the datasets, or their folds do not belong together.
    """
    dataset = Dataset.load(manifest, actions)
    parts = [DatasetSplit.read(path) for path in splits]
    found = [one.dataset for one in parts]
    if found != list(settings.members) or len({len(one.folds) for one in parts}) > 1:
        counts = ", ".join(f"{one.dataset} ({len(one.folds)})" for one in parts)
        raise UserError(
            f"mixture {settings.dataset}: found the splits of {counts}, with their folds; expected "
            f"those of {', '.join(settings.members)}, with as many each; run snakemake again"
        )
    repeated = repeated_episodes(dataset)
    first = parts[0].settings
    common = [
        key for key in first.stratify_by if all(key in one.settings.stratify_by for one in parts)
    ]
    basis = SplitBasis(seed=first.seed, stratify_by=tuple(common))
    folds, problems = [], []
    for number, of_parts in enumerate(zip(*(one.folds for one in parts), strict=True)):
        roles = {
            member_prefix(name) + episode: (role, reason)
            for name, fold in zip(found, of_parts, strict=True)
            for episode, role, reason in _listed(fold)
        }
        where = f", fold {number}" if len(parts[0].folds) > 1 else ""
        place = f"mixture {settings.dataset}{where}"
        folds.append(_joined(dataset, basis, roles, repeated, of_parts[0].held_out))
        problems += _differing(place, repeated, roles)
        problems += _nothing_left(place, dict(zip(found, of_parts, strict=True)), folds[-1])
    if problems:
        raise Problems(f"mixture {settings.dataset}: episodes are in two of its datasets", problems)
    for again, before in repeated.items():
        log.info("mixture %s: %s counts once, as %s", settings.dataset, again, before)
    DatasetSplit(dataset=settings.dataset, settings=basis, folds=tuple(folds)).write(outputs.split)


def repeated_episodes(dataset: Dataset) -> dict[str, str]:
    """Return episodes that an earlier dataset of a mixture has too, with their names there.

    Two episodes are the same whose files have the same bytes, or that have the same frames and the
    same actions, as a file has that was written once more.
    """
    first: dict[str, int] = {}
    found: dict[str, str] = {}
    for index, episode in enumerate(dataset.episodes):
        before = [first.setdefault(key, index) for key in episode.content]
        earlier = min(before)
        if dataset.part[earlier] != dataset.part[index]:
            found[episode.name] = dataset.episodes[earlier].name
    return found


def _listed(fold: Fold) -> list[tuple[str, str, Sentence | None]]:
    """Return the episodes of a fold with their roles, and why those without one have none."""
    used = ((name, str(role), None) for role, names in fold.roles.items() for name in names)
    return [*used, *((one.episode, UNUSED, one.reason) for one in fold.unused)]


def _differing(place: str, repeated: dict[str, str], roles: Roles) -> list[Problem]:
    """Return the repeated episodes that their datasets put on different sides."""
    sides = {name: (roles[name][0], roles[before][0]) for name, before in repeated.items()}
    return [
        Problem(
            place,
            f"{repeated[name]} ({before}) and {name} ({role}) are the same episode",
            "it on one side, or a policy is scored on what it was trained on or selected by",
            "remove its file from one of the two datasets",
        )
        for name, (role, before) in sides.items()
        if len({role, before} - {UNUSED}) > 1
    ]


def _nothing_left(place: str, of_members: dict[str, Fold], joined: Fold) -> list[Problem]:
    """Return the datasets of which no episode of a role is left, because earlier ones have them."""
    return [
        Problem(
            place,
            f"all {len(names)} {role} episodes of {member} are in an earlier dataset, too",
            "some that are in no other, since each dataset is trained on, and scored by itself",
            f"leave {member} out of the mixture, or remove what is repeated from the other",
        )
        for member, fold in of_members.items()
        for role, names in fold.roles.items()
        if names and not any(name.startswith(member_prefix(member)) for name in joined.roles[role])
    ]


def _joined(
    dataset: Dataset,
    basis: SplitBasis,
    roles: Roles,
    repeated: dict[str, str],
    held_out: str | None,
) -> Fold:
    """Return a fold of the mixture; an episode that one dataset leaves unused is unused."""
    unused = {name: reason for name, (_, reason) in roles.items() if reason is not None}
    for name, before in repeated.items():
        if name in unused:
            reason = say("it is unused as {name}: {reason}", name=name, reason=unused[name])
            unused.setdefault(before, reason)
        unused[name] = say("the same episode as {name}, and counted there", name=before)
    groups = defaultdict(list)
    for episode in dataset.episodes:
        if episode.name not in unused:
            groups[episode.group].append(episode)
    cells = {
        group: cell_of([member.scenario for member in members], basis.stratify_by)
        for group, members in groups.items()
    }
    used = [member for members in groups.values() for member in members]
    fold = FoldRoles(
        held_out=held_out,
        roles={episode.name: roles[episode.name][0] for episode in used},
        cells={episode.name: cells[episode.group] for episode in used},
        unused=unused,
    )
    return fold.written(dataset.episodes)
