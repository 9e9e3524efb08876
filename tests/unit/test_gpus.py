"""One GPU to a process: found by its device file, locked, and the only one that CUDA sees."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mobile_vla import gpus
from mobile_vla.commands import STAGES

WORKFLOW = Path(gpus.__file__).parents[1]
TAKE = """
import sys
from mobile_vla import gpus
from mobile_vla.commands import STAGES
taken = gpus.take()
import os
print(taken, os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


class Process:
    """A process that takes a GPU, and keeps it until it is told to end."""

    def __init__(self, folder, **environment):
        self.child = subprocess.Popen(
            [sys.executable, "-c", TAKE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(WORKFLOW), "TMPDIR": str(folder), **environment},
        )

    def taken(self):
        return self.child.stdout.readline().split()

    def end(self, number=signal.SIGTERM):
        self.child.send_signal(number)
        self.child.communicate(timeout=30)


@pytest.fixture
def start(tmp_path):
    """Start processes that are gone when the test is over."""
    started = []

    def one(**environment):
        started.append(Process(tmp_path, **environment))
        return started[-1]

    yield one
    for process in started:
        process.end(signal.SIGKILL)


def test_each_process_takes_another_one_and_the_third_waits_for_the_first_to_die(start):
    first, second = start(CUDA_VISIBLE_DEVICES="0,1"), start(CUDA_VISIBLE_DEVICES="0,1")
    taken = [first.taken(), second.taken()]
    assert sorted(taken) == [["0", "0"], ["1", "1"]]
    third = start(CUDA_VISIBLE_DEVICES="0,1")
    assert "in use: GPU 0, 1; waiting for a free one" in third.child.stderr.readline()
    second.end(signal.SIGKILL)
    assert third.taken() == taken[1]


def test_a_process_takes_only_what_it_may_see(start):
    first = start(CUDA_VISIBLE_DEVICES="1")
    assert first.taken() == ["1", "1"]
    assert start(CUDA_VISIBLE_DEVICES="0,1").taken() == ["0", "0"]


def test_what_the_scheduler_gave_is_not_locked(start):
    job = {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0"}
    assert start(**job).taken() == start(**job).taken() == ["0", "0"]


def test_of_several_that_the_scheduler_gave_each_process_takes_its_own(start):
    job = {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "2,3"}
    assert start(**job, LOCAL_RANK="0").taken() == ["2", "2"]
    assert start(**job, LOCAL_RANK="1").taken() == ["3", "3"]


def test_more_processes_than_gpus_are_refused(start):
    process = start(CUDA_VISIBLE_DEVICES="0,1", LOCAL_WORLD_SIZE="3")
    assert process.taken() == []
    assert "3 processes on this machine, and 2 GPUs (0, 1)" in process.child.stderr.read()


def test_without_a_gpu_nothing_is_taken(start):
    assert start(CUDA_VISIBLE_DEVICES="").taken() == ["None"]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("0,1", ["0", "1"]),
        (" 1 , 0 ", ["1", "0"]),
        ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", ["GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"]),
        ("0,-1,1", ["0"]),
        ("NoDevFiles", []),
        ("", []),
    ],
)
def test_what_is_visible_is_read_as_cuda_reads_it(monkeypatch, named, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert gpus.visible() == expected


def test_gpus_are_counted_by_their_device_files(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-modeset"):
        (tmp_path / name).touch()
    assert gpus.visible(tmp_path) == ["0", "1"]


def test_the_lock_of_another_user_can_be_taken(start, tmp_path):
    lock = tmp_path / "mobile-vla-gpu-0.lock"
    lock.touch()
    lock.chmod(0o444)
    assert start(CUDA_VISIBLE_DEVICES="0").taken() == ["0", "0"]
    assert lock.stat().st_mode & 0o777 == 0o444


def test_what_computes_on_the_cpu_takes_no_gpu_and_sees_none(monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "0,1")
    gpus.hide()
    assert gpus.visible() == []
    assert {name for name, one in STAGES.items() if one.on_cpu} == {
        "export_bundle",
        "certify_bundle",
    }
