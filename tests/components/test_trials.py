"""From a trial's files to `trials.json`: letters, versions, what is left out, words, page."""

from __future__ import annotations

import random

import pytest

from mobile_vla.config.trials import TrialSettings
from mobile_vla.layout import TrialFiles
from mobile_vla.reporting.trials import rounded_up, trial_sentences
from mobile_vla.texts import Texts
from mobile_vla.trials.files import DRIVES, OUTCOMES, UNBLINDED
from mobile_vla.trials.reading import read_trial
from mobile_vla.trials.records import Fixed, Unblinded
from mobile_vla.trials.result import TrialResult
from mobile_vla.trials.trials import judge
from support.report import ENGLISH
from support.trials import DIGESTS, POLICIES, drive, next_of, scheduled

KOREAN = Texts.of("ko")
LORA, HEAD_ONLY = POLICIES
WHEN = "2026-11-28T12:00:00Z"


def settings(policies=POLICIES):
    return TrialSettings(trial="hall", policies=policies, confidence=0.95)


def result(files, digests=DIGESTS):
    return judge(settings(tuple(digests)), read_trial(files.path, digests))


def drive_as(files, arrives, drives, digests=DIGESTS):
    """Drive what is due; each policy arrives with its probability."""
    draw, policies = random.Random(0), files.key().policies
    for _ in range(drives):
        chance = arrives[policies[next_of(files).ticket]]
        drive(files, ["success" if draw.random() < chance else "collision"], digests)


def unblind(files):
    rows = [Fixed.of(files.lines(name)) for name in (DRIVES, OUTCOMES)]
    fixed = Unblinded(unblinded=WHEN, drives=rows[0], outcomes=rows[1])
    (files.path / UNBLINDED).write_text(fixed.model_dump_json())


@pytest.fixture(scope="module")
def clear(tmp_path_factory):
    """A trial of ten blocks, in nine of which one policy arrives always and the other never."""
    files = scheduled(tmp_path_factory.mktemp("trials") / "hall", blocks=10)
    drive_as(files, {LORA: 1, HEAD_ONLY: 0}, 19)
    return files


@pytest.fixture
def files(tmp_path):
    return scheduled(tmp_path / "hall", blocks=10)


def test_before_unblinding_a_result_has_letters_no_name_and_no_single_drive(clear):
    found = result(clear)
    assert [own.policy for own in found.policies] == ["A", "B"]
    assert found.unblinded is None and found.voids == []
    text = found.model_dump_json()
    for policy in POLICIES:
        assert policy not in text and DIGESTS[policy] not in text
    assert [own.history for own in found.policies] == [[], []]
    assert [own.now.drives for own in found.policies] == [9, 9]  # not of the block under way
    (pair,) = found.pairs
    letters = clear.key().letters
    assert pair.better == letters[LORA] and (pair.blocks, pair.missing) == (9, 1)


def test_after_unblinding_it_has_names_and_all_drives(clear):
    unblind(clear)
    found = result(clear)
    (clear.path / UNBLINDED).unlink()
    assert [own.policy for own in found.policies] == list(POLICIES)
    assert found.unblinded == "2026-11-28T12:00:00+00:00"
    (pair,) = found.pairs
    assert (pair.better, pair.worse, pair.decided_after, pair.decided_in) == (*POLICIES, 8, 8)
    assert pair.holds is True and pair.remaining == 0
    assert sum(own.now.drives for own in found.policies) == 19
    assert [rate.drives for rate in found.policies[0].history][:3] == [1, 2, 3]


def test_a_policy_that_was_trained_again_begins_anew_and_counts_in_the_number_of_pairs(files):
    drive_as(files, {LORA: 1, HEAD_ONLY: 0}, 4)
    again = {**DIGESTS, LORA: "another"}
    found = result(files, again)
    assert found.comparisons == 2 and found.pairs[0].blocks == 0 and found.pairs[0].missing == 0
    assert ("earlier", 2) in [(one.reason, one.rows) for one in found.left_out]
    drive_as(files, {LORA: 1, HEAD_ONLY: 0}, 16, again)
    found = result(files, again)
    assert found.pairs[0].blocks == 8 and found.pairs[0].p < 0.05 < found.pairs[0].p_holm
    assert result(files).pairs[0].blocks == 2  # the same bytes again: their drives count


def test_void_drives_are_marked_in_their_block_and_decide_nothing(files):
    drive(files, ["success", "void", "success"])
    unblind(files)
    found = result(files)
    assert found.voids == [1] and found.begun == 1 and found.pairs[0].blocks == 1
    assert "void" in {one.reason for one in found.left_out}


