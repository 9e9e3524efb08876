"""The model card of a run's best policy: ``README.md`` of its folder, from the run's results."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from mobile_vla.backbone.result import MODEL_TYPE, BackboneDescription
from mobile_vla.config.reporting import CardSettings
from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.files import read_json, write_text
from mobile_vla.layout import CardFiles
from mobile_vla.model.result import PolicyDescription
from mobile_vla.reporting.format import percent
from mobile_vla.reporting.units import listed_units
from mobile_vla.reporting.verdict import judged
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.texts import MISSING, Texts
from mobile_vla.training.result import Epoch, TrainingResult, read_metrics

log = logging.getLogger(__name__)

PROMPTS = 20  # that the card lists; policy.json has all
SPLITS = {"test": "test", "val": "validation"}  # as the Hub names them
ROLES = ("train", "val", "test")
NUMBER = "---:"  # a column of a table, set to the right
PREDICT = """\
    python -m mobile_vla predict THIS_FOLDER EPISODE.h5
    python -m mobile_vla serve THIS_FOLDER"""
LOAD_ADAPTERS = "    PeftModel.from_pretrained(Kosmos2Model.from_pretrained(BACKBONE), THIS_FOLDER)"


@dataclass(frozen=True)
class CardInputs:
    """The results of a run that its card is made from."""

    policy: Path
    metrics: Path
    results: Path
    backbone: Path
    evaluation: Path
    rollouts: Path | None = None


@dataclass(frozen=True)
class Described:
    """The content of these results."""

    policy: PolicyDescription
    first: Epoch
    training: TrainingResult
    backbone: BackboneDescription
    evaluation: EvaluationResult
    rollouts: RolloutResult | None


@dataclass(frozen=True)
class Score:
    """One score of a policy."""

    text: str
    """Key of its text."""
    named: str
    """The baseline or dimension that the text names."""
    value: float
    ends: tuple[float, float, float] | None
    """Ends of its interval, and the interval's confidence."""
    counted: dict[str, int]
    """What it is counted over, by noun."""

    def title(self, t: Texts) -> str:
        """Return what the score is; a dimension has the name that the robot's commands have."""
        return t(self.text, name=self.named if self.text == "card.mae_of" else t.words(self.named))

    def shown(self, value: float) -> str:
        """Return the score, or an end of its interval."""
        return percent(value) if self.text == "card.success" else f"{value:.4f}"


def card(settings: CardSettings, inputs: CardInputs, outputs: CardFiles) -> None:
    """Write the card of a run's best policy in the report's language.

    Its metadata are those of the Hugging Face Hub, with the scores as ``model-index``, and the same
    in all languages. ``release`` adds the licence.

    Raises:
        UserError: a result is missing, or belongs to another run.
    """
    run = Described(
        policy=PolicyDescription.checked(inputs.policy, read_json(inputs.policy)),
        first=read_metrics(inputs.metrics)[0],
        training=TrainingResult.read(inputs.results),
        backbone=BackboneDescription.read(inputs.backbone),
        evaluation=EvaluationResult.read(inputs.evaluation),
        rollouts=None if inputs.rollouts is None else RolloutResult.read(inputs.rollouts),
    )
    expected = (settings.experiment, settings.run)
    owners = {
        inputs.policy: (run.policy.experiment, run.policy.run),
        inputs.results: (run.training.experiment, run.training.run),
        inputs.evaluation: (run.evaluation.experiment, run.evaluation.run),
    }
    for path, owner in owners.items():
        if owner != expected:
            raise UserError(
                f"{path}: holds the results of {'/'.join(owner)}, expected those of "
                f"{'/'.join(expected)}; remove it and run snakemake again"
            )
    scores = list(_scores(run))
    metadata = _metadata(run, scores)
    t = Texts.of(settings.language)
    body = "\n\n".join(_sections(run, scores, settings, t))
    text = f"---\n{metadata.to_yaml()}\n---\n{body}\n"
    ModelCard(text)  # raises where the Hub would not read the metadata
    write_text(outputs.card, text)
    log.info("%s: %d scores", outputs.card, len(scores))


