"""A complete set of synthetic result files such as the stages write, without any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.comparison.compare import compare
from mobile_vla.config.comparison import ComparedRun, CompareSettings
from mobile_vla.config.evaluation import Evaluation
from mobile_vla.config.reporting import PageSettings, Report, ReportedRun, drawable
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.config.windows import Dimension
from mobile_vla.data.windows import WindowTable
from mobile_vla.evaluation.baselines import TrainingFrames, vision_free_baselines
from mobile_vla.evaluation.evaluate import write_predictions
from mobile_vla.evaluation.predictors import Predictions
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.evaluation.scores import ScoringRules, score
from mobile_vla.files import digest_of
from mobile_vla.filesets import RESULTS, Files
from mobile_vla.ingest.scenario import parse_scenario
from mobile_vla.layout import (
    ComparisonFiles,
    EvaluationFiles,
    LanguageFiles,
    OtherEvaluationFiles,
    RolloutFiles,
    TimingFiles,
    TrainingFiles,
)
from mobile_vla.result import FileDigest
from mobile_vla.sentence import say
from support.behaviour_results import write_language, write_latency, write_rollouts
from support.dataset_results import write_dataset
from support.scored_runs import scored_run
from support.training_results import (
    EPOCHS,
    FRAMES,
    WINDOW,
    timing_of,
    write_provenance,
    write_training,
)

NAMES = ("lora", "lora_r8", "head_only", "full_finetune")
DIMENSIONS: tuple[Dimension, ...] = ("linear_x", "linear_y")
UNCERTAINTY = Uncertainty(draws=1000)


@dataclass
class Results:
    """A project's folder with its results, and the settings of its page.

    The settings are those of figures and tables, too. Files are in the order of the runs.
    """

    folder: Path
    settings: PageSettings

    @property
    def results(self) -> Path:
        """The folder of all results."""
        return self.folder / RESULTS

    def of_runs(self, kind: type[Files], name: str) -> list[Path]:
        """Return a file of each run."""
        each = [kind.below(self.results, **run.names()) for run in self.settings.runs]
        return [getattr(files, name) for files in each]

    @property
    def comparison(self) -> Path:
        """The comparison of all runs."""
        return ComparisonFiles.below(self.results).comparison

    @property
    def metrics(self) -> list[Path]:
        """Each run's ``metrics.csv``."""
        return self.of_runs(TrainingFiles, "metrics")

    @property
    def trainings(self) -> list[Path]:
        """Each run's ``training_results.json``."""
        return self.of_runs(TrainingFiles, "results")

    @property
    def evaluations(self) -> list[Path]:
        """Each run's ``evaluation.json``."""
        return self.of_runs(EvaluationFiles, "evaluation")

    @property
    def predictions(self) -> list[Path]:
        """Each run's ``predictions.npz``."""
        return self.of_runs(EvaluationFiles, "predictions")

    @property
    def languages(self) -> list[Path]:
        """Each run's ``language.json``."""
        return self.of_runs(LanguageFiles, "language")

    @property
    def rollouts(self) -> list[Path]:
        """Each run's ``rollouts.json``."""
        return self.of_runs(RolloutFiles, "rollouts")

    @property
    def provenance(self) -> list[Path]:
        """The provenance that the page reads."""
        return self.settings.provenance(self.results)


