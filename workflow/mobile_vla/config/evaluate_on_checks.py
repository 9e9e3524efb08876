"""Datasets of ``evaluate_on``: which of them a policy can be scored on."""

from __future__ import annotations

from collections.abc import Iterator

from mobile_vla.config.entries import Experiment, MixtureDataset, SimulatedDataset, SingleDataset
from mobile_vla.config.mistakes import Mistake, Names, likely
from mobile_vla.config.mixtures import same_robot
from mobile_vla.config.named import Named
from mobile_vla.config.split import Holdout

MEANT = "the same in both datasets: else the policy's pictures or commands mean something else"


def evaluate_on_checks(
    project: Named, names: Names, at: tuple[str, str], experiment: Experiment, usable: bool
) -> Iterator[Mistake]:
    """Yield why an experiment cannot be scored on the datasets of its ``evaluate_on``.

    Args:
        names: all names in config.yaml.
        at: where the experiment stands.
        usable: whether the dataset that it trains on has no mistake of its own.
    """
    trained_on = project.members(experiment.dataset) if usable else {experiment.dataset: None}
    for place, name in enumerate(experiment.evaluate_on):
        path = (*at, "evaluate_on", place)
        if name not in names["datasets"]:
            yield (path, f"unknown dataset {name!r}", likely(name, names["datasets"]), "")
        elif name in trained_on:
            yield (
                path,
                f"{name!r}, which the experiment trains on",
                "other datasets: its own test episodes are scored anyway",
                "remove it",
            )
        elif name in experiment.evaluate_on[:place]:
            yield (path, f"{name!r} stands twice", "each dataset once", "remove one of the two")
        other = project.datasets.get(name)
        if isinstance(other, MixtureDataset):
            expected = "datasets with episodes, each by itself"
            yield (path, f"{name!r} is a mixture", expected, f"name the datasets of {name!r}")
        elif usable and other is not None and name not in trained_on:
            owns = {one: project.single(one) for one in trained_on}
            yield from _unlike(path, name, other, owns)


def _unlike(
    path: tuple[str | int, ...], name: str, other: SingleDataset, owns: dict[str, SingleDataset]
) -> Iterator[Mistake]:
    """Yield why a policy that was trained on some datasets cannot be scored on another."""
    trained, own = next(iter(owns.items()))  # a mixture's have the same in common
    for what, of_own, of_other in same_robot(own, other):
        yield (
            path,
            f"{name!r} has {what} {of_other}, and {trained!r}, which the experiment trains on, has "
            f"{of_own}",
            MEANT,
            f"give both the same {what}",
        )
    if isinstance(other.split, Holdout) and not other.split.test:
        yield (
            path,
            f"{name!r} has no test episodes (`split.test: 0`)",
            "test episodes, which are the ones that are scored",
            f"give the split of {name!r} a test share",
        )
    for trained, own in owns.items():
        if not isinstance(own, SimulatedDataset) or not isinstance(other, SimulatedDataset):
            continue
        seed = other.simulation.world.seed
        if seed == own.simulation.world.seed:
            yield (
                path,
                f"{name!r} and {trained!r}, which the experiment trains on, are simulated with the "
                f"`world.seed` {seed}",
                "a seed for each: with the same one they have the same scenes, and the policy was "
                "trained on some that are scored",
                f"give {name!r} another `simulation.world.seed`",
            )
