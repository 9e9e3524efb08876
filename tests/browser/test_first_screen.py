"""What is seen before anything is opened: the answer first, and not too much behind it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from support.chromium import printed, probe
from support.report import drawn, written
from support.results import make_results

WORDS, TABLES, HEIGHT, SHEETS = 2500, 9, 9000, 12
CAPTION = 25  # words


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page of four experiments, as the demo has them, with all figures."""
    made = make_results(
        tmp_path_factory.mktemp("made"), 4, beats=[True, True, False, False], ablation="lora"
    )
    return written(made, drawn(made)).read_text(encoding="utf-8")


def test_what_is_visible_at_first_is_read_in_minutes(page: str, tmp_path: Path) -> None:
    script = """
      const shown = (own) => own.checkVisibility();
      const words = (text) => (text.match(/\\S+/g) || []).length;
      return {
        words: words(document.body.innerText),
        tables: [...document.querySelectorAll("table")].filter(shown).length,
        height: document.documentElement.scrollHeight,
        captions: [...document.querySelectorAll("figure[id] > figcaption")].map((own) => {
          const text = own.cloneNode(true);
          for (const part of text.querySelectorAll("strong, .files")) part.remove();
          return [own.parentNode.id, words(text.textContent)];
        }),
      };
    """
    found, _ = probe(page, script, tmp_path)
    assert 800 < found["words"] <= WORDS
    assert 3 < found["tables"] <= TABLES
    assert 2000 < found["height"] <= HEIGHT
    assert len(found["captions"]) > 15
    assert [own for own in found["captions"] if not 0 < own[1] <= CAPTION] == []


def test_a_print_is_short(page: str, tmp_path: Path) -> None:
    assert 4 <= len(PdfReader(printed(page, tmp_path)).pages) <= SHEETS


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 1400)])
def test_the_first_screen_has_answer_table_and_advice(
    page: str, tmp_path: Path, width: int, height: int
) -> None:
    # A headless window is at least 500 pixels wide, a frame in it is not.
    script = f"""
      const frame = document.createElement("iframe");
      frame.style.cssText = "width:{width}px;height:{height}px;border:0;position:absolute;top:0";
      document.body.append(frame);
      frame.contentDocument.documentElement.innerHTML = document.documentElement.innerHTML;
      const inner = frame.contentDocument;
      for (const own of inner.querySelectorAll("iframe")) own.remove();
      const ends = (name) => inner.querySelector(name).getBoundingClientRect().bottom;
      return {{
        answer: ends(".lead"), table: ends("#summary table"), advice: ends(".advice li p"),
        text: inner.querySelector(".lead").innerText,
      }};
    """
    found: dict[str, Any]
    found, _ = probe(page, script, tmp_path, width=1400)
    assert 0 < found["answer"] < found["table"] < found["advice"] <= height
    assert re.search(r"lora\b.*lora_r8.*In closed loop", found["text"], re.DOTALL)
