"""The rows of a trial's files, and the key that says which ticket is which policy."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from mobile_vla.files import canonical_json, digest_of

Outcome = Literal["success", "collision", "wrong_side", "timeout"]
Scored = Literal[Outcome, "void"]
Reason = Literal["robot", "network", "scene"]
Ending = Literal["scored", "fault", "server_ended", "server_killed"]

ENDS: tuple[Scored, ...] = (*get_args(Outcome), "void")
REASONS: tuple[Reason, ...] = get_args(Reason)
LETTERS = "ABCDEFGHIJ"


class Record(BaseModel):
    """A row of a file, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scheduled(Record):
    """A row of ``SCHEDULE.csv``: a drive that is to be driven."""

    block: int
    """From 1; in each every policy drives the same scene."""
    position: int
    """Its place in the block, from 1. A drive that takes the place of a void one has the same."""
    scene: str
    instruction: str
    ticket: str
    """Random; the key says which policy it stands for."""
    key: str
    """Digest of the part of the key that holds the ticket, with all rows of that part."""


class Driven(Record):
    """A line of ``drives.jsonl``: a drive that took place."""

    ticket: str
    policy: str
    """Digest of the policy's digest with salt and ticket: no two drives have the same."""
    begun: datetime
    """UTC, as all times."""
    ended: datetime | None
    """When the last picture came; None where the server was killed."""
    steps: int | None
    """Pictures that were answered; None likewise."""
    ending: Ending
    """``scored``: its outcome was said; ``fault``: of the policy; or what became of the server."""
    previous: str
    """SHA-256 of the line before; of the first line, the first key of ``SCHEDULE.csv``."""


class Judged(Record):
    """A row of ``outcomes.csv``: what came of a drive."""

    ticket: str
    outcome: Scored
    reason: Reason | Literal[""] = ""
    """Why it is void."""
    note: str = ""
    scored: datetime


class KeyPart(Record):
    """What one call of ``schedule``, or one void drive, added to the key."""

    salt: str
    """Random, so that nobody finds the policies of a digest by trying."""
    policies: dict[str, str]
    """EXPERIMENT/RUN by ticket."""

    def digest(self, rows: Sequence[Scheduled]) -> str:
        """Return the digest of this part with its rows of the schedule, whose ``key`` it is."""
        drives = [
            [row.block, row.position, row.scene, row.instruction, row.ticket]
            for row in sorted(rows, key=lambda row: (row.block, row.position, row.ticket))
        ]
        return digest_of({"salt": self.salt, "policies": self.policies, "drives": drives})


class Key(Record):
    """What ``key.json`` holds."""

    letters: dict[str, str]
    """A, B, … by policy, in random order: the names that the page has before unblinding."""
    parts: tuple[KeyPart, ...]
    versions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By policy the digests of its versions that drove: each pair of versions was looked at."""

    @property
    def policies(self) -> dict[str, str]:
        """EXPERIMENT/RUN by ticket."""
        return {ticket: name for part in self.parts for ticket, name in part.policies.items()}

    def salted(self, ticket: str, digest: str) -> str:
        """Return a policy's digest as ``drives.jsonl`` has it: which drives share one is hidden."""
        return hashlib.sha256(f"{self.parts[0].salt}{ticket}{digest}".encode()).hexdigest()

    def with_version(self, name: str, digest: str) -> Key:
        """Return the key with a version of a policy that drives."""
        known = self.versions.get(name, ())
        if digest in known:
            return self
        return self.model_copy(update={"versions": {**self.versions, name: (*known, digest)}})

    def sealed(self) -> str:
        """Return the key as a text that nobody reads by accident: compressed, in base64."""
        text = canonical_json(self.model_dump(mode="json"))
        return base64.b64encode(zlib.compress(text.encode(), 9)).decode()

    @classmethod
    def opened(cls, sealed: str) -> Key:
        """Return the key of such a text.

        Raises:
            ValueError: it is not one.
        """
        try:
            text = zlib.decompress(base64.b64decode(sealed, validate=True))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        return cls.model_validate_json(text)


class Fixed(Record):
    """The rows of a file when the trial was unblinded."""

    rows: int
    sha256: str
    """Of all rows."""
    each: tuple[str, ...]
    """Of each row, the first 16 hex digits of its SHA-256."""

    @classmethod
    def of(cls, rows: Sequence[str]) -> Fixed:
        """Return what is kept of rows."""
        whole = hashlib.sha256("".join(f"{row}\n" for row in rows).encode()).hexdigest()
        return cls(rows=len(rows), sha256=whole, each=tuple(short_digest(row) for row in rows))


class Unblinded(Record):
    """``unblinded.json``: when the names were told, and which rows there were."""

    unblinded: datetime
    drives: Fixed
    outcomes: Fixed


def line_digest(line: str) -> str:
    """Return the SHA-256 of a line, by which the next one of ``drives.jsonl`` follows it."""
    return hashlib.sha256(line.encode()).hexdigest()


def short_digest(row: str) -> str:
    """Return the digest of a row that ``unblinded.json`` keeps."""
    return line_digest(row)[:16]
