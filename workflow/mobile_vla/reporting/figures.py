"""Draw the figures of the report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import FigureSettings
from mobile_vla.files import write_json
from mobile_vla.layout import CaptionFiles, ComparisonFiles, FigureFiles
from mobile_vla.reporting import drawing
from mobile_vla.reporting.drawing.drawn import Drawn
from mobile_vla.reporting.drawing.style import FORMATS, save, styled
from mobile_vla.reporting.load import load_runs
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.result import Caption
from mobile_vla.reporting.sources import texts_file
from mobile_vla.reporting.sweeps import sweep_tables
from mobile_vla.reporting.texts import Texts


def figures(settings: FigureSettings, results: Path) -> None:
    """Draw all figures, each as SVG, PDF and PNG, and write their captions.

    Args:
        settings: the runs, the datasets and the figures.
        results: the folder of all results.

    Raises:
        UserError: an input is missing or is not what the report reads.
    """
    draw(settings, results, results)


def draw(
    settings: FigureSettings, results: Path, derived: Path, formats: Iterable[str] = FORMATS
) -> None:
    """Draw figures of results that lie in another folder than figures and comparison.

    Args:
        settings: the runs, the datasets and the figures.
        results: the folder of the results of datasets and runs.
        derived: the folder of the comparison, and of the figures and captions to write.
        formats: what to write each figure as; every format takes as long as all drawing.
    """
    runs = load_runs(settings, results)
    scores = ComparisonResult.read(ComparisonFiles.below(derived).comparison)
    material = Material(
        results=results,
        runs=runs,
        datasets=settings.datasets,
        scores=scores,
        texts=Texts.read(texts_file(settings.language)),
        labels=Texts.read(texts_file("en")),
        sweeps=sweep_tables(settings.sweeps, runs, scores),
    )
    captions = {}
    with styled():
        for name in settings.figures:
            drawn: Drawn = getattr(drawing, name)(material)
            save(drawn.figure, FigureFiles.below(derived, figure=name), formats)
            words = Caption(title=drawn.title, caption=drawn.caption, alt=drawn.alt)
            captions[name] = words.model_dump()
    write_json(CaptionFiles.below(derived).captions, captions)
