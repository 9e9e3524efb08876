"""Train one run of an experiment."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from mobile_vla.config.training import EarlyStopping, TrainSettings
from mobile_vla.files import write_json
from mobile_vla.machine import use_threads
from mobile_vla.model.adapter import part_of, trainable_parameters
from mobile_vla.progress import Progress, duration
from mobile_vla.training.history import Events, write_metrics
from mobile_vla.training.loop import Epoch, Trainer, run_epochs
from mobile_vla.training.run import (
    RunData,
    build_policy,
    load_data,
)

log = logging.getLogger(__name__)


def train(
    settings: TrainSettings,
    *,
    manifest: Path,
    actions: Path,
    split: Path,
    backbone: Path,
    features: Path | None = None,
    init_from: Path | None = None,
    threads: int,
    policy: Path,
    last: Path,
    metrics: Path,
    results: Path,
) -> None:
    """Fine-tune a backbone and a head, and keep the best and the last policy.

    Args:
        settings: the run.
        manifest: the dataset's ``manifest.json``.
        actions: the dataset's ``actions.npy``.
        split: the dataset's ``split.json``.
        backbone: the ``backbone.json``.
        features: the JSON of the features that the run reads; none at the cut
            ``pixels``, where it reads the frames.
        init_from: the ``policy.json`` to start from.
        threads: cores that the job was given.
        policy: ``policy.json`` of the epoch with the lowest validation loss.
        last: ``policy.json`` of the last epoch.
        metrics: ``metrics.csv``.
        results: ``training_results.json``.
    """
    use_threads(settings.training.threads, threads, "training.threads")
    data = load_data(
        settings.policy,
        settings.windows,
        settings.training.precision,
        manifest=manifest,
        actions=actions,
        split=split,
        backbone=backbone,
        features=features,
    )
    trainer = Trainer(
        build_policy(settings.policy, settings.seed, data, init_from),
        settings.training,
        data.samples["train"],
        settings.seed,
        data.precision,
    )
    keeper = _Keeper(settings, trainer, data, policy, last)
    windows = len(data.samples["train"])
    title = f"{settings.experiment} {settings.run}"
    log.info(
        "%s: %d training windows, %d validation windows, %d steps, trained: %s",
        title,
        windows,
        len(data.samples["val"]),
        trainer.total_steps,
        ", ".join(f"{k} {v:,}" for k, v in trainable_parameters(trainer.policy).items()),
    )
    progress = Progress(title, windows * settings.training.epochs, "windows")
    try:
        run_epochs(
            trainer,
            data.samples["val"],
            on_step=lambda count, loss: progress.update(count, f"loss {loss:.4f}"),
            on_epoch=keeper.keep,
        )
    finally:
        progress.close()
        keeper.events.close()
    keeper.finish()
    write_metrics(metrics, keeper.history)
    write_json(results, keeper.results())
    best = keeper.best
    log.info(
        "%s: best epoch %d with validation loss %.4f; %s in all",
        title,
        best.epoch,
        best.validation.loss,
        duration(sum(epoch.seconds for epoch in keeper.history)),
    )


class _Keeper:
    """Keeps the history of a run, its best and last policy, and snapshots where asked for."""

    def __init__(
        self,
        settings: TrainSettings,
        trainer: Trainer,
        data: RunData,
        policy: Path,
        last: Path,
    ):
        self.settings, self.trainer, self.data = settings, trainer, data
        self.policy, self.last = policy, last
        run = policy.parents[1]
        self.snapshots = run / "snapshots"
        shutil.rmtree(self.snapshots, ignore_errors=True)
        self.events = Events(run / "tensorboard")
        self.history: list[Epoch] = []

    @property
    def best(self) -> Epoch:
        """The epoch with the lowest validation loss, the earliest of equals."""
        return min(self.history, key=lambda epoch: epoch.validation.loss)

    def keep(self, epoch: Epoch) -> bool:
        """Take note of an epoch; return True when training should stop."""
        self.history.append(epoch)
        self.events.add(epoch)
        log.info(
            "epoch %d: train loss %.4f, validation loss %.4f, %s",
            epoch.epoch,
            epoch.train_loss,
            epoch.validation.loss,
            duration(epoch.seconds),
        )
        if self.best is epoch:
            self._save(self.policy.parent, epoch)
        every = self.settings.training.keep_every
        if every is not None and (epoch.epoch + 1) % every == 0:
            self._save(self.snapshots / f"epoch{epoch.epoch:04d}", epoch)
        stopping = self.settings.training.early_stopping
        return stopping is not None and _exhausted(self.history, stopping)

    def finish(self) -> None:
        """Write the policy of the last epoch."""
        self._save(self.last.parent, self.history[-1])

    def _save(self, folder: Path, epoch: Epoch) -> None:
        facts = {
            "experiment": self.settings.experiment,
            "run": self.settings.run,
            "epoch": epoch.epoch,
            "step": epoch.step,
            "val_loss": epoch.validation.loss,
            "windows": self.settings.windows.model_dump(mode="json"),
            "data": self.data.identity,
            "precision": self.trainer.precision,
        }
        self.trainer.policy.save_pretrained(folder, self.data.backbone, facts)

    def results(self) -> dict[str, Any]:
        """Return the content of ``training_results.json``."""
        history, policy = self.history, self.trainer.policy
        seconds = [epoch.seconds for epoch in history]
        trainable = trainable_parameters(policy)
        device = self.trainer.accelerator.device
        return {
            "experiment": self.settings.experiment,
            "run": self.settings.run,
            "seed": self.settings.seed,
            "dataset": self.data.dataset.name,
            "backbone": self.data.backbone.name,
            "epochs": len(history),
            "steps": history[-1].step,
            "best_epoch": self.best.epoch,
            "best_val_loss": self.best.validation.loss,
            "initial_val_loss": history[0].validation.loss,
            "final_val_loss": history[-1].validation.loss,
            "stopped_early": len(history) < self.settings.training.epochs,
            "avg_epoch_time": sum(seconds) / len(seconds),
            "epoch_times": seconds,
            "total_time": sum(seconds),
            "parameters": {
                "backbone_total": sum(
                    parameter.numel()
                    for name, parameter in policy.encoder.backbone.named_parameters()
                    if part_of(name) != "adapter"
                ),
                "trainable": trainable,
                "trainable_total": sum(trainable.values()),
            },
            "policy_bytes": sum(file.stat().st_size for file in self.policy.parent.iterdir()),
            "device": device.type,
            "precision": self.trainer.precision,
            "threads": self.settings.training.threads,
            "cut": self.settings.policy.cut,
            "windows": {role: len(samples) for role, samples in self.data.samples.items()},
            "episodes": {role: len(members) for role, members in self.data.roles.items()},
            "frames": {
                role: int(self.data.dataset.lengths[list(members)].sum())
                for role, members in self.data.roles.items()
            },
        }


def _exhausted(history: list[Epoch], stopping: EarlyStopping) -> bool:
    """Whether the last ``patience`` epochs brought no improvement over those before."""
    losses = [epoch.validation.loss for epoch in history]
    if len(losses) <= stopping.patience:
        return False
    before, recent = losses[: -stopping.patience], losses[-stopping.patience :]
    return min(recent) >= min(before) - stopping.min_delta
