"""Combinations of settings that cannot work, each valid by itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from mobile_vla.config.dataset import SimulatedDataset
from mobile_vla.config.experiment import Experiment
from mobile_vla.config.findings import ACCEPTABLE, CATALOGUE
from mobile_vla.config.project import Project
from mobile_vla.config.prompt import INSTRUCTION
from mobile_vla.config.split import Holdout
from mobile_vla.config.sweep import Sweep
from mobile_vla.config.windows import Actions

Finding = tuple[tuple[str | int, ...], str, str, str]
"""Path in config.yaml, what was found, what was expected, and what to do."""


Names = Mapping[str, Sequence[str]]
"""By section, all names in config.yaml, those of entries with mistakes of their own included."""


def cross_checks(project: Project, names: Names) -> Iterator[Finding]:
    """Yield every combination of settings that cannot work."""
    for name, dataset in project.datasets.items():
        yield from _accepted(("datasets", name, "accept"), dataset.accept)
    for name, experiment in project.experiments.items():
        at = ("experiments", name)
        yield from _names(names, at, experiment)
        yield from _init_from(project, names, at, experiment)
        yield from _evaluate_on(project, names, at, experiment)
        yield from _processes(at, experiment)
        if experiment.dataset in project.datasets:
            yield from _lengths(project, at, experiment)
            yield from _prompts(project, at, experiment)
            yield from _augment(project, at, experiment)
            yield from _padding(project, at, experiment)
            yield from _rollout(project, at, experiment)
    for sweep in project.sweeps.values():
        yield from _matched(project, sweep)
    example, shown = project.report.example, list(project.reported_experiments())
    if example is not None and example not in shown:
        where = ("report", "example")
        yield (
            where,
            f"no experiment of the report is called {example!r}",
            likely(example, shown),
            "",
        )


def _matched(project: Project, sweep: Sweep) -> Iterator[Finding]:
    """Check that all combinations that are to be trained equally long learn from the same data."""
    own = {
        member.experiment: project.experiments[member.experiment].dataset
        for member in sweep.members
        if member.experiment in project.experiments  # else it has mistakes of its own
    }
    if sweep.match == "optimizer_steps" and len(set(own.values())) > 1:
        yield (
            ("experiments", sweep.name, "match"),
            "the combinations have the datasets " + ", ".join(sorted(set(own.values()))),
            "the same dataset in all, with `match: optimizer_steps`",
            "give the sweep a `dataset` of its own, beside `sweep`",
        )


def _names(names: Names, at: tuple[str, str], experiment: Experiment) -> Iterator[Finding]:
    for kind, value, known in (
        ("dataset", experiment.dataset, names["datasets"]),
        ("backbone", experiment.backbone, names["backbones"]),
    ):
        if value not in known:
            yield ((*at, kind), f"unknown {kind} {value!r}", likely(value, known), "")
    if len(set(experiment.seeds)) != len(experiment.seeds):
        yield ((*at, "seeds"), f"{list(experiment.seeds)}", "each seed once", "")


def _accepted(at: tuple[str, str, str], accept: Mapping[str, str]) -> Iterator[Finding]:
    for code in accept:
        if code not in CATALOGUE:
            yield ((*at, code), f"unknown finding {code!r}", likely(code, ACCEPTABLE), "")
        elif code not in ACCEPTABLE:
            yield (
                (*at, code),
                f"{code!r} is an error, and an error makes the episode or experiment unusable",
                "codes of warnings and infos",
                "mend it, or leave broken episodes out with `on_error: quarantine`",
            )


def likely(value: str, known: Sequence[str]) -> str:
    """Return the known name that is probably meant, or all of them."""
    close = difflib.get_close_matches(value, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(known)


def _init_from(
    project: Project, names: Names, at: tuple[str, str], experiment: Experiment
) -> Iterator[Finding]:
    path = (*at, "training", "init_from")
    start = experiment.training.init_from
    if start is None:
        return
    if start not in names["experiments"]:
        yield (
            path,
            f"unknown experiment {start!r}",
            likely(start, names["experiments"]),
            "",
        )
        return
    seen: list[str] = [at[1]]
    current: str | None = start
    while current is not None and current in project.experiments:
        if current in seen:
            yield (path, "starts from itself: " + " → ".join([*seen, current]), "no circle", "")
            return
        seen.append(current)
        current = project.experiments[current].training.init_from
    if start not in project.experiments:
        return  # it has mistakes of its own, which are reported
    other = project.experiments[start]
    kind = {"lora": ("lora",), "full": ("full",), "none": ()}[experiment.finetune]
    differing = [
        key
        for key in ("dataset", "backbone", "finetune", *kind, "head", "chunk")
        if getattr(other, key) != getattr(experiment, key)
    ]
    if differing:
        yield (
            path,
            f"{start!r} has another {', '.join(differing)} than {at[1]!r}",
            "the same dataset and split, backbone, fine-tuning, head and chunk, "
            "so that its weights fit and no test episode was trained on",
            f"give both the same {', '.join(differing)}",
        )
    missing = [seed for seed in experiment.seeds if seed not in other.seeds]
    if missing:
        yield (
            path,
            f"{start!r} has no run for seed {', '.join(map(str, missing))}",
            "a run of the same seed to start from",
            f"add the seeds to {start!r}",
        )


def _processes(at: tuple[str, str], experiment: Experiment) -> Iterator[Finding]:
    training = experiment.training
    processes, nodes = training.processes, training.nodes
    if processes > training.batch_size:
        yield (
            (*at, "training", "processes"),
            f"{processes} processes for batches of {training.batch_size} windows",
            "at least one window of each batch for each process",
            "raise batch_size (and lower accumulation by the same factor), or lower processes",
        )
    if processes % nodes:
        yield (
            (*at, "training", "nodes"),
            f"{processes} processes on {nodes} nodes",
            "as many on each",
            f"make processes a multiple of {nodes}",
        )
    if processes > 1 and experiment.timing.ablation:
        yield (
            (*at, "timing", "ablation"),
            f"a comparison with the plain way of training, with {processes} processes",
            "one process: the plain way has no more",
            "compare in an experiment with one process",
        )


def _evaluate_on(
    project: Project, names: Names, at: tuple[str, str], experiment: Experiment
) -> Iterator[Finding]:
    own = project.datasets.get(experiment.dataset)
    for place, name in enumerate(experiment.evaluate_on):
        path = (*at, "evaluate_on", place)
        if name not in names["datasets"]:
            yield (path, f"unknown dataset {name!r}", likely(name, names["datasets"]), "")
        elif name == experiment.dataset:
            yield (
                path,
                f"{name!r}, which the experiment trains on",
                "other datasets: its own test episodes are scored anyway",
                "remove it",
            )
        elif name in experiment.evaluate_on[:place]:
            yield (path, f"{name!r} stands twice", "each dataset once", "remove one of the two")
        other = project.datasets.get(name)
        if own is None or other is None:
            continue  # it has mistakes of its own, which are reported
        if other.actions != own.actions:
            yield (
                path,
                f"{name!r} has the actions {_actions(other.actions)}, and {experiment.dataset!r}, "
                f"which the experiment trains on, has {_actions(own.actions)}",
                "the same dimensions and scale, or the policy's commands mean something else there",
                "give both datasets the same `actions`",
            )
        if isinstance(other.split, Holdout) and not other.split.test:
            yield (
                path,
                f"{name!r} has no test episodes (`split.test: 0`)",
                "test episodes, which are the ones that are scored",
                f"give the split of {name!r} a test share",
            )


def _actions(actions: Actions) -> str:
    return f"{', '.join(actions.dimensions)} at scale {actions.scale:g}"


def _lengths(project: Project, at: tuple[str, str], experiment: Experiment) -> Iterator[Finding]:
    for name in (experiment.dataset, *experiment.evaluate_on):
        if name in project.datasets:
            yield from _length(project, at, experiment, name)


def _length(
    project: Project, at: tuple[str, str], experiment: Experiment, name: str
) -> Iterator[Finding]:
    dataset = project.datasets[name]
    if not isinstance(dataset, SimulatedDataset):
        return  # lengths are known after ingest; training checks them first thing
    needed = experiment.frames_needed
    frames = dataset.simulation.world.frames
    if frames < needed:
        yield (
            (*at, "window"),
            f"window {experiment.window} and chunk {experiment.chunk} (target: "
            f"{experiment.target}, start: {experiment.start}, tail: {experiment.tail}) "
            f"need {needed} frames, and the episodes of {name!r} have {frames}",
            f"at most {frames} frames in all",
            "lower window or chunk, say `tail: mask`, or simulate longer episodes",
        )


def _prompts(project: Project, at: tuple[str, str], experiment: Experiment) -> Iterator[Finding]:
    if project.simulation(experiment.dataset) is None:
        return  # the scenarios are known after ingest; training checks them first thing
    prompt = experiment.prompt
    if f"{{{INSTRUCTION}}}" in prompt.template:
        return  # what the files say is known after ingest
    words = prompt.words.get("side", {})
    left, right = (
        prompt.template.format_map(_Scenario(side=words.get(side, side)))
        for side in ("left", "right")
    )
    if left == right:
        yield (
            (*at, "prompt", "template"),
            f"the prompt {prompt.template!r} is the same for left and right",
            "prompts that differ where the scenarios do, or language cannot be learnt",
            "put {side} into the template",
        )


def _augment(project: Project, at: tuple[str, str], experiment: Experiment) -> Iterator[Finding]:
    augment = experiment.augment
    cut = experiment.policy(project.datasets[experiment.dataset].actions).cut
    if augment.photometric().changes and cut != "pixels":
        changed = [name for name, value in augment.photometric() if value]
        yield (
            (*at, "augment", changed[0]),
            f"{', '.join(changed)} with frozen vision (cut: {cut})",
            "none: frozen vision encodes each picture once, and other pictures would need it anew",
            "remove it, or train the vision (`finetune: full` with `full.vision: true`); "
            "`mirror: true` works with stored features",
        )


def _padding(project: Project, at: tuple[str, str], experiment: Experiment) -> Iterator[Finding]:
    dimensions = project.datasets[experiment.dataset].actions.dimensions
    if experiment.padding is not None and experiment.padding.action_dim <= len(dimensions):
        yield (
            (*at, "padding", "action_dim"),
            f"{experiment.padding.action_dim} outputs for {', '.join(dimensions)} and a gripper",
            f"at least {len(dimensions) + 1}",
            "raise it, or say `padding: null` to predict the velocities alone",
        )


def _rollout(project: Project, at: tuple[str, str], experiment: Experiment) -> Iterator[Finding]:
    if experiment.rollout.execute > experiment.chunk:
        yield (
            (*at, "rollout", "execute"),
            f"{experiment.rollout.execute} steps of a chunk of {experiment.chunk}",
            f"at most {experiment.chunk}",
            "lower it, or predict longer chunks",
        )


class _Scenario(dict[str, str]):
    """A scenario of which only some values matter; the others stand for themselves."""

    def __missing__(self, key: str) -> str:
        return key
