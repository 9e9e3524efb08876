"""TensorBoard's events of a run: each step once, also where the run was killed."""

import os
import signal

import pytest
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
from tensorboard.plugins.hparams import metadata

from mobile_vla.training.events import Events
from mobile_vla.training.loop import Position
from mobile_vla.training.result import read_metrics
from mobile_vla.training.state import RunState
from mobile_vla.training.trainer import Trainer
from support.training_run import Inputs, in_child, run, settings_of

STEPS = 16
OF_STEPS = ("train/loss", "train/grad_norm", "train/learning_rate")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert in_child(lambda: run(inputs, folder, settings_of())) == 0
    return folder


def read(folder):
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={SCALARS: 0})
    return events.Reload()


def scalars(folder):
    """Return steps and values by tag, durations aside."""
    events = read(folder)
    tags = set(events.Tags()["scalars"]) - {"epoch/seconds"}
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def test_each_step_has_loss_gradient_norm_and_learning_rate(undisturbed):
    found = scalars(undisturbed)
    for tag in OF_STEPS:
        assert [step for step, _ in found[tag]] == list(range(1, STEPS + 1))
    for epoch in read_metrics(undisturbed / "metrics.csv"):
        of_step = {tag: dict(found[tag])[epoch.step] for tag in OF_STEPS}
        assert of_step["train/learning_rate"] == pytest.approx(epoch.learning_rate)
        assert of_step["train/grad_norm"] == pytest.approx(epoch.gradient_norm)
        assert dict(found["val/loss"])[epoch.step] == pytest.approx(epoch.val_loss)
        assert dict(found["epoch/train_loss"])[epoch.step] == pytest.approx(epoch.train_loss)
    assert len({value for _, value in found["train/loss"]}) == STEPS


@pytest.mark.parametrize("step", [0, 2, 3, 15])
def test_a_killed_run_has_each_step_once(inputs, undisturbed, tmp_path, step):
    """Steps 3, 7, 11 and 15 end an epoch, and states are saved after every second step."""
    original = Trainer.step

    def stepping(self, number, batches):
        found = original(self, number, batches)
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    def killed():
        Trainer.step = stepping
        run(inputs, tmp_path, settings_of())

    assert in_child(killed) == -signal.SIGKILL
    assert in_child(lambda: run(inputs, tmp_path, settings_of())) == 0
    assert scalars(tmp_path) == scalars(undisturbed)


@pytest.mark.parametrize("nth", [2, 8])
def test_a_run_that_is_killed_right_after_a_state_has_each_step_once(
    inputs, undisturbed, tmp_path, nth
):
    count = 0
    original = RunState.save

    def saving(self, trainer, position, best):
        nonlocal count
        original(self, trainer, position, best)
        count += 1
        if count == nth:  # the epoch's events are of the very step that is saved
            os.kill(os.getpid(), signal.SIGKILL)

    def killed():
        RunState.save = saving
        run(inputs, tmp_path, settings_of())

    assert in_child(killed) == -signal.SIGKILL
    assert in_child(lambda: run(inputs, tmp_path, settings_of())) == 0
    assert scalars(tmp_path) == scalars(undisturbed)


def test_a_run_that_ends_twice_has_its_hyperparameters_once(inputs, undisturbed, tmp_path):
    def killed():
        RunState.load_best = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        run(inputs, tmp_path, settings_of())

    assert in_child(killed) == -signal.SIGKILL
    assert in_child(lambda: run(inputs, tmp_path, settings_of())) == 0
    assert len(list((tmp_path / "tensorboard").glob("*.hparams"))) == 1
    assert scalars(tmp_path) == scalars(undisturbed)


def test_hyperparameters_stand_with_the_best_epoch(undisturbed):
    data = read(undisturbed).summary_metadata
    start = metadata.parse_session_start_info_plugin_data(
        data[metadata.SESSION_START_INFO_TAG].plugin_data.content
    )
    values = {name: getattr(v, v.WhichOneof("kind")) for name, v in start.hparams.items()}
    assert values["lora.r"] == 2 and values["training.learning_rate"] == pytest.approx(1e-2)
    assert values["finetune"] == "lora" and values["subset"] == "none"
    experiment = metadata.parse_experiment_plugin_data(
        data[metadata.EXPERIMENT_TAG].plugin_data.content
    )
    tags = {info.name.tag for info in experiment.metric_infos}
    found = scalars(undisturbed)
    assert tags == {tag for tag in found if tag.startswith("best/")}
    best = min(read_metrics(undisturbed / "metrics.csv"), key=lambda epoch: epoch.val_loss)
    assert found["best/val_loss"] == [(best.step, pytest.approx(best.val_loss))]
    assert found["best/epoch"] == [(best.step, best.epoch)]


def test_a_step_that_the_loss_scaler_skips_has_no_gradient_norm(tmp_path):
    events = Events(tmp_path / "tensorboard", 0)
    events.add_step(Position(step=1, gradient_norm=0.5), 0.1, 1e-3)
    events.add_step(Position(step=2, gradient_norm=0.5, skipped_in_a_row=1), 0.2, 1e-3)
    events.close()
    found = scalars(tmp_path)
    assert [step for step, _ in found["train/loss"]] == [1, 2]
    assert found["train/grad_norm"] == [(1, 0.5)]
