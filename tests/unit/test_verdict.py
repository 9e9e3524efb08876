"""What verdicts follow from differences and their intervals."""

from __future__ import annotations

from typing import Any

import pytest

from mobile_vla.evaluation.result import Difference, Use, Verdict
from mobile_vla.evaluation.verdict import judge, use_of


def difference(
    value: float,
    low: float | None,
    high: float | None,
    p: float | None,
    p_holm: float | None = None,
    needed: int | None = None,
) -> Difference:
    adjusted = p if p_holm is None else p_holm
    return Difference(value=value, low=low, high=high, p=p, p_holm=adjusted, needed=needed)


def gap(low: float, high: float, p: float = 0.2, needed: int | None = 40) -> Difference:
    return difference((low + high) / 2, low, high, p, needed=needed)


BETTER, WORSE = gap(-0.3, -0.1, 0.001), gap(0.1, 0.3, 0.001)
UNCLEAR, SEEMS_WORSE = gap(-0.3, 0.1), gap(-0.1, 0.3)


def judged(*differences: Difference, episodes: int = 20, **changed: Any) -> Verdict:
    named = {f"baseline_{index}": own for index, own in enumerate(differences)}
    settings: dict[str, Any] = {"selected_on_scored": False, "image": "used", "prompt": "used"}
    return judge(named, "baseline_0", episodes, episodes, 0.95, **{**settings, **changed})


def test_every_baseline_has_to_be_beaten() -> None:
    assert judged(BETTER, BETTER).outcome == "beats"
    assert judged(BETTER, UNCLEAR).outcome == "inconclusive"
    assert judged(UNCLEAR, BETTER).outcome == "inconclusive"
    assert judged(BETTER, WORSE).outcome == "does_not_beat"


def test_worse_after_correction_is_not_better() -> None:
    found = judged(WORSE, BETTER)
    assert found.outcome == "does_not_beat"
    assert found.against == "baseline_0"
    # Of many baselines one may seem better by chance.
    corrected = difference(0.2, 0.01, 0.4, p=0.03, p_holm=0.3)
    assert judged(corrected, BETTER).outcome == "inconclusive"


def test_an_inconclusive_verdict_has_the_number_of_episodes_and_how_many_it_would_take() -> None:
    found = judged(gap(-0.3, 0.1, needed=1234), gap(-0.2, 0.1, needed=60))
    assert (found.outcome, found.episodes, found.needed) == ("inconclusive", 20, 1234)
    seems_worse = judged(SEEMS_WORSE)
    assert (seems_worse.outcome, seems_worse.needed) == ("inconclusive", None)
    assert judged(gap(-0.3, 0.1), selected_on_scored=True).needed is None


def test_a_log_line_has_the_whole_verdict() -> None:
    assert judged(BETTER, prompt="ignored").summary() == (
        "beats, best baseline baseline_0, 20 episodes, image used, prompt ignored"
    )


def test_below_eight_episodes_every_verdict_is_inconclusive() -> None:
    assert judged(BETTER, episodes=8).outcome == "beats"
    found = judged(BETTER, episodes=7)
    assert (found.outcome, found.episodes) == ("inconclusive", 7)
    assert judged(WORSE, episodes=1).outcome == "inconclusive"


def test_the_same_as_a_baseline_does_not_beat_it() -> None:
    assert judged(difference(0.0, 0.0, 0.0, 1.0)).outcome == "does_not_beat"


@pytest.mark.parametrize("value", [-0.3, 0.0, 0.3])
def test_without_an_interval_nothing_is_claimed(value: float) -> None:
    none = difference(value, None, None, None)
    assert judged(none).outcome == "inconclusive"
    assert judged(BETTER, none).outcome == "inconclusive"
    assert judged(none, BETTER).needed is None


def test_selected_on_the_scored_episodes_there_is_no_verdict_whatever_the_numbers() -> None:
    for own in (BETTER, WORSE, UNCLEAR):
        assert judged(own, selected_on_scored=True).outcome == "no_verdict"


def test_without_use_of_the_image_no_policy_is_good() -> None:
    assert judged(BETTER, image="ignored").outcome == "ignores_image"
    assert judged(UNCLEAR, image="ignored").outcome == "ignores_image"
    found = judged(WORSE, image="ignored")
    assert (found.outcome, found.image) == ("does_not_beat", "ignored")


@pytest.mark.parametrize(
    ("change", "own", "episodes", "use"),
    [
        (0.001, BETTER, 20, "ignored"),
        (0.001, BETTER, 3, "ignored"),  # that nothing changes needs no statistics
        (0.5, BETTER, 20, "used"),
        (0.5, WORSE, 20, "misleading"),
        (0.5, UNCLEAR, 20, "inconclusive"),
        (0.5, BETTER, 3, "inconclusive"),
    ],
)
def test_what_an_input_is_to_a_policy(
    change: float, own: Difference, episodes: int, use: Use
) -> None:
    assert use_of(change, own, 1.15, episodes) == use
