from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mobile_vla.errors import UserError
from mobile_vla.layout import CaptionFiles, ReportFiles, TrainingFiles
from mobile_vla.provenance.record import Provenance
from mobile_vla.reporting import page_files
from mobile_vla.reporting.format import number, parameters, percent
from mobile_vla.reporting.page import inline
from mobile_vla.training.result import write_metrics
from support.report import SOURCES, drawn, hollow, written
from support.results import Results, make_results
from support.rewriting import rewrite
from support.training_results import epoch_of

SECTIONS = ("summary", "data", "experiments", "training", "evaluation", "cost", "provenance")
VOID = {"meta", "link", "br", "img"}


class Structure(HTMLParser):
    """Notes what a page refers to, its ids and sections, and whether its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sections: list[str] = []
        self.references: list[str] = []
        self.alts: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "section":
            self.sections.append(str(values["id"]))
        if tag == "svg" and values.get("aria-hidden") != "true":
            self.alts.append(str(values["aria-label"]))
        names = ("href", "src", "xlink:href", "srcset", "data", "action")
        self.references += [str(values[name]) for name in names if name in values]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return make_results(tmp_path_factory.mktemp("four"), 4, beats=[True, False, True, True])


@pytest.fixture(scope="module")
def whole(made: Results) -> str:
    """The page of four experiments with all figures drawn."""
    return written(made, drawn(made)).read_text(encoding="utf-8")


def text_of(made: Results) -> str:
    return written(made).read_text(encoding="utf-8")


def parsed(html: str) -> Structure:
    structure = Structure()
    structure.feed(html)
    structure.close()
    assert not structure.open
    return structure


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", "".join(parsed(html).text))


def test_the_page_is_whole_and_refers_to_nothing_outside(whole: str, made: Results) -> None:
    found = parsed(whole)
    assert tuple(found.sections) == SECTIONS
    assert [id_ for id_, n in Counter(found.ids).items() if n > 1] == []
    for reference in found.references:
        assert reference.startswith("data:") or reference[1:] in found.ids, reference
    assert set(re.findall(r"url\(#([^)]+)\)", whole)) <= set(found.ids)
    assert not re.findall(r"url\((?!#)|@import|<script[^>]* src", whole)
    for name in made.settings.figures:
        assert f"figure-{name}" in found.ids
    assert "#1b2530" not in whole.split("</style>", 1)[1]  # figures follow the page's colours
    assert str(made.folder) not in whole


def test_equal_results_give_equal_bytes(made: Results) -> None:
    assert text_of(made) == text_of(made)


def stands_in(value: float, text: str) -> bool:
    """Whether a text has a value, with as many decimals as its column has."""
    return any(re.search(rf"(?<![\d.]){value:.{n}f}(?!\d)", text) for n in range(2, 7))


def test_values_equal_those_of_the_json_files(whole: str, made: Results) -> None:
    text = plain(whole)
    for path in made.evaluations:
        scored = json.loads(path.read_text())
        for errors in (scored["policy"], *scored["baselines"].values()):
            for metric in ("mae", "mse", "rmse"):
                assert all(stands_in(value, text) for value in errors[metric].values())
    for path in made.trainings:
        assert f"{json.loads(path.read_text())['parameters']['trainable_total']:,}" in text
    for path in made.rollouts:
        share = json.loads(path.read_text())["drivers"]["policy"]["success"]
        low, high = percent(share["low"]), percent(share["high"])
        said = f"{percent(share['rate'])} ({low} to {high}, n = {share['trials']})"
        assert said.replace("\u00a0", " ") in text
    for path in made.languages:
        assert stands_in(json.loads(path.read_text())["mae"]["opposite"]["overall"], text)
    assert "30 episodes, 600 frames" in text


def test_alternative_texts_state_the_finding(whole: str, made: Results) -> None:
    alts = dict(re.findall(r'figure-([a-z_]+)">.*?<svg [^>]*aria-label="([^"]*)"', whole, re.S))
    assert set(alts) == set(made.settings.figures)
    assert [name for name, alt in alts.items() if not re.search(r"\d", alt)] == []
    scored = json.loads(made.evaluations[0].read_text())
    trained = json.loads(made.trainings[0].read_text())
    rolled = json.loads(made.rollouts[0].read_text())
    policy, motion = scored["policy"]["mae"]["overall"], scored["motion"]
    said = {
        "loss_curves": number(trained["best_val_loss"]),
        "error_by_dimension": f"lora {number(policy)}",
        "differences": number(scored["differences"]["replay"]["value"]),
        "error_by_step": number(scored["by_step"][0]["policy"]["mae"]["overall"]),
        "confusion": number(motion["macro_f1"]),
        "epoch_time": number(trained["avg_epoch_time"]),
        "closed_loop": percent(rolled["drivers"]["expert"]["success"]["rate"]),
        "coverage": "30 episodes",
    }
    for name, value in said.items():
        assert value in alts[name], (name, value, alts[name])


def test_verdicts_are_said_plainly(tmp_path: Path) -> None:
    text = plain(text_of(make_results(tmp_path, 2, beats=[True, False])))
    assert "On 12 test episodes, lora has the lowest error" in text
    assert "lora is ahead of every baseline; lora_r8 is behind replay." in text
    assert "It is ahead of every baseline, the best of which is replay." in text
    assert "It is not ahead of the best baseline, replay." in text
    assert "lora is ahead of lora_r8." in text


def test_without_test_episodes_every_number_says_so_and_there_is_no_verdict(tmp_path: Path) -> None:
    text = plain(text_of(make_results(tmp_path, 2, scored_on="val")))
    assert text.count("no verdict") >= 3
    assert "because the scored episodes chose its checkpoint" in text
    # Each line of the first table, and the table of errors, of which the page has two captions.
    assert text.count("12 val episodes, which also chose the checkpoint") == 2 + 1
    assert "the policy's errors are too low" in text
    assert "There is no verdict on lora and lora_r8" in text
    assert "lora is ahead of" not in text.replace("whether lora is ahead of", "")  # as advised
    assert "It is ahead of every" not in text


def test_one_experiment_alone_reads_well(tmp_path: Path) -> None:
    text = plain(text_of(make_results(tmp_path, 1, beats=False)))
    assert "lora is behind replay." in text
    assert "There is one experiment" in text
    assert " 1 experiments" not in text


def test_different_steps_are_kept_apart(tmp_path: Path) -> None:
    html = text_of(make_results(tmp_path, 2, chunks=(10, 8)))
    assert "numbers of different tables may not" in plain(html)
    assert len(re.findall(r"<caption><span>Errors on ", html)) == 2
    assert "The lowest error is" not in html


def test_a_dirty_tree_is_said_in_red(tmp_path: Path) -> None:
    clean = text_of(make_results(tmp_path / "clean", 1))
    assert "All results come from commit 4f2a9c1e7d, without local changes" in clean
    assert "dirty" not in clean.split("</style>")[1]
    dirty = text_of(make_results(tmp_path / "dirty", 1, dirty=True))
    assert re.search(r'<p class="alarm">\d+ of \d+ jobs ran from a dirty tree', dirty)
    assert '<span class="alarm">dirty tree</span>' in dirty
    assert '{"threads":1}' in plain(dirty)  # the job's settings


def test_only_the_settings_that_differ_stand_side_by_side(tmp_path: Path) -> None:
    html = text_of(make_results(tmp_path, 2))
    table = html.split("Settings that differ")[-1].split("</table>")[0]
    assert re.findall(r'<th scope="col">([a-z_.]+)</th>', table) == ["experiment", "lora.r"]
    assert re.findall(r"<td>(\d+)</td>", table) == ["32", "8"]


def test_notes_and_the_share_of_trained_parameters_stand_beside_the_settings(
    tmp_path: Path,
) -> None:
    made = make_results(tmp_path, 4)
    assert "why</th>" not in text_of(made)
    notes = {"full_finetune": "All of it <is> trained."}
    made.settings = made.settings.model_copy(update={"notes": notes})
    table = text_of(made).split("Settings that differ")[-1].split("</table>")[0]
    rows = table.split('<th scope="row">')[1:]
    full = next(row for row in rows if "full_finetune" in row)
    assert '<td class="wrap">All of it &lt;is&gt; trained.</td>' in full
    for name, added in (("full_finetune", ["head"]), ("lora", ["head", "adapter"])):
        path = TrainingFiles.below(made.results, experiment=name, run="seed0").results
        counts = json.loads(path.read_text())["parameters"]
        whole = counts["backbone_total"] + sum(counts["trainable"][part] for part in added)
        share = percent(counts["trainable_total"] / whole)
        assert f">{parameters(counts['trainable_total'])} ({share})</td>" in table
    assert sum('<td class="wrap"></td>' in row for row in rows) == 3


def test_a_note_alone_is_shown_where_no_setting_differs(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    made.settings = made.settings.model_copy(update={"notes": {"lora": "The first try."}})
    assert "The first try." in text_of(made).split("Settings that differ")[-1]


def test_every_group_of_parameters_that_some_run_trained_is_counted(tmp_path: Path) -> None:
    html = text_of(make_results(tmp_path, 4))
    table = html.split("Trained parameters, by part of the policy")[-1].split("</table>")[0]
    head = re.findall(r'<th scope="col" class="n">([a-z ]+)</th>', table)
    full = table.split("full_finetune")[1].split("</tr>")[0]
    values = dict(zip(head, re.findall(r'<td class="n"[^>]*>([^<]+)</td>', full), strict=True))
    assert values["vision"] == "812,032"
    assert values["adapter"] == "0"
    assert values["trained in all"] == "2,765,844"


def test_text_from_files_is_escaped(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    title = "<script>alert(1)</script> & co"
    made.settings = made.settings.model_copy(update={"title": title})
    html = text_of(made)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in html
    assert "the file&#39;s &lt;name&gt;" in html  # a finding of the audit


def test_the_findings_of_the_audit_and_the_quarantine_are_listed(tmp_path: Path) -> None:
    text = plain(text_of(make_results(tmp_path, 1)))
    assert "mean +0.310 in an episode" in text
    assert "images, frame 12: cut off after 4,096 bytes" in text
    assert "3 findings in 31 episodes" in text


def test_findings_show_their_frames_and_why_they_were_accepted(tmp_path: Path) -> None:
    html = text_of(make_results(tmp_path, 1))
    assert re.search(
        r'<img src="data:image/gif;base64,[^"]+"[^>]* alt="black frames: [^"]*, frame 3', html
    )
    assert "the lamp failed, and the robot saw that too" in plain(html)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\n{% if %}", r"page\.html\.j2:2: "),
        ("{{ nothing.here }}", "'nothing' is undefined"),
        ("{{ t('no.such') }}", "no text 'no.such'; add it"),
        (None, "not there"),
    ],
)
def test_a_broken_template_is_the_users_to_mend(
    made: Results,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str | None,
    message: str,
) -> None:
    monkeypatch.setattr(page_files, "FOLDER", tmp_path / "report")
    shutil.copytree(SOURCES, tmp_path / "report")
    template = tmp_path / "report/page/page.html.j2"
    template.unlink()
    if source is not None:
        template.write_text(source)
    report = ReportFiles.below(made.results).report
    report.unlink(missing_ok=True)
    with pytest.raises(UserError, match=message):
        written(made)
    assert not report.exists()


def test_unknown_provenance_is_not_an_error(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    unknown = {"git": None, "settings": None, "versions": {"torch": None}}
    for path in made.provenance:
        Provenance.read(path).model_copy(update=unknown).write(path)
    text = plain(text_of(made))
    assert "No commit is known of 14 jobs: they did not run in a git checkout." in text
    assert "traintraining" in text.replace(" ", "")  # named after the file beside the result


def test_a_command_that_names_a_thousand_files_does_not_fill_the_page(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    before = len(text_of(made))
    command = "python -m mobile_vla manifest " + "episode.json " * 10_000
    job = Provenance.read(made.provenance[0])
    job.model_copy(update={"command": command}).write(made.provenance[0])
    assert len(text_of(made)) < before + 5_000
    assert "130,030 characters; the provenance file has them all" in plain(text_of(made))


def test_a_figure_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "loss_curves.svg"
    with pytest.raises(UserError, match="no SVG figure"):
        inline(path, "")
    path.write_text("<svg></svg>")
    with pytest.raises(UserError, match="viewBox"):
        inline(path, "")


def test_padding_that_dilutes_the_loss_is_warned_of(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    assert "Padding dilutes" not in text_of(made)
    found = json.loads(made.trainings[1].read_text())
    found["padding"] = {
        "action_dim": 7,
        "velocities": 2,
        "averaged_over": 6,
        "best_val_loss_arm_act": 0.0123,
    }
    made.trainings[1].write_text(json.dumps(found))
    text = plain(text_of(made))
    assert "lora_r8 writes 7 outputs a step, of which 2 are velocities" in text
    assert "a mean over 6 dimensions" in text and "It was 0.0123 on" in text


def test_steps_that_the_loss_scaler_skipped_are_counted(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    found = json.loads(made.trainings[1].read_text())
    made.trainings[1].write_text(json.dumps({**found, "skipped_steps": 7, "steps": 144}))
    text = plain(text_of(made))
    assert "lora_r8: in 7 of 144 optimiser steps the gradient was infinite" in text
    assert text.count("optimiser steps the gradient was infinite") == 1


def test_each_run_has_its_first_and_last_loss_and_the_time_of_an_epoch(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    made.settings.runs[1].settings["preset"] = "mobile_vla_lora_20251112"
    first = epoch_of(0, 0.126, 0.122, train_loss_arm_act=0.05, val_loss_arm_act=0.041)
    last = epoch_of(1, 0.0194, 0.0198, train_loss_arm_act=0.007, val_loss_arm_act=0.0066)
    write_metrics(made.metrics[1], [first, last])
    found = json.loads(made.trainings[1].read_text())
    found.update(initial_val_loss=0.122, final_val_loss=0.0198, best_epoch=1, best_val_loss=0.0198)
    found["padding"] = {
        "action_dim": 7,
        "velocities": 2,
        "averaged_over": 6,
        "best_val_loss_arm_act": 0.0066,
    }
    made.trainings[1].write_text(json.dumps(found))
    html = text_of(made)
    text = plain(html)
    assert "mobile_vla_lora_20251112" in text
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", html, re.S)]
    cells = next(row for row in rows if "mobile_vla_lora_20251112" in row and number(0.122) in row)
    assert cells[:2] == ["lora_r8", "mobile_vla_lora_20251112"]
    assert {number(value) for value in (0.122, 0.0198, 0.041, 0.0066)} | {"−83.8"} <= set(cells)
    assert "train loss_arm_act" in text and number(0.007) in text


def test_the_unit_of_the_errors_is_that_of_the_data(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    assert "1.15 becomes 1 when normalised" in plain(text_of(made))
    for path in made.evaluations:
        rewrite(path, json.loads(path.read_text()) | {"action_scale": 0.5})
    said = plain(text_of(made))
    assert "0.500 becomes 1 when normalised" in said
    assert "key press" not in said and "m/s" not in said


def test_an_empty_figure_is_left_out(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    hollow(made)
    path = CaptionFiles.below(made.results).captions
    words = json.loads(path.read_text())
    words["language"]["empty"] = True
    path.write_text(json.dumps(words))
    found = parsed(written(made, made.settings.figures).read_text())
    assert "figure-language" not in found.ids and "figure-confusion" in found.ids
