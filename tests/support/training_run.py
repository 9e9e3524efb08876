"""The inputs of one small training run, and the run in a forked child that can be killed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mobile_vla.config.features import ExtractSettings, FeatureKey, Features
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.split import Holdout, SplitSettings
from mobile_vla.config.training import Training, TrainSettings
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.data.split import split
from mobile_vla.features.features import FeatureInputs, features
from mobile_vla.layout import FeatureFiles, SplitFiles, TrainingFiles
from mobile_vla.model.result import FrameFormat, PolicyMetrics, PolicyOrigin, StoredGuard, TrainedOn
from mobile_vla.runs.data import PolicyInputs, TrainingInputs
from mobile_vla.training.train import train
from support.synthetic_datasets import make_dataset, names
from support.tiny import SIZE, make_backbone

OUTPUTS = ("policy/policy.json", "last/policy.json", "metrics.csv", "training_results.json")


@dataclass(frozen=True)
class Inputs:
    """The files that a run reads."""

    manifest: Path
    split: Path
    backbone: Path
    features: list[Path]

    @classmethod
    def make(
        cls, folder: Path, episodes: Sequence[str] = tuple(names(6)), dropout: float = 0.1
    ) -> Inputs:
        """Write a dataset of six episodes, its split, a tiny backbone and its features."""
        data = folder / "dataset"
        make_dataset(data, dict(zip(episodes, (9, 8, 10, 9, 8, 9), strict=True)), frames=True)
        inputs = cls(
            manifest=data / "manifest.json",
            split=data / "split.json",
            backbone=make_backbone(folder / "backbone", text={**SIZE["text"], "dropout": dropout}),
            features=[folder / "features/image_embeds.json"],
        )
        shares = Holdout(train=0.5, val=0.25, test=0.25, stratify_by=())
        split(
            SplitSettings(dataset="made", split=shares),
            SplitFiles(inputs.split),
            manifest=inputs.manifest,
        )
        key = FeatureKey(cut="image_embeds", precision="fp32", prompt=None)
        inputs.store(key, *inputs.features)
        return inputs

    def store(self, key: FeatureKey, description: Path) -> None:
        """Store features of the dataset."""
        features(
            ExtractSettings(dataset="made", backbone="tiny", key=key, compute=Features()),
            FeatureInputs(
                manifest=self.manifest,
                actions=self.manifest.with_name("actions.npy"),
                backbone=self.backbone,
            ),
            FeatureFiles(description.with_suffix(".npy"), description),
            threads=1,
        )

    def of_run(self, **changes: Any) -> TrainingInputs:
        """Return what a run reads; with ``features=[]`` frames."""
        return TrainingInputs(**{**self._files(), **changes})

    def of_policy(self, policy: Path, **changes: Any) -> PolicyInputs:
        """Return what a test of a policy reads."""
        return PolicyInputs(policy=policy, **{**self._files(), **changes})

    def _files(self) -> dict[str, Any]:
        return {**vars(self), "actions": self.manifest.with_name("actions.npy")}


def settings_of(**training: Any) -> TrainSettings:
    """Return the settings of a run with dropout, accumulation and ragged batches."""
    values = {
        "epochs": 4,
        "batch_size": 3,
        "accumulation": 2,
        "learning_rate": 1e-2,
        "warmup": 0.1,
        "precision": "fp32",
    }
    return TrainSettings(
        experiment="lora",
        run="seed0",
        seed=0,
        windows=Windows(window=2, chunk=3, tail="mask"),
        policy=PolicySettings(
            window=2,
            chunk=3,
            finetune="lora",
            lora=Lora(r=2, dropout=0.2),
            full=None,
            head=Lstm(hidden_size=4, dropout=0.1, mlp=(4,)),
            prompt=Prompt(template="pass on the {side}"),
            actions=Actions(),
        ),
        training=Training(**{**values, **training}),
    )


def origin_of(**changes: Any) -> PolicyOrigin:
    """Return the origin of a policy that no run has trained."""
    origin = PolicyOrigin(
        experiment="made",
        run="seed0",
        epoch=3,
        step=12,
        metrics=PolicyMetrics(train_loss=0.2, val_loss=0.3, val_mae={}, clipped=0.0),
        images=FrameFormat(
            resize="squeeze", color="rgb", size=224, mean=[0.5, 0.5, 0.5], std=[0.3, 0.3, 0.3]
        ),
        windows=Windows(window=3, chunk=2),
        data=TrainedOn(dataset="made", manifest="0" * 64, split="0" * 64, fold=0, subset=None),
        precision="fp32",
        threads=1,
        guard=StoredGuard(
            beyond="clamp",
            jump="clamp",
            lowest=dict.fromkeys(ACTION_COLUMNS, -100.0),
            highest=dict.fromkeys(ACTION_COLUMNS, 100.0),
            change=dict.fromkeys(ACTION_COLUMNS, 200.0),
        ),
    )
    return origin.model_copy(update=changes)


def run(
    inputs: Inputs, folder: Path, settings: TrainSettings, save_every: int = 2, **changes: Any
) -> None:
    """Train in this process; ``changes`` are of what the run reads."""
    torch.set_num_threads(1)
    outputs = TrainingFiles(*(folder / name for name in OUTPUTS))
    train(settings, inputs.of_run(**changes), outputs, threads=1, save_every=save_every)


def in_child(work: Callable[[], None]) -> int:
    """Run something in a forked child; return its exit code, negative for a signal.

    A fork starts at once, where a fresh interpreter takes seconds to import torch.
    """
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(timeout=120)
    assert child.exitcode is not None, "the child hangs"
    return child.exitcode


def results_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all that a run leaves and that must not depend on times."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and file.name not in ("training_results.json", "lock")
        and "tensorboard" not in file.parts
    }
