"""Keep drives on disk as they happen: pictures as they came, answers, and times.

A drive is a folder while it lasts, so that what was driven is there even if the power fails:
``drive.json``, ``steps.jsonl`` with a line a step, and ``pictures.bin``, one picture after another.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Callable

from mobile_vla.serving.drives import Drive

log = logging.getLogger(__name__)

HEAD, STEPS, PICTURES = "drive.json", "steps.jsonl", "pictures.bin"
UNFINISHED = ".drive"  # suffix of a drive's folder


class Recorder:
    """Records drives in a thread of its own, so that no step waits for the disk.

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
        self.open: dict[str, Path] = {}
        self.work: list[Future[None]] = []
        # Those of a server that was killed.
        for left in sorted(folder.glob(f"*{UNFINISHED}")):
            self._do(self._finish, left)

    def begin(self, drive: Drive) -> None:
        """Begin to record a drive."""
        stamp = time.strftime("%Y%m%d_%H%M%S")
        place = self.folder / f"{stamp}_{drive.id[:8]}{UNFINISHED}"
        self.open[drive.id] = place
        head = {
            "began": stamp,
            "session": drive.session,
            "drive": drive.id,
            "prompt": drive.prompt,
            "period": drive.period,
            "ticket": drive.ticket or "",
            **self.facts,
        }
        self._do(_begin, place, head)

    def step(self, drive: Drive, picture: bytes, facts: dict[str, Any]) -> None:
        """Keep a picture, and what was answered to it."""
        if drive.id in self.open:
            self._do(_add, self.open[drive.id], picture, facts)

    def end(self, drive: Drive) -> None:
        """Finish a drive."""
        if drive.id in self.open:
            self._do(self._finish, self.open.pop(drive.id))

    def close(self, seconds: float) -> bool:
        """Finish all drives, and return whether that was done in time.

        What is not finished is finished when a recorder of the same folder begins.
        """
        for place in self.open.values():
            self._do(self._finish, place)
        self.open.clear()
        self.thread.shutdown(wait=False)
        return not wait(self.work, seconds).not_done

    def _do(self, work: Callable[..., None], *arguments: Any) -> None:
        self.work = [one for one in self.work if not one.done()]
        self.work.append(self.thread.submit(self._logged, work, *arguments))

    def _logged(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except Exception as error:  # a drive goes on without a record
            self.failed += 1
            log.error("%s: cannot be recorded: %s", arguments[0], error)


def _begin(place: Path, head: dict[str, Any]) -> None:
    place.mkdir()
    (place / HEAD).write_text(json.dumps(head, ensure_ascii=False), encoding="utf-8")


def _add(place: Path, picture: bytes, facts: dict[str, Any]) -> None:
    with (place / PICTURES).open("ab") as file:
        first = file.tell()
        file.write(picture)
    with (place / STEPS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({**facts, "first": first, "bytes": len(picture)}) + "\n")


def read_drive(place: Path) -> tuple[dict[str, Any], list[dict[str, Any]], list[bytes]]:
    """Return a drive's head, its whole steps, and their pictures."""
    head = json.loads((place / HEAD).read_text(encoding="utf-8"))
    steps: list[dict[str, Any]] = []
    pictures: list[bytes] = []
    if not (place / STEPS).exists():
        return head, steps, pictures
    data = (place / PICTURES).read_bytes()
    for line in (place / STEPS).read_text(encoding="utf-8").splitlines():
        try:
            step = json.loads(line)
        except ValueError:
            break  # where the power failed
        picture = data[step["first"] : step["first"] + step["bytes"]]
        if len(picture) < step["bytes"]:
            break
        steps.append(step)
        pictures.append(picture)
    return head, steps, pictures
