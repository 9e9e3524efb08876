"""The catalogue of findings as the table of docs/audit.md.

python tests/support/codes.py    writes it there anew
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/audit.md"
START, END = "<!-- printed by tests/support/codes.py -->\n", "<!-- end of the table -->\n"

sys.path.insert(0, str(ROOT / "workflow"))

from mobile_vla.config.audit import CATALOGUE  # noqa: E402  (found by the line above)


def table() -> str:
    """Return a table for each topic."""
    lines: list[str] = []
    for topic in dict.fromkeys(kind.topic for kind in CATALOGUE.values()):
        lines += ["", f"### {topic}", "", "| code | severity | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{code}` | {kind.severity} | {kind.meaning} |"
            for code, kind in CATALOGUE.items()
            if kind.topic == topic
        ]
    return "\n".join([*lines, "", ""])


def renewed(page: str) -> str:
    """Return a page with the table as it is today."""
    head, rest = page.split(START)
    return head + START + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
