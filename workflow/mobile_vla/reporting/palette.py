"""The colours of figures and page: an experiment has the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence

# Okabe and Ito, "Color Universal Design" (2008): told apart with any colour vision. Black is the
# text's, and yellow is left out because it vanishes on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

# The page replaces these by its own, light or dark; they occur in no other meaning.
INK = "#1b2530"
FAINT = "#5b6673"
GRID = "#dfe4ea"
BASELINE = "#9aa5b1"
PAPER = "#fefefe"
LIGHTEST = (
    "#fcfcfc"  # of heat maps: no colour of the theme, so that ink on it stays legible in the dark
)
ALARM = "#b3141d"
THEME = {
    INK: "--ink",
    FAINT: "--faint",
    GRID: "--grid",
    BASELINE: "--baseline",
    PAPER: "--paper",
    ALARM: "--alarm",
}


def color_of(experiment: str, experiments: Sequence[str]) -> str:
    """Return an experiment's colour, given all experiments in their order."""
    return COLORS[experiments.index(experiment) % len(COLORS)]
