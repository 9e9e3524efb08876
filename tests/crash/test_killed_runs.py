"""A run that is killed at any moment ends, in the end, bit for bit like one that was not."""

import errno
import fcntl
import json
import os
import signal

import pytest
import torch

from mobile_vla.errors import Interrupted, UserError
from mobile_vla.model import folder as folder_module
from mobile_vla.training import state as state_module
from mobile_vla.training.scene_drives import SceneDrives
from mobile_vla.training.state import RunState
from mobile_vla.training.trainer import Trainer
from support.driven import driven_settings, inputs_for
from support.thinning import thinned
from support.training_run import Inputs, in_child, results_of, run, settings_of

STEPS = 16


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    """What a run leaves that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert in_child(lambda: run(inputs, folder, settings_of())) == 0
    results = json.loads((folder / "training_results.json").read_text())
    assert results["steps"] == STEPS
    found = results_of(folder)
    assert "policy/head.safetensors" in found and "last/adapter_model.safetensors" in found
    assert not [name for name in found if ".work/" in name], "the state goes when the run is done"
    return found


def kill_after(step, when="after"):
    """Make the training of this process kill itself at a step."""
    original = Trainer.step

    def stepping(self, number, batches):
        if number == step and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = original(self, number, batches)
        if number == step and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    Trainer.step = stepping


@pytest.mark.parametrize("step", thinned(range(STEPS), 5))
def test_killed_after_each_step(inputs, undisturbed, tmp_path, step):
    def killed():
        kill_after(step)
        run(inputs, tmp_path, settings_of())

    assert in_child(killed) == -signal.SIGKILL
    assert not (tmp_path / "policy").exists() and not (tmp_path / "metrics.csv").exists()
    assert in_child(lambda: run(inputs, tmp_path, settings_of())) == 0
    assert results_of(tmp_path) == undisturbed


def test_killed_again_and_again(inputs, undisturbed, tmp_path):
    for step in (1, 2, 5, 9, 15):

        def killed(step=step):
            kill_after(step)
            run(inputs, tmp_path, settings_of(), save_every=1)

        assert in_child(killed) == -signal.SIGKILL
    assert in_child(lambda: run(inputs, tmp_path, settings_of(), save_every=1)) == 0
    assert results_of(tmp_path) == undisturbed


@pytest.mark.parametrize(
    "finetune",
    ["lora", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("none", "full"))],
)
def test_killed_while_its_policy_drives(inputs, tmp_path, finetune):
    settings, read = driven_settings(finetune, epochs=2), inputs_for(inputs, finetune)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert in_child(lambda: run(inputs, whole, settings, **read)) == 0

    def killed():
        original, calls = SceneDrives.success, []

        def success(self):
            calls.append(original(self))
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return calls[-1]

        SceneDrives.success = success
        run(inputs, broken, settings, **read)

    assert in_child(killed) == -signal.SIGKILL
    assert in_child(lambda: run(inputs, broken, settings, **read)) == 0
    assert results_of(broken) == results_of(whole)
    assert b",val_success" in results_of(broken)["metrics.csv"]


@pytest.mark.parametrize("nth", thinned(range(1, 9), 4))
def test_killed_while_a_state_is_written(inputs, undisturbed, tmp_path, nth):
    def killed():
        original, calls = folder_module.save_file, []

        def torn(tensors, path, metadata):
            original(tensors, path, metadata)
            calls.append(path)
            if len(calls) == nth:
                os.truncate(path, path.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        folder_module.save_file = torn
        run(inputs, tmp_path, settings_of())

    assert in_child(killed) == -signal.SIGKILL
    assert in_child(lambda: run(inputs, tmp_path, settings_of())) == 0
    assert results_of(tmp_path) == undisturbed


def stopped_at(inputs, folder, step, **changes):
    """Kill a run after a step and return its state's files, the newest first."""

    def killed():
        kill_after(step)
        run(inputs, folder, settings_of(**changes))

    assert in_child(killed) == -signal.SIGKILL
    return sorted(folder.glob(".work/*/state-*.safetensors"), reverse=True)


@pytest.mark.parametrize("damage", ["bits", "truncated", "missing", "json"])
def test_a_damaged_state_gives_way_to_the_one_before(inputs, undisturbed, tmp_path, damage):
    newest, before = stopped_at(inputs, tmp_path, 9)
    content = bytearray(newest.read_bytes())
    if damage == "bits":
        content[-3] ^= 4
        newest.write_bytes(content)
    elif damage == "truncated":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "missing":
        newest.unlink()
    else:
        newest.with_suffix(".json").write_text('{"file"')
    assert before.is_file()
    assert in_child(lambda: run(inputs, tmp_path, settings_of())) == 0
    assert results_of(tmp_path) == undisturbed


def test_the_disk_holds_two_states_and_their_best(inputs, tmp_path):
    states = stopped_at(inputs, tmp_path, 13)
    assert len(states) == 2
    assert len(list(tmp_path.glob(".work/*/best-*"))) <= 2


