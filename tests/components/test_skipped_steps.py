"""Steps that the loss scaler skips are counted, never the best, and end a run without others."""

import csv
import math
from dataclasses import replace

import pytest
import torch

from mobile_vla.config.training import EarlyStopping
from mobile_vla.errors import UserError
from mobile_vla.layout import TrainingFiles
from mobile_vla.training.loop import best_of, exhausted, updated
from mobile_vla.training.result import TrainingResult, read_metrics
from mobile_vla.training.trainer import SKIPPED_IN_A_ROW, Trainer
from support.training_results import epoch_of
from support.training_run import OUTPUTS, Inputs, results_of, run, settings_of

GradScaler = torch.amp.GradScaler  # tests replace it
PER_EPOCH = 4  # steps of the run below


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def skip(monkeypatch):
    """Return a function: the gradients of some steps are infinite, under a scaler on the CPU."""

    def arrange(steps, scale=2.0**16, crash_at=None, value=math.inf):
        crashes = [crash_at]
        monkeypatch.setattr(
            torch.amp, "GradScaler", lambda device, enabled: GradScaler(device, init_scale=scale)
        )
        step, backward = Trainer.step, Trainer._backward

        def numbered(self, number, batches):
            if number in crashes:
                crashes.remove(number)
                raise RuntimeError("crashed")
            self.number = number
            return step(self, number, batches)

        def spoiled(self, *arguments):
            sums = backward(self, *arguments)
            if self.number in steps:
                self.parameters[0].grad.fill_(value)
            return sums

        monkeypatch.setattr(Trainer, "step", numbered)
        monkeypatch.setattr(Trainer, "_backward", spoiled)

    return arrange


def columns(folder):
    with (folder / "metrics.csv").open() as file:
        return csv.DictReader(file).fieldnames


def summary(folder):
    return TrainingResult.read(folder / "training_results.json")


def test_skipped_steps_are_counted_and_update_nothing(inputs, tmp_path, skip):
    skip({1, 2, 5}, value=math.nan)
    run(inputs, tmp_path, settings_of(epochs=3))
    epochs = read_metrics(tmp_path / "metrics.csv")
    assert [epoch.step for epoch in epochs] == [PER_EPOCH, 2 * PER_EPOCH, 3 * PER_EPOCH]
    assert [epoch.skipped for epoch in epochs] == [2, 1, 0]
    assert summary(tmp_path).skipped_steps == 3


def test_without_a_scaler_nothing_is_counted(inputs, tmp_path):
    run(inputs, tmp_path, settings_of(epochs=1))
    assert "skipped" not in columns(tmp_path)
    assert summary(tmp_path).skipped_steps is None


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_run_that_skips_every_step_is_no_success(inputs, tmp_path, skip, value):
    skip(range(100), value=value)
    with pytest.raises(UserError, match=rf"skipped all {2 * PER_EPOCH} steps.*bf16 or fp32"):
        run(inputs, tmp_path, settings_of(epochs=2))
    outputs = TrainingFiles(*(tmp_path / name for name in OUTPUTS))
    assert not any(path.exists() for path in vars(outputs).values())


def test_many_skipped_steps_in_a_row_stop_the_run(inputs, tmp_path, skip):
    first = 5
    skip(range(first, 100))
    stop = rf"training step {first + SKIPPED_IN_A_ROW} of 40: .*the 19 before it.*came from"
    with pytest.raises(UserError, match=stop):
        run(inputs, tmp_path, settings_of(epochs=10))
    # the same call stops again, also where a state was saved among the skipped steps
    with pytest.raises(UserError, match=f"training step {first + SKIPPED_IN_A_ROW} of 40"):
        run(inputs, tmp_path, settings_of(epochs=10))


def test_a_collapsed_scale_stops_the_run(inputs, tmp_path, skip):
    skip({1, 3, 6}, scale=3e-4)  # halved to 1.5e-4, then below the smallest
    with pytest.raises(UserError, match=r"training step 4 of 16: .*scaled \(now by 7.5e-05\)"):
        run(inputs, tmp_path, settings_of())


def test_no_epoch_before_the_first_update_is_the_best(inputs, tmp_path, skip, monkeypatch):
    skip(range(PER_EPOCH))
    losses, validate = iter([1.0, 3.0, 2.0]), Trainer.validate
    monkeypatch.setattr(
        Trainer,
        "validate",
        lambda self, samples: replace(validate(self, samples), loss=next(losses)),
    )
    run(inputs, tmp_path, settings_of(epochs=3))
    found = summary(tmp_path)
    assert (found.best_epoch, found.best_val_loss) == (2, 2.0)


@pytest.mark.parametrize("crash_at", [2, 6])
def test_a_resumed_run_counts_as_an_undisturbed_one(inputs, tmp_path, skip, crash_at):
    steps = {1, 2, 3, 5}
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    skip(steps)
    run(inputs, whole, settings_of(epochs=2))
    skip(steps, crash_at=crash_at)
    with pytest.raises(RuntimeError, match="crashed"):
        run(inputs, resumed, settings_of(epochs=2), save_every=1)
    run(inputs, resumed, settings_of(epochs=2), save_every=1)
    assert results_of(resumed) == results_of(whole)
    assert summary(resumed).skipped_steps == summary(whole).skipped_steps == 4


@pytest.mark.parametrize(
    ("skipped", "losses", "best"),
    [
        ([12, 12], [1.0, 1.0], None),
        ([12, 11, 0], [1.0, 3.0, 2.0], 2),
        ([12, 0, 12], [1.0, 2.0, 2.0], 1),
        ([0, 12], [2.0, 1.0], 1),
        ([None, None], [1.0, 2.0], 0),
    ],
)
def test_the_best_epoch_is_one_with_an_update(skipped, losses, best):
    history = [
        epoch_of(number, loss, loss).model_copy(update={"skipped": count})
        for number, (count, loss) in enumerate(zip(skipped, losses, strict=True))
    ]
    found = best_of(history)
    assert (found and found.epoch) == best


def test_early_stopping_counts_from_the_first_update():
    history = [
        epoch_of(number, loss, loss).model_copy(update={"skipped": 12 if number < 2 else 0})
        for number, loss in enumerate([1.0, 1.0, 3.0])
    ]
    assert [epoch.epoch for epoch in updated(history)] == [2]
    assert not exhausted(history, EarlyStopping(patience=1))
