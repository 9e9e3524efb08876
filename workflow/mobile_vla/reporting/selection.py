"""Which runs may be compared, and which run and episodes are shown as examples."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.reporting.load import Run
from mobile_vla.reporting.records import EpisodeError


def populations(runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """Group the runs that were scored on the same steps of the same episodes."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.population, []).append(run)
    return [tuple(group) for group in groups.values()]


def best_run(runs: Sequence[Run]) -> Run:
    """Return the run with the highest skill; the first among equals.

    Skill relates each run to the baselines on its own steps, and so orders runs that were scored
    on different ones. Within one population it is the order of their MAE.
    """

    def rank(run: Run) -> tuple[float, float]:
        skill = run.evaluation.skill
        return (float("-inf") if skill is None else skill, -run.evaluation.policy["mae"]["overall"])

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