def test_other_settings_never_go_on_from_the_old_state(inputs, tmp_path, tmp_path_factory):
    old = stopped_at(inputs, tmp_path, 9)
    other = settings_of(learning_rate=2e-2)
    assert in_child(lambda: run(inputs, tmp_path, other)) == 0
    assert not any(file.exists() for file in old)
    fresh = tmp_path_factory.mktemp("fresh")
    assert in_child(lambda: run(inputs, fresh, other)) == 0
    assert results_of(tmp_path) == results_of(fresh)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_state_and_ends(inputs, undisturbed, tmp_path, number):
    def asked():
        original = Trainer.step

        def stepping(self, step, batches):
            if step == 3:
                os.kill(os.getpid(), number)
            return original(self, step, batches)

        Trainer.step = stepping
        try:
            run(inputs, tmp_path, settings_of(), save_every=100)
        except Interrupted as error:
            assert "stopped on request after step 4 of 16" in str(error)
            os._exit(error.status)

    assert in_child(asked) == 128 + number
    (state,) = tmp_path.glob(".work/*/state-*.json")
    assert json.loads(state.read_text())["position"]["step"] == 4
    assert in_child(lambda: run(inputs, tmp_path, settings_of())) == 0
    assert results_of(tmp_path) == undisturbed


def test_a_full_disk_keeps_the_state_before_and_says_how_much_is_needed(
    inputs, undisturbed, tmp_path
):
    def full():
        original, calls = folder_module.save_file, []

        def save(tensors, path, metadata):
            calls.append(path)
            if len(calls) == 4:
                raise OSError(errno.ENOSPC, "No space left on device")
            original(tensors, path, metadata)

        folder_module.save_file = save
        with pytest.raises(UserError, match=r"the disk is full: 0\.\d+ MB are needed"):
            run(inputs, tmp_path, settings_of())

    assert in_child(full) == 0
    assert list(tmp_path.glob(".work/*/state-*.safetensors"))
    assert not list(tmp_path.glob(".work/*/.*"))
    assert in_child(lambda: run(inputs, tmp_path, settings_of())) == 0
    assert results_of(tmp_path) == undisturbed


def test_a_really_full_disk(inputs, tmp_path):
    """A file system of its own, where the machine lets the test make one."""
    target = tmp_path / "small"
    target.mkdir()
    if os.geteuid() or os.system(f"mount -t tmpfs -o size=64k tmpfs {target} 2>/dev/null"):
        pytest.skip("no right to mount a small file system")
    try:

        def full():
            with pytest.raises(UserError, match="the disk is full"):
                run(inputs, target, settings_of())

        assert in_child(full) == 0
    finally:
        os.system(f"umount {target}")


def test_a_second_process_is_refused_and_the_first_is_unharmed(
    inputs, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setattr(state_module, "PATIENCE", 0.5)
    reader, writer = os.pipe()

    def slow():
        original = Trainer.step

        def stepping(self, step, batches):
            if step == 4:
                os.write(writer, b"x")
                second = os.fork()
                if not second:
                    refused = pytest.raises(UserError, match=r"process \d+ on .* trains this run")
                    with refused, RunState(tmp_path / ".work", "another").locked():
                        pass
                    os._exit(0)
                assert os.waitpid(second, 0)[1] == 0
            return original(self, step, batches)

        Trainer.step = stepping
        run(inputs, tmp_path, settings_of())

    assert in_child(slow) == 0
    assert os.read(reader, 1) == b"x"
    assert results_of(tmp_path) == undisturbed


def test_a_file_system_without_locks_is_said_to_be_one(inputs, undisturbed, tmp_path, caplog):
    def refusing(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    def trained():
        fcntl.flock = refusing
        run(inputs, tmp_path, settings_of())
        assert "this file system has no locks" in caplog.text

    assert in_child(trained) == 0
    assert results_of(tmp_path) == undisturbed


def test_running_out_of_memory_names_the_batch_size(inputs, tmp_path):
    def greedy():
        Trainer._backward = lambda *_: torch.empty(1 << 60)
        with pytest.raises(UserError, match=r"out of memory with training\.batch_size 3.*lower"):
            run(inputs, tmp_path, settings_of())

    assert in_child(greedy) == 0


def test_a_loss_that_is_not_finite_keeps_the_last_good_state(inputs, tmp_path):
    def broken():
        original = Trainer.step

        def stepping(self, step, batches):
            if step == 8:
                with torch.no_grad():
                    self.parameters[0].fill_(float("nan"))
            return original(self, step, batches)

        Trainer.step = stepping
        with pytest.raises(UserError, match="training step 9 of 16: the loss is not finite"):
            run(inputs, tmp_path, settings_of())

    assert in_child(broken) == 0
    newest = sorted(tmp_path.glob(".work/*/state-*.json"))[-1]
    assert json.loads(newest.read_text())["position"]["step"] == 8
