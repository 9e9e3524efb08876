"""Keep drives on disk as they happen: pictures as they came, answers, and times.

A drive is a folder while it lasts, so that what was driven is there even if the power fails:
``drive.json``, ``steps.jsonl`` with a line a step, and ``pictures.bin``, one picture after another.
A recorder locks the folders of the drives that it keeps.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Callable

from mobile_vla.serving.drives import Drive

log = logging.getLogger(__name__)

HEAD, STEPS, PICTURES = "drive.json", "steps.jsonl", "pictures.bin"
UNFINISHED = ".drive"  # suffix of a drive's folder
# Of a file system without them; as in mobile_vla.locks, which no bundle carries.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class _Kept:
    """The folder of a drive, which is locked from :meth:`begin` or :meth:`hold` to :meth:`free`."""

    def __init__(self, place: Path):
        self.place = place
        self.whole = True
        """Whether each step until now was kept."""
        self._lock: int | None = None

    def begin(self, head: dict[str, Any]) -> None:
        """Make the folder."""
        self.place.mkdir()
        (self.place / HEAD).touch()
        self.hold()
        (self.place / HEAD).write_text(json.dumps(head, ensure_ascii=False), encoding="utf-8")

    def hold(self) -> bool:
        """Lock the folder; return False where there is none, or another recorder has the lock."""
        try:
            self._lock = os.open(self.place / HEAD, os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                self.free()
                return False
        return True

    def free(self) -> None:
        """Unlock the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def add(self, picture: bytes, facts: dict[str, Any]) -> None:
        """Add a step."""
        with (self.place / PICTURES).open("ab") as file:
            first = file.tell()
            file.write(picture)
        with (self.place / STEPS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({**facts, "first": first, "bytes": len(picture)}) + "\n")


class Recorder:
    """Records drives in a thread of its own, so that no step waits for the disk.

    A drive is recorded up to the first step that could not be kept: an episode has no gaps, whose
    frames on both sides would count as neighbours.

    Args:
        folder: where drives are kept.
        facts: what is kept with each drive, such as the policy.
        finish: makes one file of a drive's folder, and removes the folder.

    Raises:
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, facts: dict[str, Any], finish: Callable[[Path], None]):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # can it be written to?
        self.folder, self.facts, self._finish = folder, facts, finish
        self.thread = ThreadPoolExecutor(1, "recorder")
        self.failed = 0  # steps that could not be kept
        self.open: dict[str, _Kept] = {}
        self.work: list[Future[None]] = []
        for left in map(_Kept, sorted(folder.glob(f"*{UNFINISHED}"))):
            if left.hold():  # of a server that was killed
                self._do(self._end, left)

    def begin(self, drive: Drive) -> None:
        """Begin to record a drive."""
        stamp = time.strftime("%Y%m%d_%H%M%S")
        kept = self.open[drive.id] = _Kept(self.folder / f"{stamp}_{drive.id[:8]}{UNFINISHED}")
        head = {
            "began": stamp,
            "session": drive.session,
            "drive": drive.id,
            "prompt": drive.prompt,
            "period": drive.period,
            "ticket": drive.ticket or "",
            **self.facts,
        }
        self._do(_Kept.begin, kept, head)

    def step(self, drive: Drive, picture: bytes, facts: dict[str, Any]) -> None:
        """Keep a picture, and what was answered to it."""
        if drive.id in self.open:
            self._do(self._add, self.open[drive.id], picture, facts)

    def end(self, drive: Drive) -> None:
        """Finish a drive."""
        if drive.id in self.open:
            self._do(self._end, self.open.pop(drive.id))

    def close(self, seconds: float) -> bool:
        """Finish all drives, and return whether that was done in time.

        What is not finished is finished when a recorder of the same folder begins.
        """
        for kept in self.open.values():
            self._do(self._end, kept)
        self.open.clear()
        self.thread.shutdown(wait=False)
        return not wait(self.work, seconds).not_done

    def _do(self, work: Callable[..., None], kept: _Kept, *arguments: Any) -> None:
        self.work = [one for one in self.work if not one.done()]
        self.work.append(self.thread.submit(self._logged, work, kept, *arguments))

    def _logged(self, work: Callable[..., None], kept: _Kept, *arguments: Any) -> None:
        try:
            work(kept, *arguments)
        except Exception as error:  # a drive goes on without a record
            kept.whole = False
            log.error("%s: cannot be recorded, or no further: %s", kept.place, error)

    def _add(self, kept: _Kept, picture: bytes, facts: dict[str, Any]) -> None:
        try:
            if kept.whole:
                kept.add(picture, facts)
        except Exception:
            kept.whole = False
            raise
        finally:
            self.failed += not kept.whole

    def _end(self, kept: _Kept) -> None:
        try:
            self._finish(kept.place)
        finally:
            kept.free()


def read_drive(place: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a drive's head and its whole steps."""
    head = json.loads((place / HEAD).read_text(encoding="utf-8"))
    steps: list[dict[str, Any]] = []
    if not (place / STEPS).exists():
        return head, steps
    there = (place / PICTURES).stat().st_size
    for line in (place / STEPS).read_text(encoding="utf-8").splitlines():
        try:
            step = json.loads(line)
        except ValueError:
            break  # where the power failed, or the disk was full
        if step["first"] + step["bytes"] > there:
            break
        steps.append(step)
    return head, steps


def read_pictures(place: Path, steps: list[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the pictures of a drive's steps, one at a time."""
    with (place / PICTURES).open("rb") as file:
        for step in steps:
            file.seek(step["first"])
            yield file.read(step["bytes"])
