"""Locks on open files."""

import errno
import fcntl
import os

import pytest

from mobile_vla.locks import lock


@pytest.fixture
def opened(tmp_path):
    """Two descriptions of one file, as two processes have."""
    path = tmp_path / "lock"
    path.touch()
    files = [os.open(path, os.O_RDONLY) for _ in range(2)]
    yield files
    for file in files:
        os.close(file)


def test_one_holds_it_until_it_lets_go(opened):
    first, second = opened
    assert lock(first) is True
    assert lock(second) is False and lock(second, shared=True) is False
    fcntl.flock(first, fcntl.LOCK_UN)
    assert lock(second, wait=True) is True


def test_shared_locks_are_several(opened):
    first, second = opened
    assert lock(first, shared=True) and lock(second, shared=True)
    assert lock(first) is False


def test_a_file_system_without_locks_is_told_from_another_fault(opened, monkeypatch):
    def refusing(number):
        def flock(file, operation):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)

    refusing(errno.EOPNOTSUPP)
    assert lock(opened[0]) is None
    refusing(errno.EBADF)
    with pytest.raises(OSError, match="Bad file descriptor"):
        lock(opened[0])
