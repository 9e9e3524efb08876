"""The reader of a split: which episodes play which role in a fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mobile_vla.data.dataset import Dataset
from mobile_vla.data.subset import subset_order
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import read_json

Role = Literal["train", "val", "test"]
ROLES: tuple[Role, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Roles:
    """The episodes of one fold by role, as indices in ``Dataset.episodes``, ascending.

    Args:
        of: the indices of train, val and test; with a subset, train holds those of it alone.
        fold: number of the fold, from 0.
        folds: how many folds the split has.
        held_out: the value of the scenario that is kept from training, or None.
    """

    of: dict[Role, tuple[int, ...]]
    fold: int
    folds: int
    held_out: str | None


def load_split(path: Path, dataset: Dataset, fold: int, subset: int | None = None) -> Roles:
    """Read a fold of ``split.json`` and check it against the dataset, each time it is used.

    Args:
        path: the split.
        dataset: the dataset that it splits.
        fold: number of the fold, from 0.
        subset: how many of the training episodes train; None: all.

    Raises:
        Problems: an episode is on two sides, is not in the manifest, or is neither in a role nor
            listed as unused; or a group, or the same content, is on two sides.
        UserError: the file is not a split or has no such fold, or there are fewer training
            episodes than ``subset``.
    """
    content = read_json(path)
    try:
        seed, keys = content["settings"]["seed"], content["settings"]["stratify_by"]
        folds = len(content["folds"])
        listed: dict[str, list[str]] = {}
        held_out = None
        if fold < folds:
            own = content["folds"][fold]
            held_out = own["held_out"]
            listed = {role: [str(name) for name in own["roles"][role]] for role in ROLES}
            listed["unused"] = [str(one["episode"]) for one in own["unused"]]
    except (KeyError, TypeError):
        raise UserError(
            f"{path}: not a split as this version writes it; remove it and run snakemake again"
        ) from None
    if fold >= folds:
        raise UserError(
            f"{path}: found {folds} fold{'s' if folds != 1 else ''}, expected one numbered {fold}; "
            "run snakemake again, it splits anew"
        )
    digests = {episode.name: episode.raw_sha256 for episode in dataset.episodes}
    found = [*_misplaced(listed, dataset), *shared_content(listed, digests)]
    if found:
        raise Problems(
            f"{path} does not fit dataset {dataset.name}; remove it and run snakemake again",
            [Problem(str(path), text) for text in found],
        )
    of = {role: tuple(sorted(dataset.index(name) for name in listed[role])) for role in ROLES}
    if subset is not None:
        of["train"] = _subset(dataset, of["train"], subset, keys, seed)
    return Roles(of, fold, folds, held_out)


def shared_content(listed: Mapping[str, Sequence[str]], digests: Mapping[str, str]) -> list[str]:
    """Return a text for each two files with the same bytes that play different roles.

    Args:
        listed: names of episodes by role; ``unused`` is none.
        digests: SHA-256 of each episode's raw file.
    """
    first: dict[str, tuple[str, str]] = {}
    found = []
    for role in ROLES:
        for name in listed[role]:
            if name not in digests:
                continue
            other, where = first.setdefault(digests[name], (name, role))
            if where != role:
                found.append(
                    f"{other} ({where}) and {name} ({role}) have the same bytes; remove one of "
                    "the two files, or what is scored has been trained on or selected by"
                )
    return found


def _misplaced(listed: Mapping[str, Sequence[str]], dataset: Dataset) -> list[str]:
    """Return a text for each episode or group that is on two sides, on none, or unknown."""
    found: list[str] = []
    groups = {episode.name: episode.group for episode in dataset.episodes}
    role_of: dict[str, str] = {}
    role_of_group: dict[str, str] = {}
    for role, episodes in listed.items():
        for name in episodes:
            if name not in groups:
                found.append(f"{name} ({role}) is not in the manifest of {dataset.name}")
                continue
            if name in role_of:
                found.append(f"{name} is in {role_of[name]} and in {role}")
                continue
            role_of[name] = role
            group = groups[name]
            if role != "unused" and role_of_group.setdefault(group, role) != role:
                found.append(
                    f"group {group} is in {role_of_group[group]} and, by {name}, in {role}"
                )
    return found + [f"{name} has no role" for name in groups if name not in role_of]


def _subset(
    dataset: Dataset, train: tuple[int, ...], count: int, keys: Sequence[Any], seed: int
) -> tuple[int, ...]:
    if count > len(train):
        raise UserError(
            f"config.yaml (subset): found {count}, but the split of {dataset.name} gives "
            f"{len(train)} of its {len(dataset)} episodes to training; say {len(train)} or less, "
            "or leave `subset` out to train on all of them"
        )
    order = subset_order([dataset.episodes[index] for index in train], keys, seed)
    return tuple(sorted(train[place] for place in order[:count]))
