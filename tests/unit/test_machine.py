"""What the machine does is no fact about a file: the job fails, and is tried again."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest

from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.errors import UserError
from mobile_vla.ingest import chunks, isolation, machine, rawfile
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.rawfile import Rejected
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from mobile_vla.result import FileDigest
from support.episode_corruptions import filter_number
from support.recorded import write_episode

NAME = "episode_20251103_091241_1box_hori_left_core_close"


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / f"{NAME}.h5"
    write_episode(path, frames=3, size=(12, 16))
    return path


def run(raw):
    files = EpisodeFiles(raw.parent / "out/facts.json", raw.parent / "out/frames.npy")
    ingest(IngestSettings(dataset="made", episode=raw.stem, images=Images()), files, raw=raw)
    return EpisodeFacts.read(files.facts)


def check_fails_and_is_tried_again(raw, text, place=""):
    with pytest.raises(UserError, match=text) as error:
        run(raw)
    assert str(error.value).startswith(f"{raw}, {place}")
    assert "snakemake again" in str(error.value)
    out = raw.parent / "out"
    assert not out.exists() or not list(out.iterdir())


FAILURES = [
    errno.EIO,
    errno.ESTALE,
    errno.ENOMEM,
    errno.ETIMEDOUT,
    errno.EMFILE,
    errno.ENOTCONN,
    errno.ECONNRESET,
]


@pytest.mark.parametrize("number", FAILURES, ids=errno.errorcode.get)
def test_a_failing_system_call_is_no_fact(raw, monkeypatch, number):
    def fails(*arguments, **options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(FileDigest, "of", fails)
        check_fails_and_is_tried_again(raw, errno.errorcode[number], "file")
    with monkeypatch.context() as patch:
        patch.setattr(rawfile.h5py, "File", fails)
        check_fails_and_is_tried_again(raw, errno.errorcode[number], "file")
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "_decoded", fails)
        check_fails_and_is_tried_again(raw, errno.errorcode[number], "images, frame 0")
    assert run(raw).errors == []


@pytest.mark.parametrize("kind", [OSError, KeyError, RuntimeError, ValueError])
def test_the_error_number_is_read_in_what_hdf5_says(raw, monkeypatch, kind):
    def fails(*arguments):
        text = "file read failed: errno = 116, error message = 'Stale file handle', buf = 0x55"
        raise kind(f"Unable to synchronously open object ({text})")

    monkeypatch.setattr(h5py.Dataset, "__getitem__", fails)
    check_fails_and_is_tried_again(raw, "ESTALE", "actions")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="Linux only")
def test_a_disk_that_fails(tmp_path):
    raw = tmp_path / f"{NAME}.h5"
    raw.symlink_to("/proc/self/mem")  # an ordinary file whose first bytes cannot be read
    check_fails_and_is_tried_again(raw, "EIO", "file")


def test_an_error_number_that_damaged_bytes_cause_is_a_fact(raw, monkeypatch):
    def fails(*arguments):
        raise OSError("Can't synchronously read data (file read failed: errno = 22, offset = 7)")

    monkeypatch.setattr(h5py.Dataset, "__getitem__", fails)
    assert {error.code for error in run(raw).errors} == {"unreadable"}


@contextmanager
def limited(kind, value):
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def test_memory_that_is_lacking(raw, monkeypatch):
    def fails(*arguments):
        raise MemoryError

    for where, name in ((h5py.Dataset, "__getitem__"), (chunks, "_decode")):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, fails)
            check_fails_and_is_tried_again(raw, "memory was lacking")


def test_memory_that_hdf5_lacks_is_the_machines_unless_any_episode_would_have_it(monkeypatch):
    lacking = OSError("Can't synchronously read data (memory allocation failed for chunk)")
    assert not machine.from_machine(lacking)
    with limited(resource.RLIMIT_AS, machine.psutil.Process().memory_info().vms + (1 << 20)):
        assert machine.from_machine(lacking)


def test_files_that_cannot_be_opened_for_their_number(raw):
    with limited(resource.RLIMIT_NOFILE, 3), pytest.raises(UserError, match="Too many open"):
        run(raw)
    assert run(raw).errors == []


@pytest.mark.parametrize(
    ("number", "name"), [(32001, b"blosc"), (32015, b"zstd"), (32999, b"lzf"), (300, b""), (4, b"")]
)
def test_a_filter_that_is_not_installed_here(raw, monkeypatch, number, name):
    if number == 4:
        monkeypatch.setattr(h5py.h5z, "filter_avail", lambda number: number != 4)
    filter_number(number, name)(raw)
    check_fails_and_is_tried_again(raw, rf"filter {number} \({name.decode()}", "images")


def test_a_reader_that_waits_is_no_fact(monkeypatch):
    def waits(progress):
        progress("images, frame 7")
        time.sleep(60)

    monkeypatch.setattr(isolation, "STALL_SECONDS", 0.2)
    with pytest.raises(UserError, match=r"images, frame 7: no answer .* in 0\.2 s"):
        isolation.isolated(waits)


def test_time_in_which_the_reader_was_stopped_does_not_count(monkeypatch):
    def stopped(progress):
        progress("images, frame 7")
        continues = os.fork()
        if not continues:
            time.sleep(1.5)
            os.kill(os.getppid(), signal.SIGCONT)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.waitpid(continues, 0)
        return "read"

    monkeypatch.setattr(isolation, "STALL_SECONDS", 0.5)
    assert isolation.isolated(stopped) == "read"


class Child:
    """A child as psutil shows it, which computes a share of the time between two looks."""

    def __init__(self, status, share):
        self.state, self.share, self.computed = status, share, 0.0

    def status(self):
        return self.state

    def cpu_times(self):
        self.computed += self.share
        return SimpleNamespace(user=self.computed / 2, system=self.computed / 2)


def looks(child, count):
    silence = isolation._Silence(child)
    for _ in range(count):
        silence.check("images")


def test_time_in_which_this_process_was_stopped_does_not_count(monkeypatch):
    later = iter(range(0, 10**6, 1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(later)))
    looks(Child("sleeping", 0), 119)  # of a second each, however late
    with pytest.raises(UserError, match="no answer"):
        looks(Child("disk-sleep", 0), 120)


def test_an_endless_loop_is_known_by_what_it_computes():
    looks(Child("running", 0.5), 240)
    with pytest.raises(Rejected):
        looks(Child("running", 0.5), 242)
    looks(Child("running", 0), 1000)  # ready to run, on a busy machine
    looks(Child("stopped", 0), 1000)


def test_a_busy_machine_is_no_endless_loop(monkeypatch):
    """What computes is judged by the time that it computed, not by the clock."""
    monkeypatch.setattr(isolation, "STALL_SECONDS", 0.2)

    def computes(progress):
        for _ in range(4):
            progress("images")
            end = time.process_time() + 0.1
            while time.process_time() < end:
                pass
        return "read"

    assert isolation.isolated(computes) == "read"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGXCPU])
def test_a_reader_that_is_killed_says_nothing_of_the_file(number):
    def killed(progress):
        signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
        os.kill(os.getpid(), number)

    with pytest.raises(UserError, match=number.name):
        isolation.isolated(killed)


def test_frames_that_cannot_be_written_are_no_fact(raw, monkeypatch):
    def fails(*arguments):
        raise OSError(errno.EIO, "Input/output error", "frames.npy")

    monkeypatch.setattr("mobile_vla.ingest.ingest.write_frames", fails)
    check_fails_and_is_tried_again(raw, re.escape("'frames.npy'"), "while it was converted")


def test_what_the_bytes_show_is_a_fact_still(raw):
    raw.write_bytes(raw.read_bytes()[:-100])
    assert [error.code for error in run(raw).errors] == ["truncated"]
    with pytest.raises(Rejected):
        rawfile.fingerprint(raw.parent)
