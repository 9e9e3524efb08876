"""The whole of config.yaml, and what each stage is given of it."""

from __future__ import annotations

import re
from typing import Any

from mobile_vla.config.audit import (
    AuditedExperiment,
    AuditSettings,
    DataAuditSettings,
    FlagSettings,
)
from mobile_vla.config.backbone import (
    BackboneSettings,
    PretrainedBackbone,
)
from mobile_vla.config.bundle import (
    BundlePrecision,
    BundleSettings,
    CertifySettings,
    QuantiseSettings,
)
from mobile_vla.config.comparison import ComparedRun, CompareSettings
from mobile_vla.config.data import ManifestSettings, MixSettings
from mobile_vla.config.driving import ValidationDrives
from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.config.features import ExtractSettings
from mobile_vla.config.ingest import IngestSettings
from mobile_vla.config.language import LanguageSettings
from mobile_vla.config.latency import LatencySettings
from mobile_vla.config.model import Photometric
from mobile_vla.config.named import Named
from mobile_vla.config.reporting import (
    CardSettings,
    CrateSettings,
    FigureSettings,
    PageSettings,
    PartialSettings,
    ReportedRun,
    StoredFeatures,
    TableSettings,
    drawable,
)
from mobile_vla.config.rollout import RolloutSettings
from mobile_vla.config.split import SplitSettings
from mobile_vla.config.timing import TimeSettings
from mobile_vla.config.training import Matched, TrainSettings
from mobile_vla.config.trials import TrialSettings
from mobile_vla.config.windows import Windows

MOST_RUNS = 10_000
RUN = re.compile(r"seed(\d+)(?:-fold(\d+))?")


