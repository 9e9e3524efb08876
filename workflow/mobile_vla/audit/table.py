"""Lay findings out as a table for the terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from mobile_vla.audit.result import Finding

LINES = 60  # there are not many more codes; audit.json and the page hold every finding
WIDTH = 160  # characters of a finding


def table(dataset: str, episodes: int, findings: Sequence[Finding]) -> str:
    """Return a line for each code: how many findings, and the first place.

    Args:
        dataset: its name.
        episodes: how many were checked.
        findings: in the order in which they are shown.
    """
    if not findings:
        return f"audit of {dataset}: {episodes} episodes, nothing to report"
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        kind: str = finding.severity if finding.accepted is None else "accepted"
        groups[kind, finding.code].append(finding)
    accepted = sum(finding.accepted is not None for finding in findings)
    count = len(findings) - accepted
    lines = [
        f"audit of {dataset}: {count} finding{'s' if count != 1 else ''} about {episodes} episodes"
        + (f", and {accepted} accepted" if accepted else "")
    ]
    for (kind, code), members in list(groups.items())[:LINES]:
        first = members[0]
        where = f"{first.episode}, {first.place}" if first.episode else first.place
        more = f" (and {len(members) - 1} more)" if len(members) > 1 else ""
        text = first.found if len(first.found) <= WIDTH else first.found[: WIDTH - 1] + "…"
        why = f" (accepted: {first.accepted})" if first.accepted is not None else ""
        lines.append(f"  {kind:<9} {code:<29} {where}: {text}{more}{why}")
    if len(groups) > LINES:
        lines.append(f"  … and {len(groups) - LINES} more kinds of findings")
    return "\n".join(lines)
