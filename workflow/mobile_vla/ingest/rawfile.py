"""Hash, open and search a raw file; whatever is wrong with it becomes a defect."""

from __future__ import annotations

import errno
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from mobile_vla.ingest.machine import MEMORY, asks_too_much, blame
from mobile_vla.ingest.result import Defect
from mobile_vla.result import FileDigest
from mobile_vla.sentence import Sentence, say, verbatim

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification 3.0, II.A
SUPERBLOCK = 96  # bytes of the longest superblock (version 0 with 8-byte addresses)
MAX_LINKS = 16
LEFT_OPEN = "already open for write"  # what HDF5 says of a file that its writer did not close
COPY_AGAIN = say("copy the file again from where it was recorded")

HDF5_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)
"""What h5py raises for files whose structure is damaged, depending on the damaged byte."""


class Rejected(Exception):  # noqa: N818  (the verdict on a file, not an error of the program)
    """An episode cannot be used; nothing more of it can be read."""

    def __init__(self, *defects: Defect):
        self.defects = list(defects)
        super().__init__(*defects)

    def __str__(self) -> str:
        return "; ".join(f"{defect.code} at {defect.place}" for defect in self.defects)


def rejection(
    code: str, place: str, found: Sentence, expected: Sentence, remedy: Sentence = COPY_AGAIN
) -> Rejected:
    """Return the exception for a single defect."""
    return Rejected(Defect(code=code, place=place, found=found, expected=expected, remedy=remedy))


def one_line(error: BaseException) -> str:
    """Return an error's text on one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"


def fingerprint(path: Path) -> FileDigest:
    """Hash a raw file.

    Raises:
        Rejected: there is no readable, ordinary file at ``path``.
        MachineError: reading it failed for another reason.
    """
    with _reached(path):
        return FileDigest.of(path)


@contextmanager
def _reached(path: Path) -> Iterator[None]:
    """Turn what is wrong with a path into a defect."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = (
                say("a directory")
                if stat.S_ISDIR(mode)
                else say("neither a file nor a link to one")
            )
            raise _no_episode("not_a_file", kind, say("name the episode's file"))
        yield
    except OSError as error:
        raise _unreachable(path, error) from None
    except ValueError as error:  # a null byte in the path
        raise _no_episode("missing", verbatim(one_line(error)), say("correct the path")) from None


def _no_episode(code: str, found: Sentence, remedy: Sentence) -> Rejected:
    return rejection(code, "file", found, say("an HDF5 episode"), remedy)


