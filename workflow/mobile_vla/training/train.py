"""Train one run of an experiment."""

from __future__ import annotations

import logging
import shutil
from contextlib import nullcontext
from pathlib import Path

from mobile_vla.config.training import TrainSettings
from mobile_vla.errors import Interrupted
from mobile_vla.files import digest_of, read_json, sha256_of
from mobile_vla.layout import TrainingFiles
from mobile_vla.machine import default_device, use_threads
from mobile_vla.model.adapter import trainable_parameters
from mobile_vla.progress import Progress, duration
from mobile_vla.provenance.code import code_of, versions
from mobile_vla.runs.data import RunData, open_run
from mobile_vla.runs.inputs import TrainingInputs
from mobile_vla.runs.policy import build_policy
from mobile_vla.training.card import model_card, origin_of
from mobile_vla.training.events import Events
from mobile_vla.training.history import best_of, exhausted
from mobile_vla.training.interruption import StopSignal, stop_signal
from mobile_vla.training.loop import Position, run_epochs
from mobile_vla.training.matching import steps_of
from mobile_vla.training.memory import check_memory
from mobile_vla.training.result import Epoch, write_metrics
from mobile_vla.training.state import RunState
from mobile_vla.training.summary import summary_of
from mobile_vla.training.trainer import Trainer
from mobile_vla.training.worst_case import worst_case

log = logging.getLogger(__name__)

SAVE_EVERY = 100  # optimiser steps between states, besides one at each epoch's end


def train(
    settings: TrainSettings,
    inputs: TrainingInputs,
    outputs: TrainingFiles,
    *,
    threads: int,
    memory_limit_gb: float | None = None,
    save_every: int = SAVE_EVERY,
) -> None:
    """Fine-tune a backbone and a head, and keep the best and the last policy.

    With several processes each calls this with the same arguments, and the main one writes.

    Args:
        settings: the run.
        inputs: its data, and the policy to start from.
        outputs: the files to write. The best policy is that of the epoch with the lowest validation
            loss.
        threads: cores that the job was given.
        memory_limit_gb: 10⁹ bytes that a step may take; more is refused at once.
        save_every: optimiser steps between states that a killed run goes on from.

    Raises:
        UserError: a mistake in settings or data, or a step that would take too much memory.
        Interrupted: SIGTERM or SIGINT came; the state is saved, and the same call goes on.
    """
    use_threads(settings.training.threads, threads, "training.threads")
    data = open_run(settings, inputs, settings.training.precision, settings.photometric)
    steps = steps_of(settings.matched, data.dataset, inputs.split, settings.fold)
    if memory_limit_gb is not None:
        check_memory(
            data.backbone.config(),
            settings.policy,
            worst_case(settings, data, steps),
            default_device().type,
            memory_limit_gb,
        )
    trainer = Trainer(
        build_policy(settings.policy, settings.seed, data, inputs.init_from),
        settings.training,
        data.samples["train"],
        settings.seed,
        data.precision,
        steps,
    )
    folder = outputs.policy.parents[1]
    state = RunState(folder / ".work", _fingerprint(settings, data, trainer, inputs))
    with state.locked() if trainer.is_main else nullcontext(), stop_signal() as stop:
        run = _Run(settings, trainer, data, state, stop, folder, save_every)
        run.train()
        if not trainer.is_main:
            return
        run.save_policy(outputs.last.parent, run.history[-1])
        assert run.best is not None  # the first epoch is the best so far
        trainer.policy.load_trained(state.load_best(run.best))
        best = best_of(run.history)
        run.save_policy(outputs.policy.parent, best)
        write_metrics(outputs.metrics, run.history)
        summary = summary_of(settings, trainer, data, run.position, outputs.policy.parent)
        summary.write(outputs.results)
        state.discard()
    log.info(
        "%s: best epoch %d with validation loss %.4f; trained for %s",
        run.title,
        best.epoch,
        best.val_loss,
        duration(summary.total_time),
    )


def _fingerprint(
    settings: TrainSettings, data: RunData, trainer: Trainer, inputs: TrainingInputs
) -> str:
    """Return a digest of all that a run's result depends on.

    The number of processes is not in it: a run goes on with another one.
    """
    packages = ("torch", "transformers", "peft", "accelerate", "numpy")
    return digest_of(
        {
            "settings": settings.model_dump(mode="json", exclude={"training": {"processes"}}),
            "code": code_of(__name__),
            "versions": versions(packages),
            "data": data.trained_on.model_dump(),
            "backbone": data.backbone.digest,
            "features": [
                None if path is None else read_json(path)
                for path in (inputs.features, inputs.mirrored)
            ],
            "init_from": None if inputs.init_from is None else sha256_of(inputs.init_from),
            "precision": data.precision,
            "device": trainer.accelerator.device.type,
        },
        digits=16,
    )


