"""Hash and open a raw file; whatever is wrong with it becomes a defect."""

from __future__ import annotations

import errno
import hashlib
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py

from mobile_vla.files import BLOCK
from mobile_vla.ingest.rejected import Rejected
from mobile_vla.ingest.result import Defect

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification 3.0, II.A
SUPERBLOCK = 96  # bytes of the longest superblock (version 0 with 8-byte addresses)

HDF5_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    MemoryError,
)
"""What h5py raises for files whose structure is damaged, depending on the damaged byte."""


@dataclass(frozen=True)
class Fingerprint:
    """A raw file's identity; no digest where there is nothing to read."""

    sha256: str | None
    size: int


def one_line(error: BaseException) -> str:
    """Return an error's text on one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"


def fingerprint(path: Path) -> Fingerprint:
    """Hash a raw file.

    Raises:
        Rejected: there is no readable, ordinary file at ``path``.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "neither a file nor a link to one"
            raise Rejected(_file_defect("not_a_file", kind, "name the episode's file"))
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise Rejected(_unreachable(path, error)) from None
    except ValueError as error:  # a null byte in the path
        raise Rejected(_file_defect("missing", one_line(error), "correct the path")) from None
    return Fingerprint(digest.hexdigest(), size)


def _file_defect(code: str, found: str, remedy: str) -> Defect:
    return Defect(code=code, place="file", found=found, expected="an HDF5 episode", remedy=remedy)


def _unreachable(path: Path, error: OSError) -> Defect:
    if error.errno == errno.ELOOP:
        return _file_defect("broken_link", "a link that leads in a circle", "correct the link")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if path.is_symlink():
            found = f"a link to {path.readlink()}, which is not there"
            return _file_defect("broken_link", found, "restore the file or correct the link")
        return _file_defect("missing", "no such file", "restore it, or correct path and pattern")
    if isinstance(error, PermissionError):
        return _file_defect("permission_denied", one_line(error), f"chmod +r {path.name}")
    return _file_defect("unreadable", one_line(error), "check the disk, or copy the file again")


@contextmanager
def open_raw(path: Path) -> Iterator[h5py.File]:
    """Open a raw file for reading.

    Raises:
        Rejected: it is not HDF5, or its structure is damaged or cut off. A
            ``Rejected`` of the block passes through.
    """
    try:
        # Recorded data often lies on a read-only share, where HDF5 cannot take its lock.
        file = h5py.File(path, "r", locking=False)
    except HDF5_ERRORS as error:
        raise Rejected(_not_opened(path, one_line(error))) from None
    with file:
        yield file


def _not_opened(path: Path, message: str) -> Defect:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
    if size == 0:
        return _file_defect("empty_file", "0 bytes", "copy or record it again")
    if head == LFS_POINTER:
        found = "a Git-LFS pointer instead of the data"
        return _file_defect("lfs_pointer", found, "run git lfs pull")
    if (
        "truncated file" in message
        or HDF5_SIGNATURE.startswith(head)
        or (_has_signature(path) and size < SUPERBLOCK)
    ):
        return Defect(
            code="truncated",
            place="file",
            found=_cut_off(size, message),
            expected="a file as long as it says itself",
            remedy="copy the file again from where it was recorded; what is cut off is lost",
        )
    if not _has_signature(path):
        remedy = "remove the file from the folder, or narrow the dataset's pattern"
        return _file_defect("not_hdf5", "no HDF5 signature", remedy)
    return Defect(
        code="unreadable",
        place="file",
        found=f"HDF5 cannot open it: {message}",
        expected="an intact HDF5 file",
        remedy="copy the file again; a recorder that was killed leaves such files behind",
    )


def _cut_off(size: int, message: str) -> str:
    declared = re.search(r"stored_eof = (\d+)", message)
    whole = f" of {int(declared[1]):,}" if declared else ""
    return f"cut off after {size:,}{whole} bytes"


def _has_signature(path: Path) -> bool:
    """Whether the signature stands where HDF5 looks: at byte 0, 512, 1024, 2048 and so on."""
    offset, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            if file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
                return True
            offset = max(512, offset * 2)
    return False