def _scores(run: Described) -> Iterator[Score]:
    """Yield the errors on the scored episodes, and the success rate in closed loop."""
    scored = run.evaluation
    over = {"episode": scored.episodes, "window": scored.windows}
    best = scored.best_baseline.name
    for name, text in (("policy", "card.mae"), (best, "card.mae_baseline")):
        error = scored.mae[name].pooled
        ends = None
        if error.low is not None and error.high is not None:
            ends = (error.low, error.high, error.confidence)
        yield Score(text, name, error.value, ends, over)
    for dimension in scored.dimensions:
        yield Score("card.mae_of", dimension, scored.policy.mae[dimension], None, over)
    if run.rollouts is not None:
        success = run.rollouts.drivers["policy"].success
        ends = (success.low, success.high, success.confidence)
        yield Score("card.success", "policy", success.rate, ends, {"rollout": success.trials})


def _metadata(run: Described, scores: Sequence[Score]) -> ModelCardData:
    """Return what the Hub reads of the card; what training cannot know is not in it."""
    policy, scored, english = run.policy, run.evaluation, Texts.of("en")
    suffix = f", {scored.unit}"
    if scored.selected_on_scored:
        suffix += english("card.too_low")
    results = []
    for score in scores:
        driven = score.text == "card.success"
        ends = dict(zip(("low", "high", "confidence"), score.ends or (), strict=False))
        results.append(
            EvalResult(
                task_type="robotics",
                task_name="closed loop" if driven else "next velocity commands",
                dataset_type=scored.dataset,
                dataset_name=scored.dataset,
                dataset_split="unseen scenes" if driven else SPLITS[scored.scored_on],
                metric_type="success_rate" if driven else "mae",
                metric_name=score.title(english) + ("" if driven else suffix),
                metric_value=score.value,
                metric_args={f"{noun}s": count for noun, count in score.counted.items()} | ends,
            )
        )
    known: dict[str, Any] = {}
    if run.backbone.revision is not None:
        known["base_model"] = run.backbone.checkpoint
    return ModelCardData(
        **known,
        library_name="transformers" if policy.settings.lora is None else "peft",
        pipeline_tag="robotics",
        datasets=list(policy.data.datasets),
        tags=["robotics", MODEL_TYPE, "velocity-policy"],
        model_name=f"{policy.experiment} {policy.run}",
        eval_results=results,
    )


def _sections(
    run: Described, scores: Sequence[Score], settings: CardSettings, t: Texts
) -> Iterator[str]:
    """Yield the card's headings, paragraphs, lists and tables."""
    policy = run.policy
    windows = policy.windows
    yield f"# {policy.experiment}, {policy.run}"
    about = t(
        "card.about", frames=t.count(windows.window, "frame"), steps=t.count(windows.chunk, "step")
    )
    yield f"{about} {_trained(policy, t)}"
    yield PREDICT
    yield t("card.checked")
    if policy.settings.lora is not None:
        yield t("card.peft")
        yield LOAD_ADAPTERS
    yield f"## {t('card.scores')}"
    yield _score_table(scores, t)
    notes = [judged(run.evaluation.verdict, t)]
    if run.evaluation.selected_on_scored:
        notes.append(t("evaluation.selected"))
    yield " ".join([*notes, t("card.open_loop")])
    yield f"## {t('card.io')}"
    yield "\n".join([*_inputs(policy, t), _velocities(policy, settings, t)])
    yield f"## {t('section.data')}"
    yield _data(policy, t)
    yield _counts(run.training, t)
    if run.training.mixture:
        yield t("card.mixture")
        yield _mixture(run.training, t)
    yield f"## {t('card.validation')}"
    yield _validation(run, t)
    how = "chosen" if policy.metrics.val_success is None else "chosen_driven"
    chosen = t(f"card.{how}", epoch=policy.epoch)
    yield chosen if run.evaluation.selected_on_scored else f"{chosen} {t('card.chose_nothing')}"
    yield f"## {t('card.limits')}"
    yield "\n".join(f"- {limit}" for limit in _limits(run, t))


def _trained(policy: PolicyDescription, t: Texts) -> str:
    lora, full = policy.settings.lora, policy.settings.full
    names = {"backbone": policy.backbone.name, "head": policy.settings.head.type}
    if lora is not None:
        names |= {"r": str(lora.r), "alpha": f"{lora.alpha:g}"}
        if lora.layers is not None:
            return t("card.lora_top", **names, layers=lora.layers)
        return t("card.lora", **names)
    if full is not None:
        parts = [t.words(part) for part, trained in full.model_dump().items() if trained]
        return t("card.full", **names, parts=", ".join(parts))
    return t("card.head", **names)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """Return a table of Markdown whose last columns are ``numbers``."""
    kinds = ["---"] * (len(head) - numbers) + [NUMBER] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, kinds, *rows))


