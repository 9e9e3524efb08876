"""Which runs may be compared, and which run and episodes are shown as examples."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.evaluation.result import EpisodeError, Errors
from mobile_vla.reporting.load import Run, grouped
from mobile_vla.texts import Texts

NAMED = 2  # runs that a baseline's label lists


def populations(runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """Group the runs that were scored on the same steps of the same episodes."""
    return list(grouped(runs, lambda run: run.population).values())


def baselines_of(runs: Sequence[Run], t: Texts) -> dict[str, Errors]:
    """Return the baselines of runs that were scored on the same steps, by their label.

    One that depends on the training episodes, as the train mean does, or on the features, as the
    ridge regression does, stands there once for each of its values, with the runs that it is of.
    """
    labelled: dict[str, Errors] = {}
    for name in dict.fromkeys(name for run in runs for name in run.evaluation.baselines):
        having = [run for run in runs if name in run.evaluation.baselines]
        distinct: list[tuple[Errors, list[Run]]] = []
        for run in having:
            errors = run.evaluation.baselines[name]
            same = next((members for value, members in distinct if value == errors), None)
            if same is None:
                distinct.append((errors, [run]))
            else:
                same.append(run)
        for errors, members in distinct:
            whose = "" if len(members) == len(runs) else f", {_whose(members, having, t)}"
            labelled[t.words(name) + whose] = errors
    return labelled


def _whose(runs: Sequence[Run], among: Sequence[Run], t: Texts) -> str:
    """Return what sets some runs apart: their number of training episodes, else their labels."""
    sizes = {run.training.episodes["train"] for run in runs}
    others = {run.training.episodes["train"] for run in among if run not in runs}
    if len(sizes) == 1 and others and not sizes & others:
        return t.count(sizes.pop(), "episode")
    labels = [run.label for run in runs]
    if len(labels) > NAMED:
        return t("and_more", first=labels[0], n=len(labels) - 1)
    return ", ".join(labels)


def best_run(runs: Sequence[Run]) -> Run:
    """Return the run with the highest skill; the first among equals.

    Skill relates each run to the baselines on its own steps, and so orders runs that were scored
    on different ones. Within one population it is the order of their MAE.
    """

    def rank(run: Run) -> tuple[float, float]:
        skill = run.evaluation.skill
        return (float("-inf") if skill is None else skill, -run.evaluation.policy_mae)

    return max(runs, key=rank)


def exhibited(episodes: Sequence[EpisodeError]) -> list[tuple[str, EpisodeError]]:
    """Return the episodes of lowest, median and largest error: ``best``, ``median``, ``worst``.

    Of two episodes both are extremes; one alone is the ``only`` one.
    """
    ordered = sorted(episodes, key=lambda episode: (episode.mae, episode.episode))
    if len(ordered) == 1:
        return [("only", ordered[0])]
    middle = [("median", ordered[(len(ordered) - 1) // 2])] if len(ordered) > 2 else []
    return [("best", ordered[0]), *middle, ("worst", ordered[-1])]