def make_results(
    folder: Path,
    experiments: int = 4,
    *,
    beats: bool | Sequence[bool] = True,
    seeds: int = 1,
    scored_on: str = "test",
    dirty: bool = False,
    chunks: Sequence[int] = (10,),
    subsets: Sequence[int | None] = (None,),
    folds: int = 1,
    others: Sequence[str] = (),
    ablation: str | None = None,
    tested: int = 12,
    driven: Sequence[str] = (),
) -> Results:
    """Write the result files of some experiments.

    Args:
        folder: where to; stands for the project's root.
        experiments: how many; the first four have the demo's names.
        beats: whether each experiment (or all) has a lower error than the best baseline.
        seeds: runs to an experiment.
        scored_on: ``test``, or ``val`` for a split without test episodes.
        dirty: whether the files were made from a tree with uncommitted changes.
        chunks: chunk sizes that the experiments take in turn.
        subsets: numbers of training episodes that the experiments take in turn, else the same.
        folds: folds of the split, a run each; all of them score the same episodes here.
        ablation: the experiment whose timing was compared with the plain way.
        tested: test episodes, of 12 at most.
        others: other datasets that each run is scored on; a copy of its own score here.
        driven: experiments whose checkpoints were chosen by driving.
    """
    names = [NAMES[i] if i < len(NAMES) else f"variant_{i}" for i in range(experiments)]
    better = [beats] * experiments if isinstance(beats, bool) else list(beats)
    runs = [
        _reported(name, run, i, chunks[i % len(chunks)], seeds).model_copy(
            update={
                "evaluate_on": tuple(others),
                "rolled_out": True,
                "driven": name in driven,
                "ablation": name == ablation,
            }
        )
        for i, name in enumerate(names)
        for run in (
            f"seed{seed}-fold{fold}" if folds > 1 else f"seed{seed}"
            for seed in range(seeds)
            for fold in range(folds)
        )
    ]
    for run in runs:
        subset = subsets[names.index(run.experiment) % len(subsets)]
        run.settings["subset"] = subset
        if any(subsets):  # as one experiment in several sizes
            alike = _reported(names[0], run.run, 0, chunks[0], seeds).settings
            run.settings.update({**alike, "subset": subset})
    settings = PageSettings(
        runs=tuple(runs),
        datasets=("demo",),
        figures=drawable(runs, ()),
        title=Report().title,
    )
    made = Results(folder, settings)
    actions, roles = write_dataset(made.results, scored_on, tested)
    for index, run in enumerate(runs):
        _run(made, run, index, better[names.index(run.experiment)], actions, roles, scored_on)
        place = made.evaluations[index].parent
        write_language(place, run.experiment, run.run)
        write_rollouts(place, run.experiment, run.run)
    compare(
        CompareSettings(
            runs=tuple(
                ComparedRun(**run.names(), rolled_out=True, driven=run.driven) for run in runs
            ),
            uncertainty=UNCERTAINTY,
        ),
        made.results,
        ComparisonFiles.below(made.results),
    )
    for name in names:
        place = TimingFiles.below(made.results, experiment=name).timing.parent
        timing_of(name, ablation == name).write(place / "timing.json")
        write_latency(place, name)
    for path in made.provenance:
        name = path.name.removesuffix(".provenance.json")
        stage = {"training": "train", "evaluation": "evaluate"}.get(name, name)
        write_provenance(path, stage, dirty)
    return made