def _unreachable(path: Path, error: OSError) -> Rejected:
    if error.errno == errno.ELOOP:
        return _no_episode(
            "broken_link", say("a link that leads in a circle"), say("correct the link")
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if path.is_symlink():
            found = say("a link to {target}, which is not there", target=path.readlink())
            return _no_episode("broken_link", found, say("restore the file or correct the link"))
        return _no_episode(
            "missing", say("no such file"), say("restore it, or correct path and pattern")
        )
    if isinstance(error, PermissionError):
        return _no_episode(
            "permission_denied", verbatim(one_line(error)), verbatim(f"chmod +r {path.name}")
        )
    if error.errno != errno.ENAMETOOLONG:
        blame(error, "file")
    return _no_episode("missing", verbatim(one_line(error)), say("correct the path"))


def open_raw(path: Path) -> h5py.File:
    """Open a raw file for reading.

    Raises:
        Rejected: it is not HDF5, or its structure is damaged or cut off.
        MachineError: opening it failed for another reason.
    """
    with _reached(path), path.open("rb"):
        pass
    try:
        return _opened(path)
    except HDF5_ERRORS as error:
        blame(error, "file")
        raise _not_opened(path, one_line(error)) from None


def _opened(path: Path) -> h5py.File:
    # Recorded data often lies on a read-only share, where HDF5 cannot take its lock.
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if LEFT_OPEN not in str(error):
            raise
        # Whole up to the last flush where the recorder wrote for simultaneous readers (SWMR).
        with suppress(OSError):
            return h5py.File(path, "r", locking=False, swmr=True)
        raise


def left_open(path: Path, code: str) -> Rejected:
    """Return the defect of a file whose writer did not close it."""
    found = say("marked as being written: its recorder was killed, or still runs")
    remedy = say(
        "let the recorder end; if it was killed, h5clear -s {file} removes the mark (keep a "
        "copy), and what it had not written by then is lost",
        file=shlex.quote(str(path)),
    )
    return rejection(code, "file", found, say("a file that its recorder closed"), remedy)


def _not_opened(path: Path, message: str) -> Rejected:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
    if size == 0:
        return _no_episode("empty_file", say("0 bytes"), say("copy or record it again"))
    if head == LFS_POINTER:
        found = say("a Git-LFS pointer instead of the data")
        return _no_episode("lfs_pointer", found, verbatim("git lfs pull"))
    if LEFT_OPEN in message:
        return left_open(path, "unreadable")
    signed = h5py.is_hdf5(path)
    if (
        "truncated file" in message
        or HDF5_SIGNATURE.startswith(head)
        or (signed and size < SUPERBLOCK)
    ):
        declared = re.search(r"stored_eof = (\d+)", message)
        found = say("cut off after {size:,} bytes", size=size)
        if declared:
            whole = int(declared[1])
            found = say("cut off after {size:,} of {whole:,} bytes", size=size, whole=whole)
        expected = say("a file as long as it says itself")
        remedy = say("{copy}; what is cut off is lost", copy=COPY_AGAIN)
        return rejection("truncated", "file", found, expected, remedy)
    if not signed:
        remedy = say("remove the file from the folder, or narrow the dataset's pattern")
        return _no_episode("not_hdf5", say("no HDF5 signature"), remedy)
    found = say("HDF5 cannot open it: {message}", message=message)
    return rejection("unreadable", "file", found, say("an intact HDF5 file"))


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn what h5py raises for damaged structures into a defect at ``place``."""
    try:
        yield
    except HDF5_ERRORS as error:
        blame(error, place)
        if asks_too_much(error):
            found = say("reading it takes more than {memory:,} bytes of memory", memory=MEMORY)
            expected = say("at most some kilobytes")
            raise rejection("absurd_size", place, found, expected, say("shorten it")) from None
        found = say("HDF5 cannot read it: {error}", error=one_line(error))
        expected = say("data that is intact to the last chunk")
        raise rejection("unreadable", place, found, expected) from None


def find(file: h5py.File, path: str) -> h5py.Dataset | None:
    """Return a dataset by its path, or None where the file has none.

    Raises:
        Rejected: the path leads out of the file, in a circle, or to something else than a dataset.
    """
    found = locate(file, path)
    if found is None:
        return None
    if not isinstance(found, h5py.Dataset):
        kind = verbatim(type(found).__name__.lower())
        remedy = say("store the array under its name")
        raise rejection("not_a_dataset", path, kind, say("a dataset"), remedy)
    if found.is_virtual:
        raise _not_contained(path, say("a virtual dataset"))
    if found.external:
        raise _not_contained(path, say("raw data in {file}", file=found.external[0][0]))
    return found


def locate(file: h5py.File, path: str) -> h5py.Group | h5py.Dataset | None:
    """Return what stands at a path, or None.

    Links are followed step by step, because a soft link may lead to an external one and HDF5 would
    open the other file.

    Raises:
        Rejected: the path leads out of the file, or in a circle.
    """
    parts, group = [part for part in path.split("/") if part], file["/"]
    links = 0
    while parts:
        part = parts.pop(0)
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.SoftLink):
            links += 1
            if links > MAX_LINKS:
                raise _not_contained(path, say("soft links in a circle"), "broken_link")
            group = file["/"] if link.path.startswith("/") else group
            parts = [step for step in link.path.split("/") if step and step != "."] + parts
            continue
        if not isinstance(link, h5py.HardLink):
            target = getattr(link, "filename", "of an unknown kind")
            raise _not_contained(path, say("a link into another file, {target}", target=target))
        group = group[part]
    return group


def _not_contained(place: str, found: Sentence, code: str = "external_link") -> Rejected:
    remedy = say("copy the data into the episode's file, with h5repack")
    return rejection(code, place, found, say("the data itself"), remedy)
