"""Trials in config.yaml whose policies are not there, or cannot be kept apart blindly."""

from __future__ import annotations

from collections.abc import Iterator

from mobile_vla.config.mistakes import Mistake, Names, likely
from mobile_vla.config.project import Project


def trial_checks(project: Project, names: Names) -> Iterator[Mistake]:
    """Yield what is wrong with the policies of trials.

    Args:
        project: the entries of config.yaml without mistakes of their own.
        names: of all entries.
    """
    runs = {
        f"{name}/{run}": name
        for name in project.reported_experiments()
        if _usable(project, name)
        for run in project.runs_of(name)
    }
    broken = set(names["experiments"]) - set(project.experiments)
    broken |= {name for name in project.experiments if not _usable(project, name)}
    for trial, settings in project.trials.items():
        at = ("trials", trial, "policies")
        for place, policy in enumerate(settings.policies):
            if policy in settings.policies[:place]:
                found, remedy = f"{policy!r} stands twice", "remove one of the two"
                yield ((*at, place), found, "each policy once", remedy)
            elif policy not in runs and policy.partition("/")[0] not in broken:
                found = f"no policy of the report is called {policy!r}"
                yield ((*at, place), found, likely(policy, list(runs)), "")
        forms: dict[str, str] = {}
        for policy in settings.policies:
            if policy in runs:
                experiment = project.experiments[runs[policy]]
                dimensions = project.single(experiment.dataset).actions.dimensions
                forms.setdefault(f"{', '.join(dimensions)}, target: {experiment.target}", policy)
        if len(forms) > 1:
            yield (
                at,
                " and ".join(f"{policy} answers {form}" for form, policy in forms.items()),
                "the same dimensions and `target`, or an answer tells which policy drives",
                "compare them in trials of their own",
            )


def _usable(project: Project, experiment: str) -> bool:
    """Whether the dataset of an experiment is there; else that is reported."""
    dataset = project.experiments[experiment].dataset
    return dataset in project.datasets and set(project.members(dataset)) <= set(project.datasets)
