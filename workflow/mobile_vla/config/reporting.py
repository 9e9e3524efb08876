"""Settings of the report: figures, tables and page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from mobile_vla.config.base import Gathered, Settings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.config.units import Units
from mobile_vla.conventions import Language
from mobile_vla.filesets import Files, Job
from mobile_vla.layout import (
    AuditFiles,
    BackboneFiles,
    BundleFiles,
    CaptionFiles,
    CertificateFiles,
    ComparisonFiles,
    DataAuditFiles,
    EvaluationFiles,
    FeatureFiles,
    FigureFiles,
    LanguageFiles,
    LatencyFiles,
    ManifestFiles,
    OtherEvaluationFiles,
    ReportFiles,
    RolloutFiles,
    SplitFiles,
    TableFiles,
    TimingFiles,
    TrainingFiles,
    TrialFiles,
)

Printed = Literal["open", "all"]
Packed = Literal["results", "episodes"]

FIGURES = {
    "data": ("action_sequences", "coverage"),
    "training": ("loss_curves", "overfitting_gap"),
    "baselines": ("error_by_dimension", "differences"),
    "parts": ("error_by_step", "error_by_frame", "error_by_scenario", "confusion", "tolerance"),
    "trials": ("real_drives",),
    "closed_loop": ("closed_loop",),
    "language": ("language",),
    "sweeps": ("sweeps",),
    "training_size": ("error_by_training_size",),
    "examples": ("episodes", "velocity_traces", "predicted_paths"),
    "cost": ("speed_ablation", "epoch_time"),
    "latency": ("latency",),
}
"""Names of all figures by their place on the page, which its templates name."""

TABLES = {
    "experiments": False,
    "epochs": False,
    "errors": False,
    "verdicts": True,
    "pairs": True,
    "by_step": True,
    "by_cell": True,
    "by_part": True,
    "sweeps": False,
    "elsewhere": False,
    "drives": True,
    "drive_pairs": True,
}
"""Names of all tables, and whether there is a LaTeX file beside the CSV."""

NOT_MATCHED = ("dataset", "training", "training.epochs")
"""Swept settings that would give equal optimiser steps no meaning."""

RUN_KINDS: tuple[type[Files], ...] = (
    *(TrainingFiles, TimingFiles, LanguageFiles, LatencyFiles, RolloutFiles, EvaluationFiles),
)
"""The results of runs and experiments, in the order of the page; other datasets' follow."""
BUNDLE_KINDS: tuple[type[Files], ...] = (BundleFiles, CertificateFiles)
"""Those of a run's bundles, which come last."""


class Report(Settings):
    """Title and language of the report's page."""

    title: str | None = None
    """Heading of the page; null: "Mobile VLA experiments" in its language."""
    language: Language = "en"
    """Language of the page, its figures and the audit: `en` or `ko`."""
    print: Printed = "open"
    """What is printed: what is ``open`` on the screen, or ``all``."""
    example: str | None = None
    """The experiment whose predictions the figures of a single run show; null: that of the run with
    the highest skill."""
    crate: Packed = "results"
    """What `results/report.crate.zip` holds: the report's ``results``, or ``episodes``, too."""


class ReportedRun(Settings):
    """A run in the report, with the settings of its experiment."""

    experiment: str
    run: str
    dataset: str
    backbone: str
    members: tuple[str, ...] = ()
    """The datasets of a mixture, on each of which it is scored by itself."""
    evaluate_on: tuple[str, ...] = ()
    rolled_out: bool = False
    """Whether its dataset is simulated, so that there are rollouts."""
    driven: bool = False
    """Whether its checkpoint was chosen by driving."""
    bundles: tuple[str, ...] = ()
    """Number formats of its bundles; only an experiment's first run has some."""
    ablation: bool = False
    """Whether its experiment's timing is compared with training without each speed-up."""
    settings: dict[str, Any]

    def names(self) -> dict[str, str]:
        """Return the names that tell its files from those of other runs."""
        return {"experiment": self.experiment, "run": self.run}

    def jobs(self, results: Path) -> list[Job]:
        """Return the jobs that wrote the results of the run and of its experiment."""
        kinds = [kind for kind in RUN_KINDS if self.rolled_out or kind is not RolloutFiles]
        others = (
            OtherEvaluationFiles.job(results, **self.names(), dataset=dataset)
            for dataset in (*self.members, *self.evaluate_on)
        )
        bundles = (
            kind.job(results, **self.names(), precision=precision)
            for precision in self.bundles
            for kind in BUNDLE_KINDS
        )
        return [*(kind.job(results, **self.names()) for kind in kinds), *others, *bundles]

    def numbers(self, results: Path) -> list[Path]:
        """Return the files that figures, tables and page read of the run and its experiment."""
        names = self.names()
        training = TrainingFiles.below(results, **names)
        others = (
            OtherEvaluationFiles.below(results, **names, dataset=dataset).evaluation
            for dataset in (*self.members, *self.evaluate_on)
        )
        return [
            training.metrics,
            training.results,
            EvaluationFiles.below(results, **names).evaluation,
            LanguageFiles.below(results, **names).language,
            *([RolloutFiles.below(results, **names).rollouts] if self.rolled_out else []),
            *others,
            TimingFiles.below(results, **names).timing,
            LatencyFiles.below(results, **names).latency,
            *(
                CertificateFiles.below(results, **names, precision=precision).certificate
                for precision in self.bundles
            ),
        ]

    def arrays(self, results: Path) -> list[Path]:
        """Return the files that only the figures read of the run."""
        files = [EvaluationFiles.below(results, **self.names()).predictions]
        if self.rolled_out:
            files.append(RolloutFiles.below(results, **self.names()).paths)
        return files


