"""Make, order and describe findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import CATALOGUE, SEVERITIES, Declared
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.sentence import Sentence

LISTED = 50  # frames or spans that a finding names

EpisodeCheck = Callable[[EpisodeFacts, Declared], Iterator[Finding]]
"""A check of one usable episode."""

SetCheck = Callable[[Sequence[EpisodeFacts], Declared], Iterator[Finding]]
"""A check of usable episodes together."""


def of_episode(
    facts: EpisodeFacts | None,
    code: str,
    place: str,
    *,
    found: Sentence,
    expected: Sentence,
    remedy: Sentence,
    frames: Sequence[int] = (),
) -> Finding:
    """Return a finding about one episode; ``facts`` are None for the dataset as a whole."""
    return Finding(
        code=code,
        severity=CATALOGUE[code].severity,
        episode=None if facts is None else facts.episode,
        file=None if facts is None else facts.place,
        place=place,
        frames=tuple(frames[:LISTED]),
        found=found,
        expected=expected,
        remedy=remedy,
        accepted=None,
    )


of_dataset = partial(of_episode, None)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by severity, then episode, those about the whole dataset first.

    What is accepted comes last.
    """
    return sorted(
        findings,
        key=lambda finding: (
            finding.accepted is not None,
            SEVERITIES.index(finding.severity),
            finding.episode or "",
            finding.code,
            finding.place,
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
    text = ", ".join(
        str(first) if first == last else f"{first}-{last}" for first, last in runs[:LISTED]
    )
    if len(runs) > LISTED:
        text += ", …"
    return f"frame {text}" if len(indices) == 1 else f"frames {text}"


def some(names: Sequence[str], count: int = 10) -> str:
    """Return the first names, and how many more there are, as text."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
