"""Train one run of an experiment."""

from __future__ import annotations

import logging
import shutil
import signal
from contextlib import nullcontext
from pathlib import Path
from types import FrameType

from mobile_vla.config.training import TrainSettings
from mobile_vla.errors import AGAIN, Interrupted, UserError
from mobile_vla.files import digest_of, read_json, sha256_of
from mobile_vla.layout import TrainingFiles
from mobile_vla.machine import use_threads
from mobile_vla.model.adapter import trainable_parameters
from mobile_vla.progress import Progress, duration
from mobile_vla.provenance.code import chosen_modules, code_of, versions
from mobile_vla.provenance.packages import TRAINING
from mobile_vla.ranks import processes
from mobile_vla.runs.data import RunData, TrainingInputs, open_run
from mobile_vla.training.batches import steps_of
from mobile_vla.training.description import origin_of, summary_of
from mobile_vla.training.drives import drives_of
from mobile_vla.training.events import Events
from mobile_vla.training.loop import Position, best_of, exhausted, run_epochs
from mobile_vla.training.memory import check_run
from mobile_vla.training.result import Epoch, write_metrics
from mobile_vla.training.state import RunState
from mobile_vla.training.trainer import Trainer, build_trainer

log = logging.getLogger(__name__)

SAVE_EVERY = 100  # optimiser steps between states, besides one at each epoch's end


