"""Which runs may be compared, and which run and episodes are shown as examples."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.reporting.format import count, words
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.records import EpisodeError, Errors


def populations(runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """Group the runs that were scored on the same steps of the same episodes."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.population, []).append(run)
    return [tuple(group) for group in groups.values()]


def baselines_of(runs: Sequence[Run]) -> dict[str, Errors]:
    """Return the baselines of runs that were scored on the same steps, by their label.

    One that depends on the training episodes, as the train mean does, stands there once for each
    number of them.
    """
    found: dict[str, Errors] = {}
    for name in runs[0].evaluation.baselines:
        errors = [run.evaluation.baselines[name] for run in runs]
        if all(one == errors[0] for one in errors):
            found[words(name)] = errors[0]
            continue
        for run, one in zip(runs, errors, strict=True):
            found[f"{words(name)}, {count(run.training.episodes['train'], 'episode')}"] = one
    return found


def best_run(runs: Sequence[Run]) -> Run:
    """Return the run with the highest skill; the first among equals.

    Skill relates each run to the baselines on its own steps, and so orders runs that were scored
    on different ones. Within one population it is the order of their MAE.
    """

    def rank(run: Run) -> tuple[float, float]:
        skill = run.evaluation.skill
        return (float("-inf") if skill is None else skill, -run.evaluation.policy["mae"]["overall"])

    return max(runs, key=rank)


def best_driver(runs: Sequence[Run]) -> Run:
    """Return the run with the highest share of successes in closed loop; the first among equals."""

    def rank(run: Run) -> float:
        assert run.rollouts is not None
        return run.rollouts.drivers["policy"].success.rate

    return max(runs, key=rank)


def lowest_error(runs: Sequence[Run]) -> Run | None:
    """Return the run with the lowest MAE, where ranking the runs means something.

    That is where several were scored on the same steps, which did not choose their checkpoints.
    """
    if len(runs) == 1 or len(populations(runs)) > 1:
        return None
    if any(run.evaluation.selected_on_scored for run in runs):
        return None
    return min(runs, key=lambda run: run.evaluation.policy["mae"]["overall"])


def chosen_episodes(episodes: Sequence[EpisodeError]) -> list[tuple[str, EpisodeError]]:
    """Return the episode of median error and the one of the largest, or the only one there is."""
    ordered = sorted(episodes, key=lambda episode: (episode.mae, episode.episode))
    if len(ordered) == 1:
        return [("the only episode", ordered[0])]
    return [("median error", ordered[(len(ordered) - 1) // 2]), ("largest error", ordered[-1])]
