"""The report of fifty experiments: its size, how long it takes, and that it can be read."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from support.report import drawn, written
from support.results import make_results

MEGABYTES, SECONDS = 15, 60


@pytest.mark.long
def test_fifty_experiments_make_a_page_that_can_be_read(tmp_path: Path) -> None:
    made = make_results(tmp_path, 50)
    start = time.process_time()  # of this process alone: others may keep the machine busy
    page = written(made, drawn(made, kinds=("svg", "pdf", "png")))
    assert time.process_time() - start <= SECONDS
    assert page.stat().st_size <= MEGABYTES * 10**6
    html = page.read_text(encoding="utf-8")
    assert html.count('<div class="head"><strong>') == 50
    assert "Drawn: 8 of 50 experiments, of the highest skill." in html
    lead = re.search(r'<p class="lead">(.*?)</p>', html, re.DOTALL)
    assert lead is not None and len(lead.group(1).split()) < 80
    assert re.search(r"\d+ experiments", lead.group(1))  # counted, not listed