class StopSignal:
    """Store SIGINT and SIGTERM while the block runs, instead of ending at once."""

    number: int | None = None

    def __enter__(self) -> StopSignal:
        signals = (signal.SIGINT, signal.SIGTERM)
        self.before = {number: signal.signal(number, self._receive) for number in signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        # A second Ctrl-C does not wait for the step's end. Several processes receive the first one
        # twice, from the terminal and from torchrun.
        if self.number == signal.SIGINT == number and processes() == 1:
            raise KeyboardInterrupt
        self.number = number


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

    The best is that of the epoch with the lowest validation loss, of those with an update; with
    ``select_by: rollout`` that of the epoch with the most successes, of equal ones the lower loss.
    With several processes each calls this with the same arguments, and the main one writes.

    Args:
        memory_limit_gb: 10⁹ bytes that a step may take; more is refused at once.
        save_every: optimiser steps between states that a killed run goes on from.

    Raises:
        UserError: a mistake in settings or data, a step that would take too much memory, or no step
            that updated the policy.
        Interrupted: SIGTERM or SIGINT came; the state is saved, and the same call goes on.
    """
    use_threads(settings.training.threads, threads, "training.threads")
    precision, weights = settings.training.precision, settings.weights
    data = open_run(settings, inputs, precision, settings.photometric, weights)
    steps = steps_of(settings.matched, data.dataset, inputs.split, settings.fold)
    if memory_limit_gb is not None:
        check_run(settings, data, steps, memory_limit_gb)
    trainer = build_trainer(settings, data, steps, inputs.init_from)
    folder = outputs.policy.parents[1]
    state = RunState(folder / ".work", _fingerprint(settings, data, trainer, inputs))
    with state.locked() if trainer.is_main else nullcontext(), StopSignal() as stop:
        run = _Run(settings, trainer, data, state, stop, folder, save_every)
        run.train()
        if not trainer.is_main:
            return
        run.save_policy(outputs.last.parent, run.history[-1])
        best = best_of(run.history)
        assert best is not None and run.best is not None  # of the epochs with an update
        trainer.policy.load_trained(state.load_best(run.best))
        run.save_policy(outputs.policy.parent, best)
        write_metrics(outputs.metrics, run.history)
        summary = summary_of(settings, trainer, data, run.position, outputs.policy.parent)
        summary.write(outputs.results)
        shutil.rmtree(state.folder, ignore_errors=True)
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
    plain = settings.model_dump(mode="json", exclude={"training": {"processes"}})
    return digest_of(
        {
            "settings": plain,
            "code": code_of(__name__, *chosen_modules(plain)),
            "versions": versions(TRAINING),
            "data": data.trained_on.model_dump(),
            "backbone": data.backbone.digest,
            "features": [read_json(path) for path in (*inputs.features, *inputs.mirrored)],
            "init_from": inputs.init_from and sha256_of(inputs.init_from),
            "precision": data.precision,
            "device": trainer.accelerator.device.type,
        },
        digits=16,
    )


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
        self.drive = drives_of(settings, trainer, data)
        # the main process decides which state is whole
        position, self.best = state.restore(trainer) if trainer.is_main else (Position(), None)
        saved = trainer.max_over_processes(position.step)
        if saved and not trainer.is_main:
            position, self.best = state.restore_at(saved, trainer)
        self.position, self.history = position, position.history
        self.snapshots = folder / "snapshots"
        self.events: Events | None = None
        if trainer.is_main:
            events, step = folder / "tensorboard", self.position.step
            if not step:
                shutil.rmtree(self.snapshots, ignore_errors=True)
                shutil.rmtree(events, ignore_errors=True)
            self.events = Events(events, step)
        windows = data.samples["train"].table.drawn_windows
        self.progress = Progress(
            self.title,
            windows * trainer.total_steps // trainer.steps_per_epoch,
            "windows",
            done=windows * self.position.step // trainer.steps_per_epoch,
        )

    def train(self) -> None:
        """Train to the end.

        Raises:
            UserError: no step updated the policy.
        """
        if self.position.step:
            log.info("%s: goes on after step %d", self.title, self.position.step)
        trained = trainable_parameters(self.trainer.policy)
        log.info(
            "%s: %d training windows an epoch, %d validation windows, %d steps, trained: %s",
            self.title,
            self.data.samples["train"].table.drawn_windows,
            len(self.data.samples["val"]),
            self.trainer.total_steps,
            ", ".join(f"{part} {count:,}" for part, count in trained.items()),
        )
        try:
            if not self._stopped_early():
                run_epochs(
                    self.trainer,
                    self.data.samples["val"],
                    self.position,
                    self._after_step,
                    self._after_epoch,
                    self.drive,
                )
        finally:
            self.progress.close()
            if self.events is not None:
                self.events.close()
        best = best_of(self.history)
        if best is None:
            raise UserError(
                f"{self.title}: the loss scaler skipped all {self.position.step} steps, because "
                f"their gradients are infinite or NaN in {self.trainer.precision}: nothing was "
                "trained, and no policy is written. Use precision bf16 or fp32, or train for more "
                "steps: the scaler begins with a large scale, and halves it at each step that it "
                "skips"
            )
        if self.events is not None:
            self.events.add_hyperparameters(self.settings, best)

    def _after_step(self, windows: int, loss: float) -> None:
        self.progress.update(windows, f"loss {loss:.4f}")
        if self.events is not None:
            rate = self.trainer.learning_rate(self.position.step - 1)
            self.events.add_step(self.position, loss, rate)
        number = self.trainer.max_over_processes(self.stop.number or 0)
        # The epoch's end saves too, after its validation.
        if number or self.position.step % self.save_every == 0:
            self._save()
        if number:
            raise Interrupted(
                f"{self.title}: stopped on request after step {self.position.step} of "
                f"{self.trainer.total_steps}; the state is saved: {AGAIN}, and it goes on "
                "from there",
                number,
            )

    def _after_epoch(self, epoch: Epoch) -> bool:
        """Log and save an epoch; return True when training should stop."""
        seconds = self.position.epoch_seconds[-1]
        if self.events is not None:
            self.events.add_epoch(epoch, seconds)
        log.info(
            "epoch %d: train loss %.4f, validation loss %.4f, %s%s%s",
            epoch.epoch,
            epoch.train_loss,
            epoch.val_loss,
            "" if epoch.val_success is None else f"{epoch.val_success:.0%} of the drives succeed, ",
            duration(seconds),
            f", {epoch.skipped} steps skipped by the loss scaler" if epoch.skipped else "",
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
        if self.events is not None:
            self.events.flush()
        if self.trainer.is_main:
            self.state.save(self.trainer, self.position, self.best)

    def _stopped_early(self) -> bool:
        stopping = self.settings.training.early_stopping
        return stopping is not None and exhausted(self.history, stopping)

    def save_policy(self, folder: Path, epoch: Epoch) -> None:
        """Write the folder of the policy as it is now, after an epoch."""
        policy, data = self.trainer.policy, self.data
        origin = origin_of(self.settings, data, epoch, policy)
        policy.save_pretrained(folder, data.backbone, origin)
