"""Tables for a paper: LaTeX with the booktabs package, numbers rounded as on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mobile_vla.reporting.format import number

ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "\u00a0": "~",
}


def latex(lines: Sequence[Mapping[str, Any]], head: Sequence[str] = ()) -> str:
    """Return a ``tabular`` that needs ``\\usepackage{booktabs}``.

    Args:
        lines: all with the same keys, which become the head. Columns of numbers are set to the
            right, and fractions rounded to three digits; None is a dash.
        head: the keys, where there may be no line.
    """
    columns = list(head or lines[0])
    kinds = "".join(
        "r" if any(_is_number(line[name]) for line in lines) else "l" for name in columns
    )
    rows = [[_text(line[name]) for name in columns] for line in lines]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{kinds}}}",
            r"\toprule",
            _row([_escape(name.replace("_", " ")) for name in columns]),
            r"\midrule",
            *map(_row, rows),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _text(value: Any) -> str:
    if value is None:
        return "--"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _escape(number(value) if isinstance(value, float) else str(value))


def _escape(text: str) -> str:
    return "".join(ESCAPED.get(character, character) for character in text)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
