"""Memory that runs out is said in words, with a remedy, whichever library notices it."""

import errno
import os
import resource

import numpy as np
import psutil
import pytest
import torch

from mobile_vla import cli
from mobile_vla.commands import COMMANDS
from mobile_vla.errors import UserError
from mobile_vla.out_of_memory import lacks_memory, remedy
from support.training_run import OUTPUTS, Inputs, settings_of

HUGE = 10**15


def size_of_a_file():
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def matrix_library():
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


SHORTAGES = {
    "a head": lambda: torch.nn.LSTM(32, 10**9),
    "adapters": lambda: torch.nn.Linear(32, HUGE),
    "a size that overflows": lambda: torch.empty(HUGE, HUGE),
    "on the meta device": lambda: torch.empty(HUGE, HUGE, device="meta"),
    "a size beyond 64 bits": lambda: torch.empty(10**20),
    "NumPy": lambda: np.zeros(HUGE),
    "NumPy, overflowing": lambda: np.zeros((HUGE, HUGE)),
    "Python": lambda: [0] * 10**17,
    "the system": size_of_a_file,
    "a GPU": gpu,
    "a GPU's library": matrix_library,
}


@pytest.mark.parametrize("short", SHORTAGES.values(), ids=SHORTAGES)
def test_each_library_is_understood(short):
    with pytest.raises(Exception) as caught:
        short()
    assert lacks_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("not a number"),
        OSError(errno.EIO, "Input/output error"),
        UserError("training step 3: out of memory"),  # a message that is one already
        KeyError("allocate memory"),
    ],
)
def test_another_error_is_another_error(error):
    assert not lacks_memory(error)


def test_the_settings_that_decide_are_listed_by_size():
    settings = settings_of(batch_size=7)
    head = settings.policy.head.model_copy(update={"hidden_size": 10**9})
    policy = settings.policy.model_copy(update={"head": head})
    found = remedy(MemoryError(), settings.model_copy(update={"policy": policy}).model_dump())
    largest = "head.hidden_size: 1000000000, training.batch_size: 7, "
    assert f"settings, the largest first: {largest}" in found
    assert "lora.r: 2" in found and "seed" not in found and "epochs" not in found
    assert "more memory" in remedy(MemoryError(), {})


@pytest.fixture
def logged(monkeypatch, caplog):
    """Return a function that runs a command here, and returns its status and its messages."""
    monkeypatch.setattr(cli.gpus, "take", lambda: None)
    monkeypatch.setattr(cli, "_watch_parent", lambda: None)
    monkeypatch.setattr(cli, "_log_to", lambda file: None)

    def main(*arguments):
        caplog.clear()
        return cli.main(list(map(str, arguments))), caplog.text

    return main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_with_a_remedy(name, logged, monkeypatch):
    for shortage in ("a head", "Python", "a GPU"):
        monkeypatch.setattr(cli, "_function", lambda _, short=SHORTAGES[shortage]: lambda: short())
        status, text = logged(name)
        assert status == 1
        assert f"{name.replace('_', '-')}: out of memory" in text
        assert "a machine with more memory" in text
        assert "Traceback" not in text and "fault of the program" not in text


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def little_memory():
    """Let this process take no more than a few gigabytes, whatever the machine has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (taken + 4_000_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    ("part", "size", "place"),
    [
        ("head", {"hidden_size": 65536}, "head.hidden_size: 65536"),
        ("head", {"hidden_size": 65535, "layers": 2}, "head.hidden_size: 65535"),
        ("head", {"mlp": (65536, 65536)}, "head.mlp: 65536"),
    ],
)
def test_a_policy_that_is_too_large_to_build_is_no_fault(
    part, size, place, inputs, tmp_path, logged, little_memory
):
    settings = settings_of()
    changed = getattr(settings.policy, part).model_copy(update=size)
    policy = settings.policy.model_copy(update={part: changed})
    given = {**vars(inputs), "actions": inputs.manifest.with_name("actions.npy"), "threads": 1}
    made = zip(("policy", "last", "metrics", "results"), OUTPUTS, strict=True)
    given |= {name: tmp_path / path for name, path in made}
    given["settings"] = settings.model_copy(update={"policy": policy}).model_dump_json()
    given["features"] = given["features"][0]
    status, text = logged("train", *(w for n, v in given.items() for w in (f"--{n}", v)))
    assert status == 1, text
    assert "train: out of memory (" in text and f"the largest first: {place}, " in text
    assert "Traceback" not in text
    assert not (tmp_path / "policy").exists()