def _score_table(scores: Sequence[Score], t: Texts) -> str:
    rows = []
    for score in scores:
        interval = MISSING
        if score.ends is not None:
            low, high, confidence = score.ends
            ends = t.between(score.shown(low), score.shown(high))
            interval = f"{ends} ({percent(confidence)})"
        over = ", ".join(t.count(count, noun) for noun, count in score.counted.items())
        rows.append([score.title(t), over, score.shown(score.value), interval])
    head = [t("card.score"), t("card.counted"), t("card.value"), t("column.interval")]
    return _table(head, rows, 2)


def _inputs(policy: PolicyDescription, t: Texts) -> list[str]:
    """Return what the policy takes, as lines of a list."""
    color, datasets = (policy.images.color or "rgb").upper(), policy.data.datasets
    resized = t(f"card.{policy.images.resize}", size=FRAME_SIZE)
    stored = t("card.color", color=color)
    if len(datasets) > 1:
        stored = t("card.color_mixture", color=color, dataset=datasets[0])
    lines = [f"- {t('card.pictures')}: {resized} {stored} {t('card.rhythm')}"]
    lines.append(f"- {t('card.instruction')}")
    texts = policy.prompts
    lines += [f"  - {json.dumps(text, ensure_ascii=False)}" for text in texts[:PROMPTS]]
    if len(texts) > PROMPTS:
        lines.append("  - " + t("card.more_prompts", n=len(texts) - PROMPTS))
    return lines


def _velocities(policy: PolicyDescription, settings: CardSettings, t: Texts) -> str:
    actions = policy.settings.actions
    said = [t("card.velocities", dimensions=", ".join(actions.dimensions), scale=actions.said)]
    if settings.units:
        said.append(t("data.units", parts=listed_units(settings.units)))
    else:
        said.append(t("card.no_units"))
    said += [t("card.fixed", name=name, value=f"{value:g}") for name, value in policy.fixed.items()]
    said.append(t(f"card.{policy.windows.target}"))
    return "- " + " ".join(said)


def _data(policy: PolicyDescription, t: Texts) -> str:
    data = policy.data
    said = [
        t(
            "card.dataset",
            dataset=data.dataset,
            manifest=data.manifest[:12],
            split=data.split[:12],
            fold=data.fold,
        )
    ]
    if data.subset is not None:
        said.append(t("card.subset", episodes=t.count(data.subset, "training episode")))
    if policy.settings.mirror:
        said.append(t("card.mirror"))
    return " ".join(said)


def _counts(training: TrainingResult, t: Texts) -> str:
    counted = (training.episodes, training.frames, training.windows)
    rows = [[t(f"card.{role}"), *(f"{of.get(role, 0):,}" for of in counted)] for role in ROLES]
    head = ["", t("column.n_episodes"), t("column.frames"), t("card.windows")]
    return _table(head, rows, 3)


def _mixture(training: TrainingResult, t: Texts) -> str:
    rows = [
        [f"`{own.dataset}`", f"{own.weight:g}", f"{own.episodes:,}", f"{own.drawn:,}"]
        for own in training.mixture
    ]
    head = [t(f"column.{name}") for name in ("dataset", "weight", "training_episodes", "drawn")]
    return _table(head, rows, 3)


def _validation(run: Described, t: Texts) -> str:
    first, best = run.first, run.policy.metrics
    rows = [(t("card.val_loss"), first.val_loss, best.val_loss)]
    if first.val_success is not None and best.val_success is not None:
        rows.append((t("card.val_success"), first.val_success, best.val_success))
    rows += [
        (t("card.mae_of", name=name), first.val_mae[name], value)
        for name, value in best.val_mae.items()
    ]
    head = ["", t("card.epoch", epoch=first.epoch), t("card.this")]
    return _table(head, [[name, f"{a:.4f}", f"{b:.4f}"] for name, a, b in rows], 2)


def _limits(run: Described, t: Texts) -> Iterator[str]:
    windows = run.policy.windows
    yield t("card.limit_data")
    if windows.start == "repeat" or windows.window == 1:
        yield t("card.limit_repeat")
    else:
        yield t("card.limit_start", steps=t.count(windows.window - 1, "step"))
    yield t("card.limit_single" if run.rollouts is None else "card.limit_rollouts")
    yield t("card.limit_safety")