class SweepMember(Settings):
    """One combination of a sweep."""

    experiment: str
    values: dict[str, Any]
    """By swept setting."""


class Sweep(Settings):
    """What an experiment with a sweep became: one for each combination of its values."""

    name: str
    keys: tuple[str, ...]
    """The swept settings' dotted names, sorted."""
    match: Literal["epochs", "optimizer_steps"] = "epochs"
    """What is the same for all combinations: the epochs, or the optimiser steps of the first."""
    members: tuple[SweepMember, ...]
    """In the order of the values as listed, the last setting's changing fastest."""


class StoredFeatures(Settings):
    """The names of stored features that reported runs read."""

    dataset: str
    backbone: str
    cut: str
    key: str


class ReportSettings(Gathered):
    """What all commands of the report are given."""

    runs: tuple[ReportedRun, ...]
    sweeps: tuple[Sweep, ...] = ()
    trials: tuple[str, ...] = ()

    def files(self, results: Path) -> list[Path]:
        """Return the results of all runs, and their comparison."""
        return [*self.numbers(results), ComparisonFiles.below(results).comparison]

    def numbers(self, results: Path) -> list[Path]:
        """Return the results of runs and trials that all commands of the report read."""
        trials = [TrialFiles.below(results, trial=name).trial for name in self.trials]
        return _distinct([*(path for run in self.runs for path in run.numbers(results)), *trials])

    def experiments(self) -> list[str]:
        """Return the experiments in the order of their first run."""
        return list(dict.fromkeys(run.experiment for run in self.runs))

    def table_names(self) -> list[str]:
        """Return the names of the tables; some are made only where there is something in them."""
        others = any(run.members or run.evaluate_on for run in self.runs)
        driven = bool(self.trials)
        needed = {
            "sweeps": bool(self.sweeps),
            "elsewhere": others,
            "drives": driven,
            "drive_pairs": driven,
        }
        return [name for name in TABLES if needed.get(name, True)]

    def table_files(self, results: Path) -> dict[str, list[Path]]:
        """Return the files of each table by its name."""
        each = {name: TableFiles.below(results, table=name) for name in self.table_names()}
        return {
            name: [files.csv, files.latex] if TABLES[name] else [files.csv]
            for name, files in each.items()
        }


class CardSettings(Settings):
    """What ``card`` is given for one run."""

    experiment: str
    run: str
    units: Units = Field(default_factory=dict)
    """What one unit of a command is, where its dataset says it."""
    language: Language = "en"


class TableSettings(ReportSettings):
    """What ``tables`` is given."""

    units: dict[str, Units] = Field(default_factory=dict)
    """What one unit of a command is, by dataset; only of those that say it."""


class FigureSettings(ReportSettings):
    """What ``figures`` is given."""

    datasets: tuple[str, ...]
    """Those with episodes: of a mixture its datasets."""
    mixtures: tuple[str, ...] = ()
    figures: tuple[str, ...]
    """Their names, in the order of the page."""
    language: Language = "en"
    example: str | None = None

    @field_validator("figures")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = [name for place in FIGURES.values() for name in place]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"no such figure: {unknown[0]}; expected some of {', '.join(known)}")
        return names

    def files(self, results: Path) -> list[Path]:
        """Return the results of runs and datasets that are drawn.

        The frames of episodes lie beside the manifest, which holds their digests. Predictions and
        trajectories are drawn of the best run, which may be any.
        """
        return [*super().files(results), *self.drawn(results)]

    def drawn(self, results: Path) -> list[Path]:
        """Return what only the figures read: data and predictions; and the audits."""
        named = (*self.datasets, *self.mixtures)
        data = [ManifestFiles.below(results, dataset=name) for name in named]
        return [
            *(path for files in data for path in files.listed()),
            *(AuditFiles.below(results, dataset=name).report for name in self.datasets),
            *(path for run in self.runs for path in run.arrays(results)),
        ]

    def figure_files(self, results: Path) -> list[FigureFiles]:
        """Return the files of each figure."""
        return [FigureFiles.below(results, figure=name) for name in self.figures]


