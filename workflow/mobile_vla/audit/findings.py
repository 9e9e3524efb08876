"""A finding: one thing that is wrong or odd about the data, with a severity and a remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from mobile_vla.config.windows import Actions

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

Facts = Mapping[str, Any]
"""What ``ingest`` says of an episode."""

EpisodeCheck = Callable[[Facts, Actions], "Iterator[Finding]"]
"""Looks at one usable episode."""

SetCheck = Callable[[Sequence[Facts], Actions], "Iterator[Finding]"]
"""Looks at all usable episodes together."""


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found.

    Args:
        code: short stable name, such as ``black_frames``.
        severity: ``error`` makes the episode unusable, ``warning`` makes results doubtful,
            ``info`` is good to know.
        episode: the episode's name; None for the dataset as a whole.
        file: the raw file; None for the dataset as a whole.
        place: where in the file or dataset, such as ``images, frames 3-5``.
        found: what stands there.
        expected: what should stand there.
        remedy: what to do about it.
    """

    code: str
    severity: Severity
    episode: str | None
    file: str | None
    place: str
    found: str
    expected: str
    remedy: str

    def record(self) -> dict[str, str | None]:
        """Return the finding as audit.json holds it."""
        return asdict(self)


def of_episode(
    facts: Facts,
    code: str,
    severity: Severity,
    place: str,
    *,
    found: str,
    expected: str,
    remedy: str,
) -> Finding:
    """Return a finding about one episode."""
    return Finding(code, severity, facts["episode"], facts["file"], place, found, expected, remedy)


def of_dataset(
    code: str, severity: Severity, place: str, *, found: str, expected: str, remedy: str
) -> Finding:
    """Return a finding about the dataset as a whole."""
    return Finding(code, severity, None, None, place, found, expected, remedy)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by severity, then episode, those about the whole dataset first."""
    return sorted(
        findings,
        key=lambda one: (SEVERITIES.index(one.severity), one.episode or "", one.code, one.place),
    )


def spans(indices: Iterable[int]) -> str:
    """Return ascending indices as text: ``frame 4``, or ``frames 0-2, 7``."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    text = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    single = len(runs) == 1 and runs[0][0] == runs[0][1]
    return f"frame {text}" if single else f"frames {text}"
