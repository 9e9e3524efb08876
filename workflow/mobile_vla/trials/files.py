"""The folder of a trial: its files are read together, and appended to a whole row at a time.

Writers lock the folder. A row is written in one piece and flushed to the disk; what a power cut
left of one is removed before the next is written.
"""

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from mobile_vla.errors import UserError
from mobile_vla.files import read_json, write_json
from mobile_vla.locks import lock
from mobile_vla.sentence import Sentence, say, verbatim
from mobile_vla.trials.records import Judged, Key, Scheduled, Unblinded

log = logging.getLogger(__name__)

FOLDER = Path("trials")
"""Beside config.yaml; a folder for each trial is in it."""
SCHEDULE, KEY, DRIVES, OUTCOMES = "SCHEDULE.csv", "key.json", "drives.jsonl", "outcomes.csv"
UNBLINDED, DRIVING, SHEET = "unblinded.json", "driving.json", "sheet.html"
TRACKED = (SCHEDULE, KEY, DRIVES, OUTCOMES, UNBLINDED)
"""What a trial's result is made of; the last three come with time."""
HEADINGS = {SCHEDULE: tuple(Scheduled.model_fields), OUTCOMES: tuple(Judged.model_fields)}
RESTORE = "restore it from version control"


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial."""

    path: Path

    @contextmanager
    def locked(self, shared: bool = False) -> Iterator[None]:
        """Hold the folder against other writers, where the file system has locks."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            lock(handle, shared=shared, wait=True)
            yield
        finally:
            os.close(handle)

    def schedule(self) -> list[Scheduled]:
        """Return the rows of the schedule in the order in which they were written.

        Raises:
            UserError: it is not there, or a row is not as ``schedule`` writes it.
        """
        path = self.path / SCHEDULE
        if not path.is_file():
            raise UserError(
                f"{path}: not there; `python -m mobile_vla schedule {self.path.name}` makes it"
            )
        found = []
        for number, line in enumerate(self.lines(SCHEDULE), start=2):
            try:
                found.append(Scheduled.model_validate(cells_of(line, Scheduled)))
            except ValueError as error:
                raise UserError(f"{path}:{number}: {said(error)}; {RESTORE}") from None
        if not found:
            raise UserError(f"{path}: no rows; expected one for each drive; {RESTORE}")
        return found

    def key(self) -> Key:
        """Return the key, once it is known that the schedule is the one that was made with it.

        Raises:
            UserError: key or schedule were changed.
        """
        schedule, path = self.schedule(), self.path / KEY
        if not path.is_file():
            raise UserError(f"{path}: not there; {RESTORE}: without it no drive can be counted")
        try:
            key = Key.opened(read_json(path)["sealed"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: not as `schedule` wrote it ({error!r}); {RESTORE}") from None
        rows: dict[str, list[Scheduled]] = {}
        for row in schedule:
            rows.setdefault(row.key, []).append(row)
        made = {
            part.digest(here)
            for part in key.parts
            for here in rows.values()
            if {row.ticket for row in here} == set(part.policies)
        }
        wrong = [row for digest, here in rows.items() if digest not in made for row in here]
        if wrong:
            raise UserError(
                f"{self.path / SCHEDULE}: {len(wrong)} rows, such as that of ticket "
                f"{wrong[0].ticket}, are not as they were made with {KEY}; {RESTORE}, both files "
                "of one commit"
            )
        return key

    def unblinded(self) -> Unblinded | None:
        """Return which rows there were when the names were told; None before.

        Raises:
            UserError: the file was changed.
        """
        path = self.path / UNBLINDED
        if not path.is_file():
            return None
        try:
            return Unblinded.model_validate(read_json(path))
        except ValidationError as error:
            raise UserError(f"{path}: {said(error)}; {RESTORE}") from None

    def lines(self, name: str) -> list[str]:
        """Return the rows of a file without its heading; a row that is not whole is none.

        Raises:
            UserError: it is not text in UTF-8.
        """
        path = self.path / name
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not text in UTF-8 ({error}); {RESTORE}") from None
        whole = text[: text.rfind("\n") + 1].replace("\r\n", "\n").split("\n")[:-1]
        return whole[1:] if name.endswith(".csv") else whole

    def outcomes(self) -> dict[str, str]:
        """Return what was said first of each ticket; rows that are none are passed over."""
        found: dict[str, str] = {}
        for line in self.lines(OUTCOMES):
            try:
                judged = Judged.model_validate(cells_of(line, Judged))
            except ValueError:
                continue  # `read_trial` lists it
            found.setdefault(judged.ticket, judged.outcome)
        return found

    def append(self, name: str, rows: Sequence[str]) -> None:
        """Append rows to a file, whole ones or none; the caller holds the lock.

        Raises:
            OSError: they cannot be written.
        """
        path = self.path / name
        heading = HEADINGS.get(name)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(path, flags, 0o666)
        try:
            size = os.fstat(file).st_size
            whole = _whole_size(file, size)
            if whole < size:
                log.warning("%s: the last row was not whole; it is removed", path)
                os.ftruncate(file, whole)
            text = "".join(f"{row}\n" for row in rows)
            if whole == 0 and heading is not None:
                text = ",".join(heading) + "\n" + text
            data = text.encode()
            try:
                if os.write(file, data) < len(data):
                    raise OSError(28, "No space left on device", str(path))
                os.fsync(file)
            except OSError:
                os.ftruncate(file, whole)
                raise
        finally:
            os.close(file)
        if whole == 0:
            folder = os.open(self.path, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def write_key(self, key: Key) -> None:
        """Write the key, whole or not at all."""
        about = "which ticket is which policy; not to be decoded before `unblind`"
        write_json(self.path / KEY, {"about": about, "sealed": key.sealed()})


def _whole_size(file: int, size: int) -> int:
    """Return the bytes of a file up to the end of its last whole row."""
    end = size
    while end > 0:
        begin = max(0, end - 4096)
        place = os.pread(file, end - begin, begin).rfind(b"\n")
        if place >= 0:
            return begin + place + 1
        end = begin
    return 0


def cells_of(line: str, kind: type[Scheduled] | type[Judged]) -> dict[str, str]:
    """Return the cells of a row by name.

    Raises:
        ValueError: there are more or fewer of them.
    """
    names = list(kind.model_fields)
    cells = next(csv.reader([line]), [])
    if len(cells) != len(names):
        raise ValueError(
            say(
                "found {cells} cells, expected {expected}: {names}",
                cells=len(cells),
                expected=len(names),
                names=names,
            )
        )
    return dict(zip(names, cells, strict=True))


def row_of(record: Scheduled | Judged) -> str:
    """Return a record as a row of CSV, without the line's end."""
    text = io.StringIO()
    cells = record.model_dump(mode="json").values()
    csv.writer(text, lineterminator="").writerow([" ".join(str(cell).split()) for cell in cells])
    return text.getvalue()


def said(error: ValueError) -> Sentence:
    """Return what is wrong with a row in a few words; what a library says of it stays as it is."""
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        return say(
            "({place}) found {found}: {fault}",
            place=".".join(map(str, fault["loc"])),
            found=repr(str(fault["input"])[:60]),
            fault=fault["msg"].lower(),
        )
    (why,) = error.args
    return why if isinstance(why, Sentence) else verbatim(why)


def now() -> datetime:
    """Return the time, UTC, in whole milliseconds."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
