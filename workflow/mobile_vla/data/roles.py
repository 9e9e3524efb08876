"""Read a fold of a split: the episodes of each role, and subsets of the training episodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.conventions import ScenarioKey
from mobile_vla.data.assignment import Cell, cell_of, phase_of, rank
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.result import ROLES, DatasetSplit, Episode, Fold, Role
from mobile_vla.errors import Problem, Problems, UserError

DRAW = "subset"  # so that ranks do not depend on those that dealt the roles


@dataclass(frozen=True)
class Roles:
    """The episodes of one fold by role, as indices in ``Dataset.episodes``, ascending."""

    of: dict[Role, tuple[int, ...]]
    """With a subset, train holds the episodes of it alone."""
    fold: int
    """Number of the fold, from 0."""
    folds: int
    """How many folds the split has."""
    held_out: str | None
    """The value of the scenario that is kept from training, or None."""


def load_split(path: Path, dataset: Dataset, fold: int, subset: int | None = None) -> Roles:
    """Read a fold of ``split.json`` and check it against the dataset, each time it is used.

    With ``subset``, that many of the training episodes train.

    Raises:
        Problems: an episode is on two sides, is not in the manifest, or is neither in a role nor
            listed as unused; or a group, or the same content, is on two sides.
        UserError: the file is not a split or has no such fold, or there are fewer training
            episodes than ``subset``.
    """
    content = DatasetSplit.read(path)
    folds = len(content.folds)
    if fold >= folds:
        raise UserError(
            f"{path}: found {folds} fold{'s' if folds != 1 else ''}, expected one numbered {fold}; "
            "run snakemake again, it splits anew"
        )
    chosen = content.folds[fold]
    problems = [*_misplaced(chosen, dataset), *shared_content(chosen.roles, dataset.episodes)]
    if problems:
        raise Problems(
            f"{path} does not fit dataset {dataset.name}; remove it and run snakemake again",
            [Problem(str(path), text) for text in problems],
        )
    of = {role: tuple(sorted(map(dataset.index, chosen.roles[role]))) for role in ROLES}
    if subset is not None:
        train, basis = of["train"], content.settings
        if subset > len(train):
            raise UserError(
                f"config.yaml (subset): found {subset}, but the split of {dataset.name} gives "
                f"{len(train)} of its {len(dataset)} episodes to training; say {len(train)} or "
                "less, or leave `subset` out to train on all of them"
            )
        episodes = [dataset.episodes[index] for index in train]
        draws = [DRAW] * len(train)
        if dataset.is_mixture:  # each dataset has its share of a subset, as each cell has
            draws = [f"{DRAW} {dataset.part_of(index).name}" for index in train]
        order = subset_order(episodes, basis.stratify_by, basis.seed, draws)
        of["train"] = tuple(sorted(train[place] for place in order[:subset]))
    return Roles(of, fold, folds, chosen.held_out)


def shared_content(listed: Mapping[Role, Sequence[str]], episodes: Sequence[Episode]) -> list[str]:
    """Return a text for each two episodes with different roles and the same content."""
    content = {episode.name: episode.content for episode in episodes}
    first: dict[str, tuple[str, str]] = {}
    texts = []
    for role in ROLES:
        for name in listed[role]:
            before = [first.setdefault(key, (name, role)) for key in content.get(name, ())]
            for other, where in dict.fromkeys(before):
                if where != role:
                    texts.append(
                        f"{other} ({where}) and {name} ({role}) are the same episode: the same "
                        "bytes, or the same frames and actions; remove one of the two files, or "
                        "what is scored has been trained on or selected by"
                    )
    return texts


def _misplaced(fold: Fold, dataset: Dataset) -> list[str]:
    """Return a text for each episode or group that is on two sides, on none, or unknown."""
    unused = [episode.episode for episode in fold.unused]
    listed: list[tuple[str, Sequence[str]]] = [*fold.roles.items(), ("unused", unused)]
    texts: list[str] = []
    groups = {episode.name: episode.group for episode in dataset.episodes}
    role_of: dict[str, str] = {}
    role_of_group: dict[str, str] = {}
    for role, episodes in listed:
        for name in episodes:
            if name not in groups:
                texts.append(f"{name} ({role}) is not in the manifest of {dataset.name}")
                continue
            if name in role_of:
                texts.append(f"{name} is in {role_of[name]} and in {role}")
                continue
            role_of[name] = role
            group = groups[name]
            if role != "unused" and role_of_group.setdefault(group, role) != role:
                texts.append(
                    f"group {group} is in {role_of_group[group]} and, by {name}, in {role}"
                )
    return texts + [f"{name} has no role" for name in groups if name not in role_of]


def subset_order(
    episodes: Sequence[Episode],
    keys: Sequence[ScenarioKey],
    seed: int,
    draws: Sequence[str] | None = None,
) -> list[int]:
    """Return the order in which training episodes are taken: a subset of N is its first N.

    Subsets are nested, so that runs on 13, 100 and 1,000 episodes can be compared. Groups stay
    together, and only the last may be cut. Within a cell, groups are ranked by a hash of
    (seed, group), and the i-th of n stands at (i + u) / n, where u in [0, 1) is the cell's phase:
    in each beginning of the order, every cell has its share rounded up or down.

    Args:
        draws: of each episode the draw that its cell belongs to; cells of two draws are two cells.

    Returns:
        The indices of all of ``episodes``, a function of the episodes, the keys and the seed alone.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, episode in enumerate(episodes):
        members[episode.group].append(index)
    cells: dict[tuple[str, Cell], list[str]] = defaultdict(list)
    for group, indices in members.items():
        cell = cell_of([episodes[index].scenario for index in indices], keys)
        cells[draws[indices[0]] if draws else DRAW, cell].append(group)
    place: dict[str, float] = {}
    for (draw, cell), groups in cells.items():
        phase = phase_of(cell, seed, draw)
        for number, group in enumerate(sorted(groups, key=lambda name: rank(name, seed, DRAW))):
            place[group] = (number + phase) / len(groups)
    ordered = sorted(members, key=lambda group: (place[group], rank(group, seed, DRAW)))
    return [
        index
        for group in ordered
        for index in sorted(members[group], key=lambda i: rank(episodes[i].name, seed, DRAW))
    ]
