"""Figures are in the page's language where a font has its letters, else in English, and say so."""

from __future__ import annotations

import json
import logging
import re
import warnings
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from mobile_vla.reporting.drawing import fonts
from mobile_vla.texts import Texts
from support.report import drawn, written
from support.results import make_results

KOREAN = Texts.of("ko")
NAMES = ["epoch_time", "confusion"]


def font(path: Path, family: str, letters: str) -> str:
    """Write a font whose letters are all the same square."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for place in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(place)
    pen.closePath()
    square = pen.glyph()
    names = [f"u{ord(letter):04X}" for letter in letters]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names])
    builder.setupCharacterMap(
        {ord(letter): name for letter, name in zip(letters, names, strict=True)}
    )
    builder.setupGlyf(dict.fromkeys([".notdef", *names], square))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names], (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular", "psName": "TestGothic"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    builder.save(path)
    return str(path)


def test_a_font_that_has_all_letters_is_taken_and_the_one_of_papers_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangul = "".join(letter for letter in KOREAN.letters if letter >= "가")
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    installed = [
        str(tmp_path / "broken.ttf"),
        font(tmp_path / "aaa.ttf", "Aaa", hangul),
        font(tmp_path / "half.ttf", "Half", hangul[::2]),
        font(tmp_path / "NanumGothic.ttf", "Test Gothic", hangul),
    ]
    for count, family in ((4, "Test Gothic"), (3, "Aaa"), (1, None)):
        monkeypatch.setattr(fonts, "findSystemFonts", lambda own=installed[:count]: own)
        expected = None if family is None else [fonts.OWN, family]
        assert fonts.families_for(KOREAN.letters) == expected
    assert fonts.families_for(Texts.of("en").letters) == [fonts.OWN]  # needs none


def test_words_in_figures_are_korean_and_no_letter_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangul = "".join(letter for letter in KOREAN.letters if letter >= "가")
    path = font(tmp_path / "NanumGothic.ttf", "Test Gothic", hangul)
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [path])
    made = make_results(tmp_path / "made", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of a letter that no font has
        paths = drawn(made, NAMES, language="ko", kinds=("svg", "pdf"))
    said = re.findall(r"<title>([^<]*)</title>", paths["confusion"].read_text())
    assert any(title.startswith("운전 앞, 예측") for title in said)
    assert b"TestGothic" in paths["confusion"].with_suffix(".pdf").read_bytes()


def test_without_a_font_figures_are_english_and_log_and_page_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fonts, "findSystemFonts", list)
    made = make_results(tmp_path, 2)
    made.settings = made.settings.model_copy(update={"language": "ko"})
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = drawn(made, NAMES, language="ko")
    said = re.findall(r"<title>([^<]*)</title>", paths["confusion"].read_text())
    assert any(title.startswith("driven forward, predicted") for title in said)
    captions = json.loads((made.results / "figures/captions.json").read_text())
    assert captions["confusion"]["title"] == KOREAN("confusion.title")
    assert KOREAN("figure.no_font") in caplog.text
    assert KOREAN("figure.no_font") in written(made, NAMES).read_text()
