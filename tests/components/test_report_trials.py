"""Real drives in the report: first screen, closed section, tables and figure, blind and not."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.reporting import drawable
from mobile_vla.config.trials import TrialSettings
from mobile_vla.layout import CaptionFiles, TrialFiles
from mobile_vla.reporting.answer import answers
from mobile_vla.reporting.load import load_datasets, load_runs
from mobile_vla.reporting.ranking import rankings
from mobile_vla.sentence import say
from mobile_vla.texts import Texts
from mobile_vla.trials.analysis import DrivenBlock, decide, policy_rates
from mobile_vla.trials.result import LeftOut, TrialResult
from mobile_vla.trials.trials import judge
from support.report import ENGLISH, drawn, tabulated, written
from support.results import Results, make_results

FIGURE = "real_drives"
VOID = say(
    "{n} drive {why}",
    n=1,
    why=say("void ({reasons}), driven again within the block", reasons="1 robot"),
)
LORA, LORA_R8 = "lora/seed0", "lora_r8/seed0"


def trial_result(name: str, unblinded: str | None, names: tuple[str, str]) -> TrialResult:
    """Return a trial of 20 blocks, of which the last lacks a drive; one policy is the better."""
    outcomes = [("success", "success" if block % 4 == 0 else "timeout") for block in range(19)]
    blocks = [
        DrivenBlock(number, dict(zip(names, pair, strict=True)))
        for number, pair in enumerate([*outcomes, ("success", None)], start=1)
    ]
    return TrialResult(
        trial=name,
        unblinded=unblinded,
        confidence=0.95,
        scheduled=30,
        begun=20,
        comparisons=1,
        policies=policy_rates(names, blocks, 0.05, blind=unblinded is None),
        pairs=decide(names, blocks, 0.95, earlier=0, scheduled=[names] * 10),
        voids=[] if unblinded is None else [3],
        left_out=[LeftOut(reason="void", rows=1, sentence=VOID)],
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of three experiments, and trials: told, blind, and not scheduled yet."""
    made = make_results(tmp_path_factory.mktemp("trials"), 3)
    trials = [
        trial_result("hall", "2026-11-28T12:00:00+00:00", (LORA, LORA_R8)),
        trial_result("yard", None, ("A", "B")),
        judge(TrialSettings(trial="later", policies=(LORA, LORA_R8), confidence=0.95), None),
    ]
    for own in trials:
        own.write(TrialFiles.below(made.results, trial=own.trial).trial)
    names = tuple(own.trial for own in trials)
    made.settings = made.settings.model_copy(
        update={"trials": names, "figures": drawable(made.settings.runs, (), names)}
    )
    provenance = next(path for path in made.provenance if path.is_file())
    for path in made.provenance:
        if not path.is_file():
            path.write_bytes(provenance.read_bytes())
    return made


@pytest.fixture(scope="module")
def html(made: Results) -> str:
    return written(made, drawn(made, [FIGURE])).read_text(encoding="utf-8")


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\u00a0", " ")


def test_the_first_screen_has_real_drives_in_place_of_simulated_ones(html: str) -> None:
    lead = text_of(" ".join(re.findall(r'<p class="lead">.*?</p>', html, re.DOTALL)))
    assert "blind trial hall: lora/seed0 arrives in 20 of 20 drives (74 % to 100 %), " in lead
    assert "lora/seed0 arrives more often than lora_r8/seed0: 14 blocks to 0 (p ≤ " in lead
    assert "blind trial yard: Policies are letters until" in lead
    assert "A arrives more often than B" in lead
    assert "blind trial later: There is no schedule yet" in lead
    assert "In closed loop" not in lead
    table = html[html.index('class="sortable') : html.index("</table>")]
    assert "arrives (real)" in table and "closed-loop success" not in table
    assert "100 % (74 % to 100 %)" in text_of(table)


def test_the_section_is_closed_and_has_tables_figure_and_what_was_left_out(html: str) -> None:
    start = html.index("<details><summary>Real drives")
    section = html[start : html.index("</details>", start)]
    assert section.count("<table") == 4 and 'id="figure-real_drives"' in section
    assert "1 drive void (1 robot)" in section
    blind = text_of(section[section.index("Trial yard") :])
    assert "lora" not in blind
    assert "MAE" in section and "closed-loop success" in section  # beside the drives


def test_without_real_drives_simulated_ones_are_told_and_a_blind_trial_hides_no_sentence(
    made: Results,
) -> None:
    runs, t = load_runs(made.settings, made.results), ENGLISH
    hall, yard, _ = (
        TrialResult.read(TrialFiles.below(made.results, trial=name).trial)
        for name in made.settings.trials
    )
    compared = ComparisonResult.read(made.comparison)
    facts = load_datasets(made.settings, made.results)
    assert "In closed loop" in " ".join(answers(compared, runs, facts, t)[0].sentences)
    assert "In closed loop" in " ".join(answers(compared, runs, facts, t, [yard])[0].sentences)
    real = " ".join(answers(compared, runs, facts, t, [hall])[0].sentences)
    assert "In closed loop" not in real
    assert [own.driven for own in rankings(compared, runs, {}, t, [yard])] == ["success"]
    assert [own.driven for own in rankings(compared, runs, {}, t, [hall])] == ["arrives"]


def test_tables_have_policies_and_pairs(made: Results) -> None:
    files = tabulated(made)
    policies = list(csv.DictReader(files["drives"].open()))
    assert [row["policy"] for row in policies] == [LORA, LORA_R8, "A", "B"]
    assert policies[0]["drives"] == "20" and policies[2]["drives"] == "19"
    assert policies[1]["timeout"] == "14" and policies[2]["unblinded"] == ""
    (hall, yard) = csv.DictReader(files["drive_pairs"].open())
    assert (hall["better"], hall["wins"], hall["missing"]) == (LORA, "14", "1")
    assert yard["better"] == "A"
    assert files["drives"].with_suffix(".tex").is_file()


def test_the_figure_says_what_it_shows_and_where_a_trial_is_blind_no_history(
    made: Results, tmp_path: Path
) -> None:
    svg = drawn(made, [FIGURE], tmp_path / "drawn")[FIGURE].read_text(encoding="utf-8")
    assert "block 1, lora/seed0: 1 of 1" in svg and "arrives more often than" in svg
    assert "A: 19 of 19" in svg and "block 1, A" not in svg
    captions = CaptionFiles.below(tmp_path / "drawn").captions.read_text(encoding="utf-8")
    assert "lora/seed0 arrives more often than lora_r8/seed0" in captions


def test_the_korean_page_has_the_same(made: Results) -> None:
    korean = made.settings.model_copy(update={"language": "ko"})
    html = written(Results(made.folder, korean)).read_text(encoding="utf-8")
    assert "lora/seed0" in text_of(html) and Texts.of("ko")("trial.section") in html
    assert "주행 1번: 무효(1 robot), 블록 안에서 다시 주행함" in text_of(html)
