"""The whole of config.yaml, and what each stage is given of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Field

from mobile_vla.config.audit import (
    AuditedExperiment,
    AuditSettings,
    DataAuditSettings,
    FlagSettings,
)
from mobile_vla.config.backbone import (
    Backbone,
    BackboneSettings,
    PretrainedBackbone,
    RandomBackbone,
)
from mobile_vla.config.base import Positive, Settings
from mobile_vla.config.comparison import ComparedRun, CompareSettings
from mobile_vla.config.data import ManifestSettings
from mobile_vla.config.entries import Dataset, Experiment, SimulatedDataset
from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.config.features import VIEWS, ExtractSettings, FeatureKey, Features, View
from mobile_vla.config.ingest import IngestSettings
from mobile_vla.config.language import LanguageSettings
from mobile_vla.config.latency import LatencySettings
from mobile_vla.config.model import Photometric
from mobile_vla.config.reporting import (
    FigureSettings,
    PageSettings,
    PartialSettings,
    Report,
    ReportedRun,
    StoredFeatures,
    Sweep,
    TableSettings,
    drawable,
)
from mobile_vla.config.rollout import RolloutSettings
from mobile_vla.config.simulator import SimulateSettings, simulated_episodes
from mobile_vla.config.split import SplitSettings
from mobile_vla.config.timing import TimeSettings
from mobile_vla.config.training import Matched, TrainSettings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.config.windows import Windows

LONGEST_NAME = 200  # a file's name has at most 255 bytes
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=LONGEST_NAME)]
MOST_RUNS = 10_000
RUN = re.compile(r"seed(\d+)(?:-fold(\d+))?")


class Project(Settings):
    """config.yaml, with ``defaults`` already merged into each experiment.

    Its methods return what each stage is given. A stage's settings hold what the stage uses and
    nothing else: whatever is not among them cannot make it run again.
    """

    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)]
    """Named sets of episodes."""
    backbones: Annotated[dict[Name, Backbone], Field(min_length=1)]
    """Named vision-language models."""
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)]
    """Named ways of training a policy."""
    sweeps: dict[str, Sweep] = Field(default_factory=dict)
    """What experiments with a sweep became; not written, but made of them."""
    features: Features = Features()
    """How the features that experiments share are computed."""
    uncertainty: Uncertainty = Uncertainty()
    """How sure a claim must be, in each experiment's verdict and between experiments."""
    report: Report = Report()
    """What the report's page says of itself."""
    memory_limit_gb: Positive | None = None
    """Memory (10⁹ bytes) that a training step may take, such as 14 on a 16 GB Jetson; a run that
    would take more is refused at its start. It changes no result, and reruns nothing."""

    def reported_experiments(self) -> dict[str, Experiment]:
        """Return the experiments of the report: those that are more than timed."""
        return {name: one for name, one in self.experiments.items() if not one.timing_only}

    def runs_of(self, name: str) -> list[str]:
        """Return an experiment's runs: ``seed0``, or with several folds ``seed0-fold2``."""
        experiment = self.experiments[name]
        folds = self.datasets[experiment.dataset].split.count
        return [
            f"seed{seed}-fold{fold}" if folds > 1 else f"seed{seed}"
            for seed in experiment.seeds
            for fold in range(folds)
        ]

    def first_run(self, name: str) -> str:
        """Return an experiment's first run: the one that is timed."""
        return self.runs_of(name)[0]

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield each (experiment, run) of the report."""
        for name in self.reported_experiments():
            for run in self.runs_of(name):
                yield name, run

    def used_datasets(self) -> list[str]:
        """Return the datasets that the report needs, in the order of config.yaml."""
        reported = self.reported_experiments().values()
        used = {name for one in reported for name in (one.dataset, *one.evaluate_on)}
        return [name for name in self.datasets if name in used]

    def simulation(self, dataset: str) -> dict[str, SimulateSettings] | None:
        """Return a simulated dataset's episodes by name; None for a recorded one."""
        settings = self.datasets[dataset]
        if isinstance(settings, SimulatedDataset):
            return simulated_episodes(settings.simulation)
        return None

    def is_random(self, backbone: str) -> bool:
        """Whether a backbone's weights are drawn here rather than read from a checkpoint."""
        return isinstance(self.backbones[backbone], RandomBackbone)

    def ingest(self, dataset: str, episode: str) -> IngestSettings:
        """Return what ``ingest`` is given for one episode."""
        return self.datasets[dataset].ingest(dataset, episode)

    def manifest(self, dataset: str) -> ManifestSettings:
        """Return what ``manifest`` is given."""
        return ManifestSettings(dataset=dataset, on_error=self.datasets[dataset].on_error)

    def split(self, dataset: str) -> SplitSettings:
        """Return what ``split`` is given."""
        return SplitSettings(dataset=dataset, split=self.datasets[dataset].split)

    def audit_data(self, dataset: str, left_out: str = "") -> DataAuditSettings:
        """Return what ``audit_data`` is given.

        Args:
            dataset: its name.
            left_out: files that look like episodes and that its pattern does not match.
        """
        return DataAuditSettings(
            dataset=dataset,
            declared=self.datasets[dataset].declared,
            on_warning=self.datasets[dataset].on_warning,
            accept=self.datasets[dataset].accept,
            left_out=left_out,
        )

    def audit(self, dataset: str) -> AuditSettings:
        """Return what ``audit`` is given."""
        return AuditSettings(
            **dict(self.audit_data(dataset)),
            experiments=tuple(
                AuditedExperiment(name=name, windows=Windows.part_of(one), prompt=one.prompt)
                for name, one in self.reported_experiments().items()
                if one.dataset == dataset
            ),
        )

    def flags(self, dataset: str) -> FlagSettings:
        """Return what ``flags`` is given."""
        return FlagSettings(
            dataset=dataset,
            declared=self.datasets[dataset].declared,
            accepted=tuple(sorted(self.datasets[dataset].accept)),
        )

    def backbone(self, name: str) -> BackboneSettings:
        """Return what ``backbone`` is given: of a local checkpoint no place."""
        backbone = self.backbones[name]
        if isinstance(backbone, PretrainedBackbone) and backbone.revision is None:
            backbone = backbone.model_copy(update={"checkpoint": "."})  # its bytes are tracked
        return BackboneSettings(name=name, backbone=backbone)

    def dataset_folder(self, dataset: str) -> str | None:
        """Return the folder of a dataset as it is written; None for one that is made here.

        It is among no settings, since no result depends on it.
        """
        settings = self.datasets[dataset]
        return None if isinstance(settings, SimulatedDataset) else settings.path

    def checkpoint_folder(self, name: str) -> str | None:
        """Return the folder of a local checkpoint, likewise; None for another backbone."""
        backbone = self.backbones[name]
        if isinstance(backbone, PretrainedBackbone) and backbone.revision is None:
            return backbone.checkpoint
        return None

    def feature_key(self, name: str, view: View = "plain") -> FeatureKey:
        """Return what the features that an experiment reads of a view depend on."""
        experiment = self.experiments[name]
        cut = experiment.policy(self.datasets[experiment.dataset].actions).cut
        return FeatureKey(
            cut=cut,
            view=view,
            precision=experiment.training.precision,
            prompt=experiment.prompt if cut == "readout" else None,
        )

    def feature_keys(
        self, experiments: Iterable[str] | None = None
    ) -> dict[tuple[str, str, str, str], FeatureKey]:
        """Return features of experiments, or of all, by (dataset, backbone, cut, key).

        At the cut ``pixels`` the frames themselves are read, and nothing is stored.
        """
        found: dict[tuple[str, str, str, str], FeatureKey] = {}
        for name in self.experiments if experiments is None else experiments:
            experiment = self.experiments[name]
            datasets = {
                "plain": (experiment.dataset, *experiment.evaluate_on),
                "mirrored": (experiment.dataset,) if experiment.augment.mirror else (),
            }
            for view in VIEWS:
                key = self.feature_key(name, view)
                for dataset in datasets[view] if key.cut != "pixels" else ():
                    found[dataset, experiment.backbone, key.cut, key.key] = key
        return found

    def extract(self, dataset: str, backbone: str, cut: str, key: str) -> ExtractSettings:
        """Return what ``features`` is given."""
        return ExtractSettings(
            dataset=dataset,
            backbone=backbone,
            key=self.feature_keys()[dataset, backbone, cut, key],
            compute=self.features,
        )

    def _run(self, name: str, run: str) -> dict[str, Any]:
        """Return what the settings of every stage of a run have in common."""
        experiment, named = self.experiments[name], RUN.fullmatch(run)
        assert named is not None, run  # the rules make no other names
        return {
            "experiment": name,
            "run": run,
            "seed": int(named[1]),
            "fold": int(named[2] or 0),
            "subset": experiment.subset,
            "windows": Windows.part_of(experiment),
            "policy": experiment.policy(self.datasets[experiment.dataset].actions),
        }

    def _trained_run(self, name: str, run: str) -> dict[str, Any]:
        """Return what the settings of every stage that tests a policy have in common."""
        training = self.experiments[name].training
        computed = {"precision": training.precision, "threads": training.threads}
        return {**self._run(name, run), **computed}

    def train(self, name: str, run: str) -> TrainSettings:
        """Return what ``train`` is given for one run."""
        experiment = self.experiments[name]
        return TrainSettings(
            **self._run(name, run),
            images=self.datasets[experiment.dataset].images.settled(),
            photometric=Photometric.part_of(experiment.augment),
            training=experiment.trained(),
            matched=self._matched(name),
        )

    def _matched(self, name: str) -> Matched | None:
        """Return the first combination of a sweep, whose steps the others take over."""
        for sweep in self.sweeps.values():
            first, *others = (member.experiment for member in sweep.members)
            if sweep.match == "optimizer_steps" and name in others:
                experiment = self.experiments[first]
                training = experiment.training
                return Matched(
                    windows=Windows.part_of(experiment),
                    subset=experiment.subset,
                    mirror=experiment.augment.mirror,
                    batch_size=training.batch_size,
                    accumulation=training.accumulation,
                    epochs=training.epochs,
                )
        return None

    def timing(self, name: str) -> TimeSettings:
        """Return what ``timing`` is given: the experiment's first run."""
        experiment = self.experiments[name]
        return TimeSettings(run=self.train(name, self.first_run(name)), timing=experiment.timing)

    def evaluate(self, name: str, run: str) -> EvaluateSettings:
        """Return what ``evaluate`` is given for one run."""
        experiment = self.experiments[name]
        return EvaluateSettings(
            **self._trained_run(name, run),
            huber_delta=experiment.training.huber_delta,
            evaluation=experiment.evaluation,
            uncertainty=self.uncertainty,
        )

    def language(self, name: str, run: str) -> LanguageSettings:
        """Return what ``language`` is given for one run."""
        experiment = self.experiments[name]
        return LanguageSettings(
            **self._trained_run(name, run),
            language=experiment.language,
            uncertainty=self.uncertainty,
        )

    def latency(self, name: str) -> LatencySettings:
        """Return what ``latency`` is given: the experiment's first run."""
        run, latency = self.first_run(name), self.experiments[name].latency
        return LatencySettings(**self._trained_run(name, run), latency=latency)

    def rolled_out(self) -> list[str]:
        """Return the experiments whose world is known: those on simulated datasets."""
        return [
            name
            for name, experiment in self.reported_experiments().items()
            if isinstance(self.datasets[experiment.dataset], SimulatedDataset)
        ]

    def rollout(self, name: str, run: str) -> RolloutSettings:
        """Return what ``rollout`` is given for one run of an experiment on a simulated dataset."""
        experiment = self.experiments[name]
        dataset = self.datasets[experiment.dataset]
        assert isinstance(dataset, SimulatedDataset)  # see `rolled_out`
        return RolloutSettings(
            **self._trained_run(name, run),
            images=dataset.images.settled(),
            world=dataset.simulation.world,
            rollout=experiment.rollout,
            uncertainty=self.uncertainty,
        )

    def compare(self) -> CompareSettings:
        """Return what ``compare`` is given."""
        runs = tuple(ComparedRun(experiment=name, run=run) for name, run in self.runs())
        return CompareSettings(runs=runs, uncertainty=self.uncertainty)

    def tables(self) -> TableSettings:
        """Return what ``tables`` is given."""
        return TableSettings.part_of(self.page())

    def figures(self) -> FigureSettings:
        """Return what ``figures`` is given."""
        return FigureSettings.part_of(self.page())

    def page(self) -> PageSettings:
        """Return what ``page`` is given."""
        reported, rolled_out = self.reported_experiments(), self.rolled_out()
        runs = tuple(
            ReportedRun(
                experiment=name,
                run=run,
                dataset=reported[name].dataset,
                backbone=reported[name].backbone,
                evaluate_on=reported[name].evaluate_on,
                rolled_out=name in rolled_out,
                ablation=reported[name].timing.ablation,
                settings=self._effective(name),
            )
            for name, run in self.runs()
        )
        sweeps = tuple(
            sweep
            for sweep in self.sweeps.values()
            if any(member.experiment in reported for member in sweep.members)
        )
        return PageSettings(
            runs=runs,
            datasets=tuple(self.used_datasets()),
            sweeps=sweeps,
            figures=drawable(runs, sweeps),
            features=tuple(
                StoredFeatures(dataset=dataset, backbone=backbone, cut=cut, key=key)
                for dataset, backbone, cut, key in self.feature_keys(reported)
            ),
            units={
                name: self.datasets[name].units
                for name in self.used_datasets()
                if self.datasets[name].units
            },
            notes={name: one.note for name, one in reported.items() if one.note},
            title=self.report.title,
            print=self.report.print,
            language=self.report.language,
            example=self.report.example,
        )

    def partial_report(self) -> PartialSettings:
        """Return what ``partial_report`` is given."""
        return PartialSettings(report=self.page(), uncertainty=self.uncertainty)

    def _effective(self, name: str) -> dict[str, Any]:
        """Return an experiment's settings without those that change no result of its runs."""
        experiment = self.experiments[name]
        unused = {"note", "timing", "timing_only"} | ({"lora", "full"} - {experiment.finetune})
        return experiment.model_dump(mode="json", exclude=unused)
