"""The answer in words: what is said follows from the comparison, and contradicts no table."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.evaluation.result import Difference
from mobile_vla.reporting.answer import answers
from mobile_vla.reporting.format import number, whole_percent
from mobile_vla.reporting.load import DatasetFacts, Run, load_datasets, load_runs
from mobile_vla.texts import Texts
from support.advice_facts import dataset, equal_drives
from support.comparisons import compared, judged, with_drives
from support.report import ENGLISH
from support.results import Results, make_results

KOREAN = Texts.of("ko")


FOLDER = TemporaryDirectory()  # gone with the interpreter


@cache
def results(experiments: int = 2) -> Results:
    return make_results(Path(FOLDER.name) / str(experiments), experiments)


@cache
def runs() -> tuple[Run, ...]:
    made = results()
    return load_runs(made.settings, made.results)


@cache
def facts() -> DatasetFacts:
    made = results()
    (own,) = load_datasets(made.settings, made.results)
    return own


def named(name: str, **changed: Any) -> Run:
    """Return a run of an experiment with this name; ``rollouts=None`` takes its rollouts away."""
    run = runs()[0]
    settings = run.settings.model_copy(update={"experiment": name})
    return Run(**{**vars(run), "settings": settings, **changed})


def said(
    scores: ComparisonResult,
    made: list[Run] | None = None,
    datasets: tuple[DatasetFacts, ...] = (),
    t: Texts = ENGLISH,
) -> str:
    every = made or [named(own.experiment) for own in scores.experiments]
    success: dict[str, list[float]] = {}
    for run in every:
        if run.rollouts is not None:
            rate = run.rollouts.drivers["policy"].success.rate
            success.setdefault(run.settings.experiment, []).append(rate)
    found = answers(with_drives(scores, success), every, datasets, t)
    assert all(1 <= len(own.sentences) <= 3 for own in found)
    return " ".join(" ".join([own.label, *own.sentences]) for own in found).replace("\u00a0", " ")


def test_a_leader_is_named_with_those_behind_it() -> None:
    scores = compared(judged("a", "beats"), judged("b", "does_not_beat"), ahead=[("a", "b")])
    text = said(scores)
    assert text.startswith(
        " On 12 test episodes, a has the lowest error (0.150 command units) and is ahead of b. "
        "a is ahead of every baseline; b is behind replay. In closed loop, a reaches the target in "
    )


def test_who_is_tied_and_what_would_separate_them() -> None:
    three = [judged(name, "beats") for name in "abc"]
    ahead = [("a", "c"), ("b", "c")]
    text = said(compared(*three, ahead=ahead, needed=187))
    assert "is ahead of c; b is tied with it; telling a and b apart would take about 190 " in text
    assert "All 3 are ahead of every baseline." in text
    assert "a and b reach the target" in text
    without = said(compared(*three, ahead=ahead))
    assert "b is tied with it." in without and "apart" not in without


def test_without_a_leader_none_is_named() -> None:
    text = said(compared(judged("a", "inconclusive"), judged("b", "inconclusive"), needed=30))
    assert "no experiment is ahead of another: a and b are tied; telling a and b apart" in text
    assert "Both are neither ahead of nor behind replay." in text
    assert "lowest" not in text


def test_many_are_counted_and_few_are_named() -> None:
    every = [judged(f"e{index:02}", "beats") for index in range(50)]
    ahead = [("e00", own["experiment"]) for own in every[5:]]
    text = said(compared(*every, ahead=ahead, needed=99))
    assert "e00 has the lowest error (0.150 command units) and is ahead of 45 experiments; " in text
    assert "4 experiments are tied with it; telling e00 and e01 apart" in text
    assert "All 50 are ahead of every baseline." in text and "5 experiments reach" in text


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("beats", "a is ahead of every baseline."),
        ("inconclusive", "a is neither ahead of nor behind replay."),
        ("does_not_beat", "a is behind replay."),
        ("ignores_image", "a ignores its images, so its error proves nothing."),
    ],
)
def test_one_experiment_stands_beside_its_best_baseline(outcome: str, expected: str) -> None:
    text = said(compared(judged("a", outcome)))
    assert text.startswith(
        " On 12 test episodes, a has an error of 0.150 command units, and the best baseline, "
        f"replay, one of 0.200. {expected} In closed loop"
    )


def test_the_error_of_the_best_baseline_itself_is_no_lead() -> None:
    own = judged("a", "does_not_beat")
    own["differences"]["replay"] |= {"value": 0.0, "low": 0.0, "high": 0.0}
    assert "a has the same error as the best baseline, replay." in said(compared(own))


def test_episodes_that_chose_the_checkpoint_carry_no_verdict() -> None:
    text = said(compared(*(judged(name, "no_verdict") for name in "ab")))
    assert text.startswith(" There is no verdict on a and b: the scored episodes also chose their")
    assert "lowest" not in text and "baseline" not in text


def test_too_few_episodes_conclude_nothing() -> None:
    text = said(compared(*(judged(name, "inconclusive", episodes=2) for name in "ab"), needed=9))
    assert text.startswith(" With 2 test episodes nothing can be concluded: that takes at least 8.")
    assert "ahead" not in text and "tied" not in text


def test_experiments_without_a_common_step_are_not_ranked() -> None:
    text = said(compared(judged("a", "beats"), judged("b", "beats"), why="no step"))
    assert "a and b cannot be ranked: no step." in text


def test_closed_loop_is_that_of_the_leaders_and_says_who_does_better() -> None:
    result = runs()[0].rollouts
    assert result is not None
    shares = {
        name: whole_percent(own.success.rate).replace("\u00a0", " ")
        for name, own in result.drivers.items()
    }
    worse = result.model_copy(
        update={"drivers": {**result.drivers, "policy": result.drivers["replay"]}}
    )
    scores = compared(judged("a", "beats"), judged("b", "beats"), ahead=[("a", "b")])
    text = said(scores, [named("a"), named("b", rollouts=worse)])
    assert (
        f"In closed loop, a reaches the target in {shares['policy']} of drives in unseen scenes "
        f"(expert {shares['expert']}, replay {shares['replay']})."
    ) in text
    better = said(scores, [named("a", rollouts=worse), named("b")])
    assert better.endswith(
        f"; b, with a higher error, does so in {shares['policy']}: "
        "the lower error does not arrive more often."
    )
    tied = compared(judged("a", "beats"), judged("b", "beats"))
    better = said(tied, [named("a", rollouts=worse), named("b")])
    assert better.endswith(
        f"; b does so most often ({shares['policy']}), and not a ({shares['replay']}), "
        "whose error is the lowest."
    )
    for same in (scores, tied):
        assert "arrive more often" not in said(same, [named("a"), named("b")])
        assert "most often" not in said(same, [named("a"), named("b", rollouts=worse)])


def test_a_difference_in_driving_that_may_be_chance_makes_no_sentence() -> None:
    result = runs()[0].rollouts
    assert result is not None
    policy = result.drivers["policy"]
    rate = policy.success.model_copy(update={"rate": policy.success.rate - 0.1})
    less = policy.model_copy(update={"success": rate})
    fewer = result.model_copy(update={"drivers": {**result.drivers, "policy": less}})
    scores = compared(judged("a", "beats"), judged("b", "beats"), ahead=[("a", "b")])
    text = said(scores, [named("a", rollouts=fewer), named("b")])
    assert "In closed loop" in text and "does so" not in text
    assert whole_percent(rate.rate).replace("\u00a0", " ") in text


def test_that_nothing_was_driven_is_said() -> None:
    text = said(compared(judged("a", "beats")), [named("a", rollouts=None)])
    assert (
        text.endswith("do not show whether the robot arrives.") and "In closed loop, a" not in text
    )


def test_a_falling_loss_is_no_success_where_a_replay_does_as_well() -> None:
    training = runs()[0].training.model_copy(
        update={"initial_val_loss": 1.0, "best_val_loss": 0.04}
    )
    made = [named("a", training=training, rollouts=None)]
    for outcome in ("inconclusive", "no_verdict"):
        text = said(compared(judged("a", outcome)), made, (dataset(**equal_drives(11, 13)),))
        assert (
            "The validation loss of a fell by 96 %, but 11 of 13 drives have the same commands, "
            "and replay, which repeats them, has an error of 0.200 beside 0.150."
        ) in text
    assert "11 of 13" not in said(
        compared(judged("a", "beats")), made, (dataset(**equal_drives(11, 13)),)
    )
    assert "11 of 13" not in said(compared(judged("a", "inconclusive")), made, (facts(),))


def test_datasets_have_an_answer_each() -> None:
    first = compared(judged("a", "beats"), judged("b", "beats"), ahead=[("a", "b")])
    other = compared(judged("c", "does_not_beat", dataset="yard"))
    both = first.model_copy(
        update={
            "experiments": [*first.experiments, *other.experiments],
            "groups": [*first.groups, *other.groups],
        }
    )
    found = answers(both, [named(name) for name in "abc"], (), ENGLISH)
    assert [own.label for own in found] == ["demo", "yard"]
    assert "c" not in found[0].sentences[0].split() and "ahead of b" in found[0].sentences[0]
    assert found[1].sentences[1] == "c is behind replay."


def test_real_comparisons_in_both_languages() -> None:
    for experiments in (1, 2):
        made = results(experiments)
        scores = ComparisonResult.read(made.comparison)
        every = list(load_runs(made.settings, made.results))
        english = said(scores, every, (facts(),))
        korean = said(scores, every, (facts(),), KOREAN)
        best = min(scores.experiments, key=lambda own: own.mae.value)
        for text in (english, korean):
            assert best.experiment in text
            leads = any(own.better for own in scores.groups[0].pairs)
            assert (number(best.mae.value) in text) == (leads or experiments == 1)
            assert not re.search(r"{|}|\d-|-0\.0", text)
        assert re.findall(r"\d\.\d+", english) == re.findall(r"\d\.\d+", korean)


def test_a_difference_that_is_worse_names_the_baseline_ahead() -> None:
    own = judged("a", "does_not_beat")
    gap = {**own["differences"]["replay"], "value": -0.01, "low": -0.03, "high": 0.01}
    own["baselines"]["ridge"] = 0.21
    own["differences"] = {"ridge": own["differences"]["replay"], "replay": gap}
    assert Difference.model_validate(own["differences"]["ridge"]).worse
    assert "a is behind ridge." in said(compared(own))


def test_an_inconclusive_verdict_names_the_baseline_that_it_is_not_ahead_of() -> None:
    own = judged("a", "inconclusive")  # ahead of the best baseline, whose interval lies below 0
    gap = {**own["differences"]["replay"], "value": -0.06, "low": -0.13, "high": 0.01}
    own["baselines"]["ridge"], own["differences"]["ridge"] = 0.21, gap
    text = said(compared(own))
    assert "a is neither ahead of nor behind ridge." in text
