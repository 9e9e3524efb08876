"""Combinations of settings that cannot work, each valid by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mobile_vla.config.audit import ACCEPTABLE, CATALOGUE
from mobile_vla.config.backbone import RandomBackbone
from mobile_vla.config.entries import Experiment, MixtureDataset, SimulatedDataset
from mobile_vla.config.evaluate_on_checks import evaluate_on_checks
from mobile_vla.config.heads import HEADS
from mobile_vla.config.heads.tokens import Tokens
from mobile_vla.config.mistakes import Mistake, Names, likely
from mobile_vla.config.mixtures import mixture_checks
from mobile_vla.config.model import Photometric
from mobile_vla.config.project import MOST_RUNS, Project
from mobile_vla.config.prompt import INSTRUCTION, SCENARIO_KEYS, Prompt
from mobile_vla.config.reporting import Sweep
from mobile_vla.config.trial_checks import trial_checks


def cross_checks(project: Project, names: Names) -> Iterator[Mistake]:
    """Yield every combination of settings that cannot work."""
    usable = set()  # datasets with which the rest can be checked
    for name, dataset in project.datasets.items():
        if isinstance(dataset, MixtureDataset):
            mistakes = list(mixture_checks(project, names["datasets"], name, dataset))
            yield from mistakes
            if mistakes or not dataset.datasets.keys() <= project.datasets.keys():
                continue
        else:
            yield from _accepted(("datasets", name, "accept"), dataset.accept)
        usable.add(name)
    runs = 0
    for name, experiment in project.experiments.items():
        at = ("experiments", name)
        if experiment.dataset in usable:
            runs += len(project.runs_of(name))
        if runs > MOST_RUNS:
            found = f"{runs} runs up to here, one for each experiment, seed and fold"
            yield (at, found, f"{MOST_RUNS} at most", "name fewer seeds, folds or experiments")
            return
        yield from _names(project, names, at, experiment)
        yield from _init_from(project, names, at, experiment)
        yield from evaluate_on_checks(project, names, at, experiment, experiment.dataset in usable)
        yield from _processes(at, experiment)
        if experiment.dataset in usable:
            yield from _lengths(project, at, experiment)
            yield from _prompts(project, at, experiment)
            yield from _driven(project, at, experiment)
            yield from _policy(project, at, experiment)
    for sweep in project.sweeps.values():
        yield from _matched(project, sweep)
    yield from _example(project, names)
    yield from trial_checks(project, names)


def adapters_unused(written: object, merged: object) -> Mistake | None:
    """Return what is wrong with an experiment that names layers to adapt, and adapts none.

    Args:
        written: what the experiment itself says; what its preset and ``defaults`` say of a kind of
            fine-tuning that it does not use is left out.
        merged: the same with these.
    """
    if not isinstance(written, Mapping) or not isinstance(merged, Mapping):
        return None  # which is reported elsewhere
    lora, finetune = written.get("lora"), merged.get("finetune", "lora")
    if not isinstance(lora, Mapping) or lora.get("layers") is None or finetune == "lora":
        return None
    return (
        ("lora", "layers"),
        f"adapters on {lora['layers']} layers, and `finetune: {finetune}`",
        "`finetune: lora`, which alone has adapters",
        "remove one of the two",
    )


def _example(project: Project, names: Names) -> Iterator[Mistake]:
    example, shown = project.report.example, list(project.reported_experiments())
    wrong_itself = set(names["experiments"]) - set(project.experiments)
    if example is not None and example not in {*shown, *wrong_itself}:
        found = f"no experiment of the report is called {example!r}"
        yield (("report", "example"), found, likely(example, shown), "")


def _matched(project: Project, sweep: Sweep) -> Iterator[Mistake]:
    """Check that all combinations that are to be trained equally long learn from the same data."""
    datasets = {
        project.experiments[member.experiment].dataset
        for member in sweep.members
        if member.experiment in project.experiments  # else it has mistakes of its own
    }
    if sweep.match == "optimizer_steps" and len(datasets) > 1:
        yield (
            ("experiments", sweep.name, "match"),
            "the combinations have the datasets " + ", ".join(sorted(datasets)),
            "the same dataset in all, with `match: optimizer_steps`",
            "give the sweep a `dataset` of its own, beside `sweep`",
        )


def _names(
    project: Project, names: Names, at: tuple[str, str], experiment: Experiment
) -> Iterator[Mistake]:
    for kind, value, known in (
        ("dataset", experiment.dataset, names["datasets"]),
        ("backbone", experiment.backbone, names["backbones"]),
    ):
        if value not in known and (kind != "dataset" or value not in project.datasets):
            yield ((*at, kind), f"unknown {kind} {value!r}", likely(value, known), "")
    if len(set(experiment.seeds)) != len(experiment.seeds):
        yield ((*at, "seeds"), f"{list(experiment.seeds)}", "each seed once", "")


def _accepted(at: tuple[str, str, str], accept: Mapping[str, str]) -> Iterator[Mistake]:
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


def _init_from(
    project: Project, names: Names, at: tuple[str, str], experiment: Experiment
) -> Iterator[Mistake]:
    path, start = (*at, "training", "init_from"), experiment.training.init_from
    if start is None:
        return
    known = names["experiments"]
    if start not in known:
        yield (path, f"unknown experiment {start!r}", likely(start, known), "")
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
    trained = [kind for kind in ("lora", "full") if kind == experiment.finetune]
    spans = ["window"] if experiment.head.spans else []
    same = ("dataset", "backbone", "finetune", *trained, "head", "chunk", "padding", *spans)
    differing = [key for key in same if getattr(other, key) != getattr(experiment, key)]
    if differing:
        yield (
            path,
            f"{start!r} has another {', '.join(differing)} than {at[1]!r}",
            f"the same {', '.join(same)}, so that its weights fit and no test episode was trained "
            "on",
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


def _processes(at: tuple[str, str], experiment: Experiment) -> Iterator[Mistake]:
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


def _lengths(project: Project, at: tuple[str, str], experiment: Experiment) -> Iterator[Mistake]:
    needed = experiment.frames_needed
    for name in (*project.members(experiment.dataset), *experiment.evaluate_on):
        dataset = project.datasets.get(name)
        if not isinstance(dataset, SimulatedDataset):
            continue  # lengths are known after ingest; training checks them first thing
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


def _prompts(project: Project, at: tuple[str, str], experiment: Experiment) -> Iterator[Mistake]:
    for name, member in project.members(experiment.dataset).items():
        # The rest of the prompts is known after ingest; training checks it first thing.
        if isinstance(project.datasets[name], SimulatedDataset):
            place: tuple[str, ...] = (*at, "prompt")
            if member.prompt is not None:
                place = ("datasets", experiment.dataset, "datasets", name, "prompt")
            yield from _same_prompt(place, member.prompt or experiment.prompt)


def _same_prompt(at: tuple[str, ...], prompt: Prompt) -> Iterator[Mistake]:
    template, words = prompt.template, prompt.words.get("side", {})
    if f"{{{INSTRUCTION}}}" in template:
        return
    others = {key: key for key in SCENARIO_KEYS if key != "side"}
    left, right = (
        template.format(**others, side=words.get(side, side)) for side in ("left", "right")
    )
    if left == right:
        yield (
            (*at, "template"),
            f"the prompt {template!r} is the same for left and right",
            "prompts that differ where the scenarios do, or language cannot be learnt",
            "put {side} into the template",
        )


def _driven(project: Project, at: tuple[str, str], experiment: Experiment) -> Iterator[Mistake]:
    """Check that a policy which is chosen by driving has a world to drive in."""
    if experiment.training.select_by == "val_loss":
        return
    members, worlds = project.members(experiment.dataset), project.worlds(experiment.dataset)
    unknown = [name for name in members if name not in {world.dataset for world in worlds}]
    if unknown:
        yield (
            (*at, "training", "select_by"),
            f"`rollout`, and no simulator knows the world of {', '.join(map(repr, unknown))}",
            "a dataset with `kind: simulated`, or a mixture of such",
            "say `select_by: val_loss`",
        )


def _policy(project: Project, at: tuple[str, str], experiment: Experiment) -> Iterator[Mistake]:
    """Check augmentation, padding and rollouts against the policy that they are for."""
    policy = project.policy(at[1])
    cut, dimensions = policy.cut, policy.actions.dimensions
    changed = [name for name, value in Photometric.part_of(experiment.augment) if value]
    if changed and cut != "pixels":
        yield (
            (*at, "augment", changed[0]),
            f"{', '.join(changed)} with frozen vision (cut: {cut})",
            "none: frozen vision encodes each picture once, and other pictures would need it anew",
            "remove it, or train the vision (`finetune: full` with `full.vision: true`); "
            "`mirror: true` works with stored features",
        )
    layers, backbone = policy.adapted_layers, project.backbones.get(experiment.backbone)
    # Of a checkpoint the layers are known once it is read, which then refuses more.
    if isinstance(backbone, RandomBackbone) and layers and layers > backbone.text.layers:
        yield (
            (*at, "lora", "layers"),
            f"{layers} layers, and the language model of {experiment.backbone!r} has "
            f"{backbone.text.layers}",
            f"at most {backbone.text.layers}",
            "lower it, or say `layers: null` to adapt all of them, and the action token too",
        )
    yield from _head(at, experiment)
    if experiment.padding is not None and experiment.padding.action_dim <= len(dimensions):
        yield (
            (*at, "padding", "action_dim"),
            f"{experiment.padding.action_dim} outputs for {', '.join(dimensions)} and a gripper",
            f"at least {len(dimensions) + 1}",
            "raise it, or say `padding: null` to predict the velocities alone",
        )
    if experiment.timing.ablation and project.is_mixture(experiment.dataset):
        yield (
            (*at, "timing", "ablation"),
            f"a comparison with the plain way of training, on the mixture {experiment.dataset!r}",
            "a single dataset: the plain way reads the raw files of one folder",
            "compare in an experiment on one of its datasets",
        )
    if experiment.rollout.execute > experiment.chunk:
        yield (
            (*at, "rollout", "execute"),
            f"{experiment.rollout.execute} steps of a chunk of {experiment.chunk}",
            f"at most {experiment.chunk}",
            "lower it, or predict longer chunks",
        )


def _head(at: tuple[str, str], experiment: Experiment) -> Iterator[Mistake]:
    """Check what is asked of the head against what its type can."""
    head = experiment.head
    if experiment.padding is not None and not head.pads:
        yield (
            (*at, "padding"),
            f"outputs besides the velocities, and the head `{head.type}`",
            "none: they are values, and this head has its own loss",
            "say `padding: null`, or take a head that writes values: "
            + ", ".join(kind for kind, own in HEADS.items() if own.pads),
        )
    if experiment.training.supervise == "every_frame" and not head.causal:
        yield (
            (*at, "training", "supervise"),
            f"a chunk after every frame of a window, and the head `{head.type}`",
            "`last`: this head makes one vector of a window, and not one after each of its frames",
            "say `supervise: last`, or take another head: docs/heads.md",
        )
    if isinstance(head, Tokens) and head.choose == "sample" and experiment.bundle.precisions:
        yield (
            (*at, "bundle", "precisions"),
            "a bundle of a head that draws its answer (`choose: sample`)",
            "`choose: argmax`: what is drawn follows the last bits, which differ between PyTorch "
            "and onnxruntime, and no certificate could compare the two",
            "say `choose: argmax`, or make no bundle",
        )
