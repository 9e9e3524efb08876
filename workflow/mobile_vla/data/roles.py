"""The reader of a split: which episodes play which role."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mobile_vla.data.dataset import Dataset
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import read_json

Role = Literal["train", "val", "test"]
ROLES: tuple[Role, ...] = ("train", "val", "test")


def load_split(path: Path, dataset: Dataset) -> dict[Role, tuple[int, ...]]:
    """Read ``split.json`` and check it against the dataset, each time it is used.

    Args:
        path: the split.
        dataset: the dataset that it splits.

    Returns:
        For train, val and test the indices in ``dataset.episodes``, ascending.

    Raises:
        Problems: an episode is on two sides, is not in the manifest, or has no role; or a group is
            on two sides.
        UserError: the file is not a split.
    """
    content = read_json(path)
    try:
        listed = {role: [str(name) for name in content["roles"][role]] for role in ROLES}
    except (KeyError, TypeError):
        raise UserError(
            f"{path}: not a split as this version writes it; remove it and run snakemake again"
        ) from None
    found: list[str] = []
    names = {episode.name: index for index, episode in enumerate(dataset.episodes)}
    role_of: dict[str, str] = {}
    role_of_group: dict[str, str] = {}
    for role, episodes in listed.items():
        for name in episodes:
            if name not in names:
                found.append(f"{name} ({role}) is not in the manifest of {dataset.name}")
                continue
            if name in role_of:
                found.append(f"{name} is in {role_of[name]} and in {role}")
                continue
            role_of[name] = role
            group = dataset.episodes[names[name]].group
            if role_of_group.setdefault(group, role) != role:
                found.append(
                    f"group {group} is in {role_of_group[group]} and, by {name}, in {role}"
                )
    found += [f"{name} has no role" for name in names if name not in role_of]
    if found:
        raise Problems(
            f"{path} does not fit dataset {dataset.name}; remove it and run snakemake again",
            [Problem(str(path), text) for text in found],
        )
    return {role: tuple(sorted(names[name] for name in listed[role])) for role in ROLES}