def _restored(trainer: Trainer, state: RunState) -> tuple[Position, Path | None]:
    """Load the last state that is whole; the main process decides which."""
    position, best = state.restore(trainer) if trainer.is_main else (Position(), None)
    step = trainer.max_over_processes(position.step)
    if step and not trainer.is_main:
        position, best = state.restore_at(step, trainer)
    return position, best


class _Run:
    """A run under way: saves its state, keeps its best policy, and writes its events.

    Of several processes the main one does so; the others continue from the same state.
    """

    def __init__(
        self,
        settings: TrainSettings,
        trainer: Trainer,
        data: RunData,
        state: RunState,
        stop: StopSignal,
        folder: Path,
        save_every: int,
    ):
        self.settings, self.trainer, self.data = settings, trainer, data
        self.state, self.stop, self.save_every = state, stop, save_every
        self.title = settings.title
        self.position, self.best = _restored(trainer, state)
        self.snapshots = folder / "snapshots"
        if not self.position.step and trainer.is_main:
            shutil.rmtree(self.snapshots, ignore_errors=True)
        # with `None` nothing is written
        events = folder / "tensorboard" if trainer.is_main else None
        self.events = Events(events, self.position.step)
        windows = len(data.samples["train"])
        self.progress = Progress(
            self.title,
            windows * trainer.total_steps // trainer.steps_per_epoch,
            "windows",
            done=windows * self.position.step // trainer.steps_per_epoch,
        )

    @property
    def history(self) -> list[Epoch]:
        """The epochs that are done."""
        return self.position.history

    def train(self) -> None:
        """Train to the end."""
        if self.position.step:
            log.info("%s: goes on after step %d", self.title, self.position.step)
        log.info(
            "%s: %d training windows, %d validation windows, %d steps, trained: %s",
            self.title,
            len(self.data.samples["train"]),
            len(self.data.samples["val"]),
            self.trainer.total_steps,
            ", ".join(
                f"{part} {count:,}"
                for part, count in trainable_parameters(self.trainer.policy).items()
            ),
        )
        try:
            if not self._stopped_early():
                run_epochs(
                    self.trainer,
                    self.data.samples["val"],
                    self.position,
                    self._after_step,
                    self._after_epoch,
                )
        finally:
            self.progress.close()
            self.events.close()

    def _after_step(self, windows: int, loss: float) -> None:
        self.progress.update(windows, f"loss {loss:.4f}")
        signal = self.trainer.max_over_processes(self.stop.number or 0)
        # The epoch's end saves too, after its validation.
        if signal or self.position.step % self.save_every == 0:
            self._save()
        if signal:
            raise Interrupted(
                f"{self.title}: stopped on request after step {self.position.step} of "
                f"{self.trainer.total_steps}; the state is saved, and `snakemake "
                "--rerun-incomplete` with the same target goes on from there",
                signal,
            )

    def _after_epoch(self, epoch: Epoch) -> bool:
        """Log and save an epoch; return True when training should stop."""
        seconds = self.position.epoch_seconds[-1]
        self.events.add(epoch, seconds)
        log.info(
            "epoch %d: train loss %.4f, validation loss %.4f, %s",
            epoch.epoch,
            epoch.train_loss,
            epoch.val_loss,
            duration(seconds),
        )
        policy = self.trainer.policy
        if best_of(self.history) is epoch and self.trainer.is_main:
            self.best = self.state.save_best(policy.trained(), epoch.step)
        every = self.settings.training.keep_every
        if every is not None and (epoch.epoch + 1) % every == 0 and self.trainer.is_main:
            self.save_policy(self.snapshots / f"epoch{epoch.epoch:04d}", epoch)
        self._save()
        return self._stopped_early()

    def _save(self) -> None:
        if self.trainer.is_main:
            self.state.save(self.trainer, self.position, self.best)

    def _stopped_early(self) -> bool:
        stopping = self.settings.training.early_stopping
        return stopping is not None and exhausted(self.history, stopping)

    def save_policy(self, folder: Path, epoch: Epoch) -> None:
        """Write the folder of the policy as it is now, after an epoch."""
        policy, data = self.trainer.policy, self.data
        origin = origin_of(self.settings, data, epoch, policy)
        card = model_card(self.settings, data, self.history[0], epoch, policy)
        policy.save_pretrained(folder, data.backbone, origin, card)
