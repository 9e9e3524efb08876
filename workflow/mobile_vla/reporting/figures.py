"""Draw the figures of the report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from mobile_vla.config.reporting import FIGURES, FigureSettings
from mobile_vla.files import write_json
from mobile_vla.layout import CaptionFiles, FigureFiles
from mobile_vla.reporting.drawing import (
    baselines,
    behaviour,
    cost,
    data,
    examples,
    parts,
    sweeps,
    training,
    training_size,
    trials,
)
from mobile_vla.reporting.drawing.fonts import OWN, families_for
from mobile_vla.reporting.drawing.style import FORMATS, Drawn, save, styled
from mobile_vla.reporting.load import load_runs, load_scores, load_trials
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.result import Caption
from mobile_vla.reporting.sweeps import sweep_tables
from mobile_vla.texts import Texts

log = logging.getLogger(__name__)

DRAWINGS = {
    "data": data,
    "training": training,
    "baselines": baselines,
    "parts": parts,
    "trials": trials,
    "closed_loop": behaviour,
    "language": behaviour,
    "sweeps": sweeps,
    "training_size": training_size,
    "examples": examples,
    "cost": cost,
    "latency": cost,
}
"""By place on the page, the module with the drawings of its figures."""


def drawing_of(name: str) -> Callable[[Material], Drawn]:
    """Return the function that draws a figure, which has the figure's name."""
    place = next(place for place, names in FIGURES.items() if name in names)
    draws: Callable[[Material], Drawn] = getattr(DRAWINGS[place], name)
    return draws


def figures(settings: FigureSettings, results: Path) -> None:
    """Draw all figures, each as SVG, PDF and PNG, and write their captions."""
    draw(settings, results, results)


def draw(
    settings: FigureSettings, results: Path, derived: Path, formats: Iterable[str] = FORMATS
) -> None:
    """Draw figures of results, with comparison, figures and captions in the folder ``derived``.

    Each of the ``formats`` takes as long as all drawing.
    """
    runs = load_runs(settings, results)
    scores = load_scores(derived)
    t = Texts.of(settings.language)
    families = families_for(t.letters)
    if families is None:
        log.warning("figures: %s", t("figure.no_font"))
    material = Material(
        results=results,
        runs=runs,
        datasets=settings.datasets,
        scores=scores,
        texts=t,
        labels=t if families else Texts.of("en"),
        sweeps=sweep_tables(settings.sweeps, runs, scores),
        chosen=settings.example,
        trials=load_trials(settings, results),
    )
    captions = {}
    with styled(families or [OWN]):
        for name in settings.figures:
            drawn = drawing_of(name)(material)
            save(drawn.figure, FigureFiles.below(derived, figure=name), formats)
            caption = f"{t(f'{name}.caption')} {drawn.note}".strip()
            words = Caption(
                title=t(f"{name}.title"),
                caption=caption,
                alt=drawn.alt,
                empty=drawn.empty,
                no_font=families is None,
            )
            captions[name] = words.model_dump()
    write_json(CaptionFiles.below(derived).captions, captions)
