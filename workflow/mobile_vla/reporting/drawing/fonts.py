"""Find a font for the letters of a language that matplotlib's own font lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font

OWN = "DejaVu Sans"
"""The font that comes with matplotlib."""
PREFERRED = ("NanumGothic", "Noto Sans KR", "Noto Sans CJK KR", "Malgun Gothic", "AppleGothic")
"""Families that papers in Korean are set in; any other that has the letters serves, too."""
TRUETYPE = ".ttf"  # PDFs hold it as publishers ask for; other formats they hold as drawings


def families_for(text: str) -> list[str] | None:
    """Return the font families that have all letters of a text: matplotlib's, and one more.

    The machine's fonts are listed anew: matplotlib's own list does not notice one that is installed
    after it was made.

    Returns:
        None where the machine has no such font.
    """
    letters = {ord(letter) for letter in text if letter.isprintable()}
    lacking = letters - _letters_of(findfont(FontProperties(family=OWN)))
    if not lacking:
        return [OWN]
    for path in _candidates():
        if lacking <= _letters_of(path):
            fontManager.addfont(path)
            family = FontProperties(fname=path).get_name()
            for other in _beside(path):  # its bold letters
                fontManager.addfont(other)
            return [OWN, family]
    return None


def _letters_of(path: str) -> set[int]:
    """Return the letters that a font has; none where matplotlib cannot read the file."""
    try:
        return set(get_font(path).get_charmap())
    except (OSError, RuntimeError):
        return set()


def _candidates() -> Iterator[str]:
    """Yield the machine's fonts, preferred families and regular weights first."""

    def rank(path: str) -> tuple[bool, int, int, str]:
        name = Path(path).stem.replace("-", "").replace("_", "").lower()
        wanted = [family.replace(" ", "").lower() for family in PREFERRED]
        place = next((at for at, family in enumerate(wanted) if name.startswith(family)), 99)
        return (place == 99, place, len(name), path)

    fonts = sorted(findSystemFonts(), key=rank)
    yield from sorted(fonts, key=lambda path: not path.lower().endswith(TRUETYPE))


def _beside(path: str) -> list[str]:
    """Return the other weights of a font, which lie beside it."""
    stem = Path(path).stem.removesuffix("-Regular")
    return sorted(str(other) for other in Path(path).parent.glob(f"{stem}*{Path(path).suffix}"))