def _reported(name: str, run: str, index: int, chunk: int, seeds: int) -> ReportedRun:
    settings: dict[str, Any] = {
        "window": WINDOW,
        "chunk": chunk,
        "stride": 1,
        "target": "next",
        "tail": "drop",
        "dataset": "demo",
        "backbone": "tiny",
        "seeds": list(range(seeds)),
        "prompt": {"template": "Navigate around the box on the {side} side", "words": {}},
        "finetune": {"head_only": "none", "full_finetune": "full"}.get(name, "lora"),
        "head": {"layers": 1, "hidden_size": 512, "mlp": [], "dropout": 0.0},
        "training": {
            "epochs": EPOCHS,
            "batch_size": 8,
            "learning_rate": 2e-5 if name == "full_finetune" else 1e-4 * (1 + index // 4),
            "early_stopping": None,
        },
    }
    if settings["finetune"] == "lora":
        r = 8 if name == "lora_r8" else 32
        settings["lora"] = {"r": r, "alpha": 16.0, "dropout": 0.1, "targets": ["q_proj", "v_proj"]}
    if settings["finetune"] == "full":
        settings["full"] = {"vision": True, "projection": True, "text": True}
    return ReportedRun(experiment=name, run=run, dataset="demo", backbone="tiny", settings=settings)


def _windows(episodes: Sequence[int], chunk: int) -> WindowTable:
    """Cut episodes of the same length into windows whose chunk follows them."""
    starts = np.arange(FRAMES - WINDOW - chunk + 1)
    first = (np.asarray(episodes)[:, None] * FRAMES + starts).ravel()  # (N,)
    return WindowTable(
        episode=np.repeat(episodes, len(starts)),
        last_frame=np.tile(starts + WINDOW - 1, len(episodes)),
        frames=first[:, None] + np.arange(WINDOW),
        targets=first[:, None] + WINDOW + np.arange(chunk),
        mask=np.ones((len(first), chunk), dtype=bool),
        mirrored=np.zeros(len(first), dtype=bool),
        part=np.zeros(len(first), dtype=np.int64),
        weights=(1.0,),
    )


def _run(
    made: Results,
    run: ReportedRun,
    index: int,
    beats: bool,
    actions: np.ndarray,
    roles: dict[str, list[str]],
    scored_on: str,
) -> None:
    names = [name for role in ("train", "val", "test") for name in roles[role]]
    scored = [names.index(name) for name in roles[scored_on]]
    windows = _windows(scored, run.settings["chunk"])
    trained = roles["train"][: run.settings["subset"]]
    windowed = ScoredWindows(
        episodes=tuple(roles[scored_on]),
        groups=tuple(roles[scored_on]),
        scenarios=tuple(parse_scenario(name) for name in roles[scored_on]),
        episode=np.searchsorted(scored, windows.episode),
        last_frame=windows.last_frame,
        ahead=np.arange(run.settings["chunk"]) + 1,
        truth=actions[windows.targets],
        mask=windows.mask,
        dimensions=DIMENSIONS,
    )
    train = TrainingFrames(
        actions[: len(trained) * FRAMES],
        np.tile(np.arange(FRAMES), len(trained)),
        np.repeat(np.arange(len(trained)), FRAMES),
        tuple(parse_scenario(name) for name in trained),
    )
    rng = np.random.default_rng(index)
    shape = windowed.truth.shape
    spread = (0.06 if beats else 1.3) * (1 + 0.1 * (index % 5))
    noise = rng.normal(0, spread, shape) * rng.uniform(0.6, 1.6, len(windows))[:, None, None]
    prediction = (windowed.truth + noise).astype(np.float32)
    predictions = Predictions(
        prediction,
        vision_free_baselines(train, actions, windows.frames[:, -1], windowed),
        {"no_image": rng.normal(0.5, 0.5, shape).astype(np.float32)},
        {"shuffled_prompt": say("all scored episodes have the same prompt")},
        {},
    )
    fold = int(run.run.partition("-fold")[2] or 0)
    facts = scored_run(
        experiment=run.experiment,
        run=run.run,
        seed=int(run.run.removeprefix("seed").partition("-")[0]),
        manifest=digest_of(names),
        split=digest_of(roles),
        fold=fold,
        folds=2 if "-fold" in run.run else 1,
        subset=run.settings["subset"],
        scored_on=scored_on,
    )
    rules = ScoringRules(
        evaluation=Evaluation(),
        uncertainty=UNCERTAINTY,
        scale=1.15,
        fixed=(),
        huber_delta=1.0,
        cell=("distance", "side"),
        units=(1.0, 1.0),
    )
    files = EvaluationFiles.below(made.results, **run.names())
    write_predictions(files.predictions, windowed, predictions)
    evaluation = score(facts, windowed, predictions, rules, FileDigest.of(files.predictions))
    evaluation.write(files.evaluation)
    for name in run.evaluate_on:
        other = OtherEvaluationFiles.below(made.results, **run.names(), dataset=name)
        evaluation.model_copy(update={"dataset": name}).write(other.evaluation)
    write_training(files.evaluation.parent, run, index, {**roles, "train": trained})
