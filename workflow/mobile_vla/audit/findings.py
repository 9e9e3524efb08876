"""A finding: one thing that is wrong or odd about the data, with a severity and a remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mobile_vla.config.audit import Declared
from mobile_vla.config.findings import SEVERITIES, Severity, severity_of

LISTED = 50  # frames of one finding that are named; spans and lists stay readable

Facts = Mapping[str, Any]
"""What ``ingest`` says of an episode."""

EpisodeCheck = Callable[[Facts, Declared], "Iterator[Finding]"]
"""Looks at one usable episode."""

SetCheck = Callable[[Sequence[Facts], Declared], "Iterator[Finding]"]
"""Looks at usable episodes together."""


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found.

    Args:
        code: a code of the catalogue, such as ``black_frames``.
        episode: the episode's name; None for the dataset as a whole.
        file: the raw file; None for the dataset as a whole.
        place: where in the file or dataset, such as ``images, frames 3-5``.
        frames: indices of the frames concerned, ascending, at most :data:`LISTED`; empty where
            the finding concerns none in particular.
        found: what stands there.
        expected: what should stand there.
        remedy: what to do about it.
        accepted: the user's reason why it is no trouble; None where there is none.
    """

    code: str
    episode: str | None
    file: str | None
    place: str
    frames: tuple[int, ...]
    found: str
    expected: str
    remedy: str
    accepted: str | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is: the catalogue says."""
        return severity_of(self.code)

    def record(self) -> dict[str, Any]:
        """Return the finding as audit.json holds it."""
        content = asdict(self)
        code = content.pop("code")
        return {"code": code, "severity": self.severity, **content, "frames": list(self.frames)}


def of_episode(
    facts: Facts,
    code: str,
    place: str,
    *,
    found: str,
    expected: str,
    remedy: str,
    frames: Sequence[int] = (),
) -> Finding:
    """Return a finding about one episode."""
    listed = tuple(frames[:LISTED])
    return Finding(code, facts["episode"], facts["file"], place, listed, found, expected, remedy)


def of_dataset(code: str, place: str, *, found: str, expected: str, remedy: str) -> Finding:
    """Return a finding about the dataset as a whole."""
    return Finding(code, None, None, place, (), found, expected, remedy)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by severity, then episode, those about the whole dataset first.

    What is accepted comes last.
    """
    return sorted(
        findings,
        key=lambda one: (
            one.accepted is not None,
            SEVERITIES.index(one.severity),
            one.episode or "",
            one.code,
            one.place,
        ),
    )


def spans(indices: Sequence[int]) -> str:
    """Return ascending indices as text: ``frame 4``, or ``frames 0-2, 7``."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    shown = runs[:LISTED]
    text = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in shown)
    if len(runs) > len(shown):
        text += f" and so on, {len(indices)} in all"
    single = len(runs) == 1 and runs[0][0] == runs[0][1]
    return f"frame {text}" if single else f"frames {text}"


def some(names: Sequence[str], count: int = 10) -> str:
    """Return names in one line: the first ones, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