class PageSettings(FigureSettings, TableSettings):
    """What ``page`` is given."""

    title: str | None
    print: Printed = "open"
    features: tuple[StoredFeatures, ...] = ()
    """Those that the runs read: the page says where they come from."""
    notes: dict[str, str] = Field(default_factory=dict)
    """Why experiments are there, by name; only of those that say it."""

    def files(self, results: Path) -> list[Path]:
        """Return results of runs and datasets, figures, captions and provenance."""
        return [
            *ReportSettings.files(self, results),
            *(ManifestFiles.below(results, dataset=name).manifest for name in self.datasets),
            *(SplitFiles.below(results, dataset=name).split for name in self.datasets),
            *(AuditFiles.below(results, dataset=name).report for name in self.datasets),
            *(files.svg for files in self.figure_files(results)),
            CaptionFiles.below(results).captions,
            *self.provenance(results),
        ]

    def provenance(self, results: Path) -> list[Path]:
        """Return the provenance of every result that the page quotes, in the page's order."""
        derived = (ComparisonFiles, FigureFiles, TableFiles)
        return [*self.upstream_provenance(results), *(kind.provenance(results) for kind in derived)]

    def upstream_provenance(self, results: Path) -> list[Path]:
        """Return the provenance of what comparison, figures and tables are made from."""
        data = [
            kind.provenance(results, dataset=name)
            for kind in (ManifestFiles, SplitFiles, DataAuditFiles, AuditFiles)
            for name in self.datasets
        ] + [
            kind.provenance(results, dataset=name)
            for kind in (ManifestFiles, SplitFiles)
            for name in self.mixtures
        ]
        backbones = [BackboneFiles.provenance(results, backbone=run.backbone) for run in self.runs]
        features = [FeatureFiles.provenance(results, **one.model_dump()) for one in self.features]
        jobs = [job for run in self.runs for job in run.jobs(results)]
        kinds = (*RUN_KINDS, OtherEvaluationFiles, *BUNDLE_KINDS)
        runs = [job.provenance for kind in kinds for job in jobs if type(job.files) is kind]
        trials = [TrialFiles.provenance(results, trial=name) for name in self.trials]
        return _distinct([*data, *backbones, *features, *runs, *trials])


class CrateSettings(Gathered):
    """What ``crate`` is given."""

    page: PageSettings
    episodes: dict[str, str] = Field(default_factory=dict)
    """Raw episodes by their names in the crate; only with `report.crate: episodes`."""

    def files(self, results: Path) -> list[Path]:
        """Return the page, what it shows, and the tables."""
        page = self.page
        tables = [path for files in page.table_files(results).values() for path in files]
        own = [ReportFiles.below(results).report, ReportFiles.provenance(results)]
        return _distinct([*own, *tables, *page.files(results)])


class PartialSettings(Gathered):
    """What the report of the finished runs is given: it compares them itself."""

    report: PageSettings
    uncertainty: Uncertainty

    def files(self, results: Path) -> list[Path]:
        """Return what it reads once all runs have finished; until then, less."""
        report = self.report
        read = [*report.numbers(results), *report.drawn(results)]
        splits = [SplitFiles.below(results, dataset=name).split for name in report.datasets]
        return _distinct([*read, *splits, *report.upstream_provenance(results)])


def drawable(
    runs: Sequence[ReportedRun], sweeps: Iterable[Sweep], trials: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the names of the figures for which there is something to draw."""
    swept = {member.experiment for sweep in sweeps for member in sweep.members}
    needed = {
        "error_by_training_size": len({run.settings.get("subset") for run in runs}) > 1,
        "speed_ablation": any(run.ablation for run in runs),
        "real_drives": bool(trials),
        "closed_loop": any(run.rolled_out for run in runs),
        "sweeps": any(run.experiment in swept for run in runs),
    }
    return tuple(name for place in FIGURES.values() for name in place if needed.get(name, True))


def _distinct(paths: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(paths))
