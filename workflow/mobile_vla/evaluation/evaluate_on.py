"""Score a run's policy on another dataset, none of whose scored episodes it has ever seen."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.prompts import prompt_values, render
from mobile_vla.data.roles import load_split
from mobile_vla.data.windows import make_windows
from mobile_vla.errors import Problem, Problems
from mobile_vla.evaluation.evaluate import ScoredData, score_policy
from mobile_vla.features.store import open_rows
from mobile_vla.layout import OtherEvaluationFiles
from mobile_vla.machine import use_threads
from mobile_vla.runs.data import OtherDatasetInputs, RunData, open_run
from mobile_vla.runs.labels import Labels
from mobile_vla.runs.samples import Samples

SCORED_FOLD = 0  # of the other dataset's split, whose folds do not concern this policy


def evaluate_on(
    settings: EvaluateSettings,
    inputs: OtherDatasetInputs,
    outputs: OtherEvaluationFiles,
    *,
    threads: int,
) -> None:
    """Predict every window of another dataset's test episodes: those of its split's first fold.

    The baselines are fitted on the policy's training episodes, as the policy is, and not on the
    dataset that is scored.

    Raises:
        Problems: scored episodes trained or selected the policy, or have a prompt that it was not
            trained with.
        UserError: the policy is not the one of this run's settings, data or backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    data = open_run(settings, inputs, settings.precision)
    other = Dataset.load(inputs.on_manifest, inputs.on_actions)
    roles = load_split(inputs.on_split, other, SCORED_FOLD)
    scored = roles.of["test"]
    _refuse_seen(settings, data, other, scored)
    labels = Labels.of(other, settings.policy).under(data.prompts.texts)
    _refuse_unknown_prompts(labels, other, scored, settings)
    samples = Samples(
        other,
        make_windows(other, scored, settings.windows),
        open_rows(other, data.backbone.digest, data.precision, inputs.on_features, "plain"),
        labels,
        settings.policy.actions.full,
    )
    of_scored = ScoredData(samples, roles, "test", inputs.on_split)
    score_policy(settings, inputs.policy, data, of_scored, outputs)


def _refuse_seen(
    settings: EvaluateSettings, data: RunData, other: Dataset, scored: Sequence[int]
) -> None:
    """Refuse to score episodes that trained or selected the policy."""
    dataset = data.dataset
    seen = {
        key: f"{dataset.episodes[index].name}, which is in {role}"
        for role in ("train", "val")
        for index in data.roles.of[role]
        for key in dataset.episodes[index].content
    }
    problems = [
        Problem(
            f"{other.name}, {episode.name} (test)",
            f"the same episode as {known[0]} of {dataset.name}: the same bytes, or the same frames "
            "and actions",
        )
        for episode in (other.episodes[index] for index in scored)
        if (known := [seen[key] for key in episode.content if key in seen])
    ]
    if problems:
        raise Problems(
            f"{settings.experiment} {settings.run} cannot be scored on {other.name}: it has seen "
            f"{len(problems)} of the {len(scored)} test episodes; score it on a dataset that "
            "shares none, or make one dataset of all episodes and let experiments differ in "
            "`subset`",
            problems,
        )


def _refuse_unknown_prompts(
    labels: Labels, dataset: Dataset, scored: Sequence[int], settings: EvaluateSettings
) -> None:
    """Refuse to score episodes whose prompt the policy was not trained with."""
    prompt = settings.policy.prompt
    unknown = [dataset.episodes[i] for i in scored if labels.prompts.of_episode[i] < 0]
    missing = [
        Problem(
            f"{dataset.name}, {episode.name} (test)",
            f"the prompt {render(prompt, prompt_values(episode))!r}",
        )
        for episode in unknown
    ]
    if missing:
        raise Problems(
            f"{dataset.name} has prompts that the policy was not trained with; it knows "
            + ", ".join(map(repr, labels.prompts.texts)),
            missing,
        )
