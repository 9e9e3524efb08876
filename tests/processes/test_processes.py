"""A run in two processes: it comes to what one process comes to, and ends when one of them does."""

import csv
import signal
import time

import psutil
import pytest

from mobile_vla.config.model import Lora
from mobile_vla.errors import UserError
from support.driven import driven_settings
from support.processes import difference, finish, members, start, weights
from support.project import Project
from support.training_run import Inputs, in_child, results_of, run

# Batches of 3 windows in shares of 2 and 1, and an epoch's last one is shorter than that.
STEPS = 12
PATIENCE = 60  # seconds


def settings(processes=2, **training):
    """Return settings with ragged batches and accumulation, and without dropout.

    Validation drives, and the processes share the robots.
    """
    found = driven_settings(**{"epochs": 3, "processes": processes, **training})
    head = found.policy.head.model_copy(update={"dropout": 0.0})
    policy = found.policy.model_copy(update={"lora": Lora(r=2, dropout=0.0), "head": head})
    return found.model_copy(update={"policy": policy})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"), dropout=0.0)


@pytest.fixture(scope="module")
def alone(inputs, tmp_path_factory):
    """The folder of a run in one process."""
    folder = tmp_path_factory.mktemp("alone")
    assert in_child(lambda: run(inputs, folder, settings(processes=1))) == 0
    return folder


@pytest.fixture(scope="module")
def together(inputs, tmp_path_factory):
    """The folder of a run in two processes, and what they printed."""
    folder = tmp_path_factory.mktemp("together")
    process = start(inputs, folder, settings(), python=Project.python)
    output = finish(process)
    assert process.returncode == 0, output
    return folder, output


def metrics(folder):
    with (folder / "metrics.csv").open() as file:
        return [[float(value) for value in row.values()] for row in csv.DictReader(file)]


def test_two_processes_come_to_what_one_comes_to(alone, together):
    folder, _ = together
    for kept in ("policy", "last"):
        assert 0 < difference(weights(alone / kept), weights(folder / kept)) < 1e-5
    assert len(metrics(alone)) == 3
    for one, other in zip(metrics(alone), metrics(folder), strict=True):
        assert other == pytest.approx(one, rel=1e-5, abs=1e-9)


@pytest.mark.long
def test_two_processes_with_another_factorisation_come_to_the_same(inputs, alone, tmp_path):
    process = start(inputs, tmp_path, settings(batch_size=2, accumulation=3), python=Project.python)
    output = finish(process)
    assert process.returncode == 0, output
    assert difference(weights(alone / "last"), weights(tmp_path / "last")) < 1e-5
    for one, other in zip(metrics(alone), metrics(tmp_path), strict=True):
        assert other == pytest.approx(one, rel=1e-5, abs=1e-9)


def test_one_process_writes(alone, together):
    folder, output = together
    written = {name for name in results_of(folder) if name not in ("log", "provenance.json")}
    assert written == set(results_of(alone))
    assert (folder / "provenance.json").is_file()
    events = sorted(file.suffix for file in (folder / "tensorboard").iterdir())
    assert len(events) == 2 and events.count(".hparams") == 1
    assert output.count("epoch 0: ") == 1


def under_way(inputs, folder, **training):
    """Start a longer run and wait until it has saved a state."""
    process = start(inputs, folder, settings(epochs=400, **training), save_every=1)
    until = time.monotonic() + PATIENCE
    while len(members(process)) < 2 or not list(folder.glob(".work/*/state-*.json")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until, "no state was saved"
        time.sleep(0.1)
    return process


def test_a_dead_process_ends_the_run_with_its_message(inputs, tmp_path):
    process = under_way(inputs, tmp_path)
    first, second = members(process)[0], members(process)[1]
    second.kill()
    output = finish(process, PATIENCE)
    assert process.returncode != 0
    assert "Signal 9 (SIGKILL)" in output
    assert not first.is_running() or first.status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "policy").exists()


def test_stopped_as_asked_it_goes_on_to_the_same_bytes(inputs, together, tmp_path):
    undisturbed, _ = together
    process = start(inputs, tmp_path, settings(), save_every=1, python=Project.python)
    until = time.monotonic() + PATIENCE
    while not list(tmp_path.glob(".work/*/state-*.json")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    output = finish(process, PATIENCE)
    assert process.returncode != 0 and "stopped on request after step" in output, output
    again = start(inputs, tmp_path, settings(), python=Project.python)
    output = finish(again)
    assert again.returncode == 0 and "goes on after step" in output, output
    for name, content in results_of(undisturbed).items():
        if name not in ("log", "provenance.json"):
            assert (tmp_path / name).read_bytes() == content, name


@pytest.mark.long
def test_it_goes_on_with_another_number_of_processes(inputs, alone, tmp_path):
    process = start(inputs, tmp_path, settings(), save_every=1, python=Project.python)
    until = time.monotonic() + PATIENCE
    while not list(tmp_path.glob(".work/*/state-*.json")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    members(process)[0].kill()
    finish(process, PATIENCE)
    assert process.returncode != 0
    assert in_child(lambda: run(inputs, tmp_path, settings(processes=1))) == 0
    assert difference(weights(alone / "last"), weights(tmp_path / "last")) < 1e-5


@pytest.mark.long
def test_without_torchrun_the_processes_end(inputs, tmp_path):
    process = under_way(inputs, tmp_path)
    trained = list(members(process).values())
    process.kill()
    _, alive = psutil.wait_procs(trained, timeout=PATIENCE)
    process.communicate()
    assert alive == []


def test_a_process_that_is_alone_is_refused(inputs, tmp_path):
    with pytest.raises(UserError, match=r"training\.processes: 2, and this training is one of 1"):
        run(inputs, tmp_path, settings())
