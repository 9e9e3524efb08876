"""What config.yaml names: datasets, backbones and experiments, and what they are to each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from mobile_vla.config.backbone import Backbone, PretrainedBackbone, RandomBackbone
from mobile_vla.config.base import Positive, Settings
from mobile_vla.config.driving import DatasetWorld
from mobile_vla.config.entries import (
    Dataset,
    Experiment,
    LerobotDataset,
    MixedDataset,
    MixtureDataset,
    RecordedDataset,
    SimulatedDataset,
    SingleDataset,
)
from mobile_vla.config.features import AFTER_PROMPT, VIEWS, FeatureKey, Features, View
from mobile_vla.config.model import PolicySettings
from mobile_vla.config.reporting import Report, Sweep
from mobile_vla.config.simulator import SimulateSettings, simulated_episodes
from mobile_vla.config.trials import TrialDesign
from mobile_vla.config.uncertainty import Uncertainty

LONGEST_NAME = 200  # a file's name has at most 255 bytes
TOGETHER = "+"
"""Joins the names of a mixture that an experiment lists: no name in config.yaml has it."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=LONGEST_NAME)]
DatasetName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=LONGEST_NAME)
]

ALONE = MixedDataset()


class Named(Settings):
    """The entries of config.yaml, with ``defaults`` already merged into each experiment."""

    datasets: Annotated[dict[DatasetName, Dataset], Field(min_length=1)]
    """Named sets of episodes."""
    backbones: Annotated[dict[Name, Backbone], Field(min_length=1)]
    """Named vision-language models."""
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)]
    """Named ways of training a policy."""
    sweeps: dict[str, Sweep] = Field(default_factory=dict)
    """What experiments with a sweep became; not written, but made of them."""
    trials: dict[Name, TrialDesign] = Field(default_factory=dict)
    """Blind trials on the robot, by name: docs/trials.md."""
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

    def members(self, dataset: str) -> dict[str, MixedDataset]:
        """Return the datasets that are trained on together, by name: of no mixture it alone."""
        settings = self.datasets[dataset]
        return settings.datasets if isinstance(settings, MixtureDataset) else {dataset: ALONE}

    def single(self, dataset: str) -> SingleDataset:
        """Return a dataset's settings, of a mixture those of its first dataset.

        What is read of these is the same in all of them: see `config/mixtures.py`.
        """
        settings = self.datasets[next(iter(self.members(dataset)))]
        assert not isinstance(settings, MixtureDataset)  # refused when config.yaml is read
        return settings

    def is_mixture(self, dataset: str) -> bool:
        """Whether a dataset is a mixture."""
        return isinstance(self.datasets[dataset], MixtureDataset)

    def mixtures(self) -> list[str]:
        """Return the mixtures that the report needs, in the order of config.yaml."""
        used = {one.dataset for one in self.reported_experiments().values()}
        return [name for name in self.datasets if name in used and self.is_mixture(name)]

    def mixed(self, name: str) -> tuple[str, ...]:
        """Return the datasets of an experiment's mixture; none where its dataset is no mixture."""
        dataset = self.experiments[name].dataset
        return tuple(self.members(dataset)) if self.is_mixture(dataset) else ()

    def runs_of(self, name: str) -> list[str]:
        """Return an experiment's runs: ``seed0``, or with several folds ``seed0-fold2``."""
        experiment = self.experiments[name]
        folds = self.single(experiment.dataset).split.count
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
        """Return the datasets that the report needs, in the order of config.yaml.

        In the place of a mixture stand its datasets.
        """
        reported = self.reported_experiments().values()
        used = {name for one in reported for name in (*self.members(one.dataset), *one.evaluate_on)}
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

    def dataset_folder(self, dataset: str) -> str | None:
        """Return the folder of a dataset as it is written; None for one that is made here.

        It is among no settings, since no result depends on it.
        """
        settings = self.datasets[dataset]
        return settings.path if isinstance(settings, RecordedDataset | LerobotDataset) else None

    def checkpoint_folder(self, name: str) -> str | None:
        """Return the folder of a local checkpoint, likewise; None for another backbone."""
        backbone = self.backbones[name]
        if isinstance(backbone, PretrainedBackbone) and backbone.revision is None:
            return backbone.checkpoint
        return None

    def feature_key(
        self, name: str, view: View = "plain", dataset: str | None = None
    ) -> FeatureKey:
        """Return what the features that an experiment reads of a view depend on.

        Args:
            name: the experiment's.
            view: of the frames.
            dataset: that they are of; of a mixture's datasets some have prompts of their own.
        """
        experiment, policy = self.experiments[name], self.policy(name)
        return FeatureKey(
            cut=policy.cut,
            view=view,
            precision=experiment.training.precision,
            prompt=policy.prompt_of(dataset or "") if policy.cut in AFTER_PROMPT else None,
            layers=policy.adapted_layers,
        )

    def policy(self, name: str) -> PolicySettings:
        """Return what shapes an experiment's policies."""
        experiment = self.experiments[name]
        own = self.members(experiment.dataset)
        return experiment.policy(self.single(experiment.dataset).actions, own)

    def feature_keys(
        self, experiments: Iterable[str] | None = None
    ) -> dict[tuple[str, str, str, str], FeatureKey]:
        """Return features of experiments, or of all, by (dataset, backbone, cut, key).

        At the cut ``pixels`` the frames themselves are read, and nothing is stored.
        """
        found: dict[tuple[str, str, str, str], FeatureKey] = {}
        for name in self.experiments if experiments is None else experiments:
            experiment = self.experiments[name]
            own = tuple(self.members(experiment.dataset))
            datasets = {
                "plain": (*own, *experiment.evaluate_on),
                "mirrored": own if experiment.augment.mirror else (),
            }
            for view in VIEWS:
                for dataset in datasets[view]:
                    key = self.feature_key(name, view, dataset)
                    if key.cut == "pixels":
                        continue
                    found[dataset, experiment.backbone, key.cut, key.key] = key
        return found

    def weights(self, dataset: str) -> dict[str, float]:
        """Return the weights of a mixture's datasets; of another dataset none."""
        members = self.members(dataset).items() if self.is_mixture(dataset) else ()
        return {name: member.weight for name, member in members}

    def worlds(self, dataset: str) -> tuple[DatasetWorld, ...]:
        """Return the worlds that are known of a dataset: of a mixture those of its datasets."""
        members = {name: self.datasets[name] for name in self.members(dataset)}
        return tuple(
            DatasetWorld(dataset=name, images=one.images.settled(), world=one.simulation.world)
            for name, one in members.items()
            if isinstance(one, SimulatedDataset)
        )

    def rolled_out(self) -> list[str]:
        """Return the experiments of which a world is known: those on simulated datasets."""
        reported = self.reported_experiments().items()
        return [name for name, experiment in reported if self.worlds(experiment.dataset)]
