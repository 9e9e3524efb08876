"""The form of ``*.provenance.json``: the circumstances of a job."""

from __future__ import annotations

from pydantic import JsonValue

from mobile_vla.result import Result


class Commit(Result):
    """The state of the project's checkout."""

    commit: str
    """Hash of the commit."""
    dirty: bool
    """Whether a tracked file differs from it, config.yaml apart, or code or presets are in none."""


class Provenance(Result):
    """``*.provenance.json``: how a result was made."""

    stage: str
    """The command's name."""
    settings: dict[str, JsonValue] | None
    """What the command was given."""
    inputs: dict[str, str]
    """SHA-256 of each small input, by path."""
    code: list[str]
    """The command's modules, each with the digest of its code."""
    versions: dict[str, str | None]
    """Versions of the packages that can change the result; None for one that is not installed."""
    git: Commit | None
    """State of the checkout; None outside of one."""
    command: str
    """The command line."""
    host: str
    """Name of the machine."""
    device: str | None
    """GPU or processor; None for a job that uses no torch."""
    threads: int | None
    """CPU threads of torch; None for a job that uses no torch."""
    python: str
    """Version of Python."""
    started: str
    """Start of the job, as ISO time."""
    finished: str
    """End of the job, as ISO time."""
    seconds: float
    """How long the job took."""