def test_late_rows_do_not_change_what_was_unblinded(files):
    drive_as(files, {LORA: 1, HEAD_ONLY: 0}, 4)
    unblind(files)
    before, told = result(files), (files.path / UNBLINDED).read_text()
    (files.path / UNBLINDED).unlink()  # as on another copy, where drives go on
    drive_as(files, {LORA: 0, HEAD_ONLY: 1}, 10)
    (files.path / UNBLINDED).write_text(told)
    after = result(files)
    assert after.pairs[0].wins == before.pairs[0].wins == 2
    assert [own.now for own in after.policies] == [own.now for own in before.policies]
    assert {"late"} == {one.reason for one in after.left_out}


def test_a_policy_that_is_not_on_the_schedule_is_said(files):
    found = result(files, {**DIGESTS, "full/seed0": "new"})
    assert len(found.policies) == 2 and len(found.pairs) == 1
    assert [str(one.sentence) for one in found.left_out] == [
        "full/seed0 is not on the schedule; a trial under another name would have it"
    ]


def test_a_trial_without_a_schedule_says_how_to_make_one():
    found = judge(settings(), None)
    assert (found.scheduled, found.policies, found.pairs, found.comparisons) == (0, [], [], 0)
    (said,) = trial_sentences(found, ENGLISH)
    assert "python -m mobile_vla schedule hall" in said


def told(found: TrialResult, t=ENGLISH) -> str:
    return " ".join(trial_sentences(found, t)).replace("\u00a0", " ")


def changed(found: TrialResult, **pair: object) -> TrialResult:
    return found.model_copy(update={"pairs": [found.pairs[0].model_copy(update=pair)]})


def test_a_decision_reads_as_a_sentence_for_the_paper(clear):
    unblind(clear)
    found = result(clear)
    (clear.path / UNBLINDED).unlink()
    text = told(found)
    assert " of 10 drives (" in text and "head_only/seed0 arrives in 0 of " in text
    assert "lora/seed0 arrives more often than head_only/seed0: 9 blocks to 0 (p ≤ 0.02, " in text
    assert "valid at every look); this would hold had the missing drives of 1 block gone" in text
    assert "corrected" not in text
    assert "this would not hold had" in told(changed(found, holds=False))
    three = changed(found, holds=None).model_copy(update={"comparisons": 3})
    assert "valid at every look, corrected for 3 pairs)." in told(three)
    weaker = told(changed(found, evidence_now=3.0))
    assert "valid at every look); decided after 8 blocks, and weaker since" in weaker
    assert "9" in told(found, KOREAN) and "lora/seed0" in told(found, KOREAN)


def test_what_is_open_says_its_chance_and_never_a_single_number_of_blocks(files):
    drive_as(files, {LORA: 0.7, HEAD_ONLY: 0.6}, 10)
    found = result(files)
    assert "Policies are letters until `unblind hall`; 5 of 10 blocks were begun." in told(found)
    open_pair = {"better": None, "blocks": 25, "remaining": 40, "low": -0.3, "high": 0.31}
    some = changed(found, **open_pair, chance=0.35)
    assert "A and B: inconclusive after 25 blocks" in told(some)
    assert "35 % chance of a decision within the remaining 40 blocks" in told(some)
    assert "differences above 31 points are ruled out." in told(some)
    assert "unlikely to be decided" in told(changed(found, **open_pair, chance=0.08))
    early = {**open_pair, "blocks": 12}
    assert "8.0 % chance" in told(changed(found, **early, chance=0.08))
    ended = {**open_pair, "remaining": 0, "chance": 0.0}
    more = changed(found, **ended, needed_low=12, needed_high=80)
    assert "a decision would take about 12 to 80 more blocks" in told(more)
    assert "more than 120 more" in told(changed(found, **ended, needed_low=120, needed_high=None))
    assert "more than 500 more" in told(changed(found, **ended, needed_low=None, needed_high=None))
    for t in (ENGLISH, KOREAN):
        assert told(more, t) and told(some, t)


def test_many_pairs_are_counted_on_the_first_screen(files):
    found = result(files)
    many = found.model_copy(update={"pairs": found.pairs * 6})
    assert told(many).endswith("0 of 6 pairs are decided.")


@pytest.mark.parametrize(
    ("p", "text"),
    [(9 / 256, "0.036"), (0.05, "0.05"), (0.0201, "0.021"), (1.0, "1"), (1e-9, "1e-09")],
)
def test_a_p_value_is_never_rounded_down(p, text):
    assert rounded_up(p) == text


def test_a_result_is_written_and_read(files, tmp_path):
    drive_as(files, {LORA: 1, HEAD_ONLY: 0}, 3)
    path = TrialFiles.below(tmp_path, trial="hall").trial
    result(files).write(path)
    assert TrialResult.read(path) == result(files)