class Project(Named):
    """config.yaml, with ``defaults`` already merged into each experiment.

    Its methods return what each stage is given. A stage's settings hold what the stage uses and
    nothing else: whatever is not among them cannot make it run again.
    """

    def ingest(self, dataset: str, episode: str) -> IngestSettings:
        """Return what ``ingest`` is given for one episode."""
        return self.single(dataset).ingest(dataset, episode)

    def manifest(self, dataset: str) -> ManifestSettings:
        """Return what ``manifest`` is given."""
        return ManifestSettings(dataset=dataset, on_error=self.single(dataset).on_error)

    def split(self, dataset: str) -> SplitSettings:
        """Return what ``split`` is given."""
        return SplitSettings(dataset=dataset, split=self.single(dataset).split)

    def mix(self, dataset: str) -> MixSettings:
        """Return what the commands are given that put a mixture together."""
        return MixSettings(dataset=dataset, members=tuple(self.members(dataset)))

    def audit_data(self, dataset: str, left_out: str = "") -> DataAuditSettings:
        """Return what ``audit_data`` is given.

        Args:
            dataset: its name.
            left_out: files that look like episodes and that its pattern does not match.
        """
        return DataAuditSettings(
            dataset=dataset,
            declared=self.single(dataset).declared,
            on_warning=self.single(dataset).on_warning,
            accept=self.single(dataset).accept,
            left_out=left_out,
        )

    def audit(self, dataset: str) -> AuditSettings:
        """Return what ``audit`` is given."""
        return AuditSettings(
            **dict(self.audit_data(dataset)),
            language=self.report.language,
            experiments=tuple(
                AuditedExperiment(
                    name=name,
                    windows=Windows.part_of(one),
                    prompt=self.members(one.dataset)[dataset].prompt or one.prompt,
                )
                for name, one in self.reported_experiments().items()
                if dataset in self.members(one.dataset)
            ),
        )

    def flags(self, dataset: str) -> FlagSettings:
        """Return what ``flags`` is given."""
        return FlagSettings(
            dataset=dataset,
            declared=self.single(dataset).declared,
            accepted=tuple(sorted(self.single(dataset).accept)),
        )

    def backbone(self, name: str) -> BackboneSettings:
        """Return what ``backbone`` is given: of a local checkpoint no place."""
        backbone = self.backbones[name]
        if isinstance(backbone, PretrainedBackbone) and backbone.revision is None:
            backbone = backbone.model_copy(update={"checkpoint": "."})  # its bytes are tracked
        return BackboneSettings(name=name, backbone=backbone)

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
            "policy": self.policy(name),
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
            images=self.single(experiment.dataset).images.settled(),
            weights=self.weights(experiment.dataset),
            photometric=Photometric.part_of(experiment.augment),
            training=experiment.trained(),
            guard=experiment.guard,
            matched=self._matched(name),
            drives=self._drives(name),
        )

    def _drives(self, name: str) -> ValidationDrives | None:
        """Return where validation drives; None where the validation loss selects."""
        experiment = self.experiments[name]
        training, rollout = experiment.training, experiment.rollout
        if training.select_by == "val_loss":
            return None
        return ValidationDrives(
            worlds=self.worlds(experiment.dataset),
            scenes=training.validation_scenes,
            execute=rollout.execute,
            time_limit=rollout.time_limit,
            batch_size=rollout.batch_size,
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
                    weights=self.weights(experiment.dataset),
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

    def export_bundle(self, name: str, run: str) -> BundleSettings:
        """Return what ``export_bundle`` is given for one run."""
        return BundleSettings(**self._trained_run(name, run))

    def quantise_bundle(self, name: str, run: str) -> QuantiseSettings:
        """Return what ``quantise_bundle`` is given for one run."""
        return QuantiseSettings(experiment=name, run=run)

    def certify_bundle(self, name: str, run: str, precision: BundlePrecision) -> CertifySettings:
        """Return what ``certify_bundle`` is given for a bundle of one run."""
        experiment = self.experiments[name]
        return CertifySettings(
            **self._trained_run(name, run),
            bundle=precision,
            latency=experiment.latency,
            worlds=self.worlds(experiment.dataset),
            rollout=experiment.rollout,
            uncertainty=self.uncertainty,
        )

    def rollout(self, name: str, run: str) -> RolloutSettings:
        """Return what ``rollout`` is given for one run of an experiment on a simulated dataset."""
        experiment = self.experiments[name]
        return RolloutSettings(
            **self._trained_run(name, run),
            worlds=self.worlds(experiment.dataset),
            rollout=experiment.rollout,
            uncertainty=self.uncertainty,
        )

    def trial(self, name: str) -> TrialSettings:
        """Return what ``trials`` is given for one trial."""
        return TrialSettings(
            trial=name,
            policies=self.trials[name].policies,
            confidence=self.uncertainty.confidence,
        )

    def compare(self) -> CompareSettings:
        """Return what ``compare`` is given."""
        rolled_out = self.rolled_out()
        runs = tuple(
            ComparedRun(
                experiment=name,
                run=run,
                members=self.mixed(name),
                rolled_out=name in rolled_out,
                driven=self.experiments[name].training.select_by == "rollout",
            )
            for name, run in self.runs()
        )
        return CompareSettings(runs=runs, uncertainty=self.uncertainty)

    def card(self, name: str, run: str) -> CardSettings:
        """Return what ``card`` is given for one run."""
        units = self.single(self.experiments[name].dataset).units
        return CardSettings(experiment=name, run=run, units=units, language=self.report.language)

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
                members=self.mixed(name),
                evaluate_on=reported[name].evaluate_on,
                rolled_out=name in rolled_out,
                driven=reported[name].training.select_by == "rollout",
                bundles=reported[name].bundle.precisions if run == self.first_run(name) else (),
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
            mixtures=tuple(self.mixtures()),
            sweeps=sweeps,
            trials=tuple(self.trials),
            figures=drawable(runs, sweeps, tuple(self.trials)),
            features=tuple(
                StoredFeatures(dataset=dataset, backbone=backbone, cut=cut, key=key)
                for dataset, backbone, cut, key in self.feature_keys(reported)
            ),
            units={
                name: self.single(name).units
                for name in (*self.used_datasets(), *self.mixtures())
                if self.single(name).units
            },
            notes={name: one.note for name, one in reported.items() if one.note},
            title=self.report.title,
            print=self.report.print,
            language=self.report.language,
            example=self.report.example,
        )

    def crate(self, episodes: dict[str, str]) -> CrateSettings:
        """Return what ``crate`` is given: with raw episodes by their names in the crate."""
        return CrateSettings(page=self.page(), episodes=episodes)

    def partial_report(self) -> PartialSettings:
        """Return what ``partial_report`` is given."""
        return PartialSettings(report=self.page(), uncertainty=self.uncertainty)

    def _effective(self, name: str) -> dict[str, Any]:
        """Return an experiment's settings without those that change no result of its runs."""
        experiment = self.experiments[name]
        unused: dict[str, Any] = dict.fromkeys(("note", "timing", "timing_only", "bundle"), True)
        unused |= dict.fromkeys({"lora", "full"} - {experiment.finetune}, True)
        if experiment.training.select_by == "val_loss":
            unused["training"] = {"validation_scenes"}
        return experiment.model_dump(mode="json", exclude=unused)
