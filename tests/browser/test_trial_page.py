"""A trial's page and sheet in Chromium: for everybody, by keyboard, and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdf import PdfReader

from mobile_vla.robot.serve import trial_server
from mobile_vla.serving.application import Server
from mobile_vla.trials.files import OUTCOMES, SHEET, TrialFolder
from mobile_vla.trials.sheet import write_sheet
from support.chromium import Keyboard, axe, printed, probe
from support.policy_server import LIMITS, Client, serving
from support.trials import SCENES, Page, next_of, numpy_trial, scheduled


@pytest.fixture
def files(tmp_path: Path) -> TrialFolder:
    """A trial of three blocks."""
    return scheduled(tmp_path / "hall")


@pytest.fixture
def client(files: TrialFolder) -> Iterator[Client]:
    """A robot whose drive is under way."""
    server: Server = trial_server(numpy_trial(files), LIMITS)
    with serving(server) as client:
        assert client.reset("robot", None, ticket=next_of(files).ticket)[0] == 200
        yield client


def test_it_is_for_everybody(files: TrialFolder, client: Client, tmp_path: Path) -> None:
    write_sheet(files, "hall", [{**one, "box": "mark 1"} for one in SCENES])
    page = Page(client.port)
    script = f"""{axe()}
      const found = await axe.run(document);
      return found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)]);
    """
    for text in (page.shown(), page.press("success"), (files.path / SHEET).read_text()):
        still = re.sub(r"<meta http-equiv=.refresh.[^>]*>", "", text)  # it leads to no file
        found, console = probe(still, script, tmp_path, width=500)
        assert found == [] and console == []


def test_buttons_are_large_and_within_a_small_window(client: Client, tmp_path: Path) -> None:
    script = """
      const boxes = [...document.querySelectorAll("[name=outcome]")].map((one) => {
        const box = one.getBoundingClientRect();
        return [box.width, box.height, box.right];
      });
      return [boxes, document.documentElement.scrollWidth, innerWidth];
    """
    (boxes, scrolled, width), _ = probe(Page(client.port).shown(), script, tmp_path, width=500)
    assert len(boxes) == 5 and scrolled <= width
    assert all(wide >= 150 and high >= 100 and right <= width for wide, high, right in boxes)


def test_a_drive_is_scored_by_keyboard(files: TrialFolder, client: Client, tmp_path: Path) -> None:
    ticket = next_of(files).ticket
    with Keyboard(f"http://127.0.0.1:{client.port}/trial", tmp_path) as keyboard:
        keyboard.press("Tab")
        assert keyboard.value("document.activeElement.name") == "note"
        keyboard.press("h")
        keyboard.press("i")
        keyboard.press("Enter")  # in the field: it must say nothing
        assert keyboard.value("document.querySelector('[name=note]').value") == "hi"
        for _ in range(2):
            keyboard.press("Tab")
        assert keyboard.value("document.activeElement.value") == "success"
        for _ in range(2):
            keyboard.press("Tab")
        assert files.lines(OUTCOMES) == []
        keyboard.press("Enter")
        keyboard.until("document.querySelector('[role=status]') !== null")
        assert keyboard.value("document.querySelector('[role=status]').innerText") == (
            f"{ticket}: wrong side"
        )
    assert files.lines(OUTCOMES)[0].startswith(f"{ticket},wrong_side,,hi,")


def test_the_sheet_keeps_a_block_on_one_side_of_paper(tmp_path: Path) -> None:
    files = scheduled(tmp_path / "hall", blocks=20)
    write_sheet(files, "hall", [{**one, "box": "mark 1"} for one in SCENES])
    pages = [
        page.extract_text()
        for page in PdfReader(printed((files.path / SHEET).read_text(), tmp_path)).pages
    ]
    assert 3 <= len(pages) <= 5
    rows = files.schedule()
    for one, other in zip(rows[::2], rows[1::2], strict=True):
        assert len({number for number, text in enumerate(pages) if one.ticket in text}) == 1
        assert any(one.ticket in text and other.ticket in text for text in pages)
