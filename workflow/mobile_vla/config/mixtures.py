"""Mixtures: what an experiment's list of datasets stands for, and what cannot be mixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mobile_vla.config.entries import MixtureDataset, SimulatedDataset, SingleDataset
from mobile_vla.config.mistakes import Mistake, Source, likely, short
from mobile_vla.config.named import TOGETHER, Named
from mobile_vla.config.reading import Path_
from mobile_vla.config.split import Holdout, LeaveOneOut, Split
from mobile_vla.errors import Problem

STAND_IN = "any"
ONE_ROBOT = (
    "the same in all datasets of a mixture: its policy drives one robot, and is not told which "
    "dataset its pictures are like"
)


def expand_lists(
    experiments: Mapping[str, Any], datasets: Mapping[str, Any], source: Source
) -> tuple[dict[str, Any], list[Problem]]:
    """Replace each experiment's list of datasets by the name of their mixture, in place.

    Returns:
        The mixtures that experiments list, as they would stand in ``datasets``; and what is wrong
        with lists. An experiment with a mistake gets a dataset that there is.
    """
    mixtures: dict[str, Any] = {}
    problems: list[Problem] = []
    for experiment, settings in experiments.items():
        listed = settings.get("dataset") if isinstance(settings, dict) else None
        if not isinstance(listed, list):
            continue
        path = ("experiments", experiment, "dataset")
        names = [str(one) for one in listed]
        wrong = list(_wrong(listed, names, datasets))
        problems += [source.problem((*path, *place), *words) for place, words in wrong]
        known = [one for one in (*names, *datasets) if one in datasets]
        settings["dataset"] = known[0] if known else STAND_IN
        if wrong or len(names) == 1:
            continue
        name = settings["dataset"] = TOGETHER.join(names)
        if name in datasets:
            found, remedy = f"the list is named {name!r}, as a dataset is", "rename the dataset"
            problems.append(source.problem(path, found, "each name once", remedy))
        mixtures[name] = {"kind": "mixture", "datasets": dict.fromkeys(names, 1.0)}
    return mixtures, problems


def _wrong(
    listed: Sequence[Any], names: Sequence[str], datasets: Mapping[str, Any]
) -> Iterator[tuple[Path_, tuple[str, ...]]]:
    """Yield what is wrong with a list of datasets: its place in the list, and words."""
    if not listed:
        yield (), ("an empty list", "names of datasets")
    for place, name in enumerate(names):
        if not isinstance(listed[place], str):
            yield (place,), (f"found {short(listed[place])}", "the name of a dataset")
        elif name not in datasets:
            yield (place,), (f"unknown dataset {name!r}", likely(name, list(datasets)))
        elif name in names[:place]:
            remedy = "to draw it more often, make a dataset of kind `mixture` with weights"
            yield (place,), (f"{name!r} stands twice", "each dataset once", remedy)


def mixture_checks(
    project: Named, known: Sequence[str], name: str, mixture: MixtureDataset
) -> Iterator[Mistake]:
    """Yield why datasets cannot be mixed; ``known`` are the datasets that config.yaml names."""
    at: Path_ = ("datasets", name, "datasets")
    if name not in known:  # experiments list it
        listing = (one for one, own in project.experiments.items() if own.dataset == name)
        at = ("experiments", next(listing, ""), "dataset")
    members: dict[str, SingleDataset] = {}
    for member in mixture.datasets:
        own = project.datasets.get(member)
        if member not in known:
            yield ((*at, member), f"unknown dataset {member!r}", likely(member, known), "")
        elif isinstance(own, MixtureDataset):
            found, expected = f"{member!r} is a mixture itself", "datasets with episodes"
            yield ((*at, member), found, expected, f"name the datasets of {member!r} instead")
        elif own is not None:  # else it has mistakes of its own, which are reported
            members[member] = own
    if len(members) < len(mixture.datasets):
        return
    first, *others = members
    for member in others:
        for what, expected, of_first, own_value in _differences(members[first], members[member]):
            yield (
                at,
                f"{member!r} has {what} {own_value}, and {first!r} has {of_first}",
                expected,
                f"give both the same {what}",
            )
    seeds: dict[int, str] = {}
    for member, own in members.items():
        if isinstance(own, SimulatedDataset):
            seed = own.simulation.world.seed
            before = seeds.setdefault(seed, member)
            if before != member:
                yield (
                    at,
                    f"{before!r} and {member!r} are simulated with the `world.seed` {seed}",
                    "a seed for each: with the same one they have the same scenes, which one could "
                    "be trained on and the other scored on",
                    f"give {member!r} another `simulation.world.seed`",
                )


def _differences(first: SingleDataset, other: SingleDataset) -> Iterator[tuple[str, str, str, str]]:
    """Yield which setting differs that must not, what is expected, and the two values."""
    for what, of_first, of_other in same_robot(first, other):
        yield what, ONE_ROBOT, of_first, of_other
    expected = "folds that belong together, since each run trains on one fold of every dataset"
    if _folds(first.split) != _folds(other.split):
        yield "`split`", expected, _folds(first.split), _folds(other.split)


def same_robot(first: SingleDataset, other: SingleDataset) -> Iterator[tuple[str, str, str]]:
    """Yield by which setting pictures or commands of two datasets differ, and the two values."""
    for key, value in first.actions:
        if getattr(other.actions, key) != value:
            yield f"`actions.{key}`", _text(value), _text(getattr(other.actions, key))
    if first.units != other.units:
        yield "`units`", _text(first.units), _text(other.units)
    if first.images.resize != other.images.resize:
        yield "`images.resize`", first.images.resize, other.images.resize


def _folds(split: Split) -> str:
    """Return what must be the same of splits whose folds are put together."""
    if isinstance(split, Holdout):
        return "of kind holdout, with test episodes" if split.test else "without test episodes"
    if isinstance(split, LeaveOneOut):
        return f"that leaves out one {split.key} of {', '.join(split.held_out)}"
    return f"of {split.count} folds"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {own}" for key, own in value.items()) or "nothing"
    return f"{value:g}" if isinstance(value, float) else str(value)
