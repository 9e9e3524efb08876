"""Which runs may be compared, and which run and episodes are shown as examples."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.reporting.format import count, words
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.records import EpisodeError, Errors

NAMED = 2  # runs that a baseline's label lists


def populations(runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """Group the runs that were scored on the same steps of the same episodes."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.population, []).append(run)
    return [tuple(group) for group in groups.values()]


def baselines_of(runs: Sequence[Run]) -> dict[str, Errors]:
    """Return the baselines of runs that were scored on the same steps, by their label.

    One that depends on the training episodes, as the train mean does, or on the features, as the
    ridge regression does, stands there once for each of its values, with the runs that it is of.
    """
    found: dict[str, Errors] = {}
    names = dict.fromkeys(name for run in runs for name in run.evaluation.baselines)
    for name in names:
        having = [run for run in runs if name in run.evaluation.baselines]
        distinct: list[tuple[Errors, list[Run]]] = []
        for run in having:
            errors = run.evaluation.baselines[name]
            same = next((own for value, own in distinct if value == errors), None)
            if same is None:
                distinct.append((errors, [run]))
            else:
                same.append(run)
        for errors, own in distinct:
            everywhere = len(own) == len(runs)
            found[words(name) if everywhere else f"{words(name)}, {_whose(own, having)}"] = errors
    return found


def _whose(runs: Sequence[Run], among: Sequence[Run]) -> str:
    """Return what sets some runs apart: their number of training episodes, else their labels."""
    sizes = {run.training.episodes["train"] for run in runs}
    others = {run.training.episodes["train"] for run in among if run not in runs}
    if len(sizes) == 1 and others and not sizes & others:
        return count(sizes.pop(), "episode")
    labels = [run.label for run in runs]
    return ", ".join(labels) if len(labels) <= NAMED else f"{labels[0]} and {len(labels) - 1} more"


def best_run(runs: Sequence[Run]) -> Run:
    """Return the run with the highest skill; the first among equals.

    Skill relates each run to the baselines on its own steps, and so orders runs that were scored
    on different ones. Within one population it is the order of their MAE.
    """

    def rank(run: Run) -> tuple[float, float]:
        skill = run.evaluation.skill
        return (float("-inf") if skill is None else skill, -run.evaluation.mae)

    return max(runs, key=rank)


def best_driver(runs: Sequence[Run]) -> Run:
    """Return the run with the highest share of successes in closed loop; the first among equals."""

    def rank(run: Run) -> float:
        assert run.rollouts is not None
        return run.rollouts.drivers["policy"].success.rate

    return max(runs, key=rank)


def chosen_episodes(episodes: Sequence[EpisodeError]) -> list[tuple[str, EpisodeError]]:
    """Return the episode of median error and the one of the largest, or the only one there is."""
    ordered = sorted(episodes, key=lambda episode: (episode.mae, episode.episode))
    if len(ordered) == 1:
        return [("the only episode", ordered[0])]
    return [("median error", ordered[(len(ordered) - 1) // 2]), ("largest error", ordered[-1])]
