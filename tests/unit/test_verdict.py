"""What verdicts follow from differences and their intervals."""

from __future__ import annotations

from typing import Any

import pytest

from mobile_vla.evaluation.verdict import Difference, Use, use_of, verdict


def gap(
    low: float | None, high: float | None, p: float = 0.2, needed: int | None = 40
) -> Difference:
    value = ((low or -1) + (high if high is not None else 1)) / 2
    return Difference(value, low, high, p, p, needed)


BETTER, WORSE = gap(-0.3, -0.1, 0.001), gap(0.1, 0.3, 0.001)
UNCLEAR, SEEMS_WORSE = gap(-0.3, 0.1), gap(-0.1, 0.3)


def judged(*differences: Difference, episodes: int = 20, **changed: Any) -> Any:
    named = {f"baseline_{index}": own for index, own in enumerate(differences)}
    settings: dict[str, Any] = {"selected_on_scored": False, "image": "used", "prompt": "used"}
    return verdict(named, "baseline_0", episodes, 0.95, **{**settings, **changed})


def test_every_baseline_has_to_be_beaten() -> None:
    assert judged(BETTER, BETTER).outcome == "beats"
    assert judged(BETTER, UNCLEAR).outcome == "cannot_be_told"
    assert judged(UNCLEAR, BETTER).outcome == "cannot_be_told"
    assert judged(BETTER, WORSE).outcome == "does_not_beat"


def test_worse_after_correction_is_not_better() -> None:
    found = judged(WORSE, BETTER)
    assert found.outcome == "does_not_beat"
    assert found.text == "it does not beat the best baseline, baseline 0"
    # Of many baselines one may seem better by chance.
    corrected = Difference(0.2, 0.01, 0.4, p=0.03, p_holm=0.3, needed=None)
    assert judged(corrected, BETTER).outcome == "cannot_be_told"


def test_what_cannot_be_told_says_from_how_many_and_how_many_it_would_take() -> None:
    found = judged(gap(-0.3, 0.1, needed=1234), gap(-0.2, 0.1, needed=60))
    assert found.needed == 1234
    assert found.text == (
        "whether it beats the best baseline, baseline 0, cannot be told from 20 episodes; a "
        "difference like this one would take about 1,200"
    )
    assert judged(SEEMS_WORSE).needed is None
    assert judged(SEEMS_WORSE).text.endswith(
        "cannot be told from 20 episodes, in which it does not"
    )


def test_below_eight_episodes_nothing_is_told() -> None:
    assert judged(BETTER, episodes=8).outcome == "beats"
    found = judged(BETTER, episodes=7)
    assert found.outcome == "cannot_be_told"
    assert "cannot be told from 7 episodes" in found.text
    assert judged(WORSE, episodes=1).outcome == "cannot_be_told"


def test_the_same_as_a_baseline_does_not_beat_it() -> None:
    assert judged(Difference(0.0, 0.0, 0.0, 1.0, 1.0, None)).outcome == "does_not_beat"


def test_an_open_interval_claims_nothing() -> None:
    assert judged(gap(None, -0.1)).outcome == "beats"
    assert judged(gap(-0.3, None)).outcome == "cannot_be_told"


def test_selected_on_the_scored_episodes_there_is_no_verdict_whatever_the_numbers() -> None:
    for own in (BETTER, WORSE, UNCLEAR):
        found = judged(own, selected_on_scored=True)
        assert found.outcome == "no_verdict" and "no verdict" in found.text


def test_without_use_of_the_image_no_policy_is_good() -> None:
    assert judged(BETTER, image="ignored").outcome == "ignores_image"
    assert judged(UNCLEAR, image="ignored").outcome == "ignores_image"
    found = judged(WORSE, image="ignored")
    assert found.outcome == "does_not_beat" and found.text.endswith(", and ignores the image")


@pytest.mark.parametrize(
    ("change", "own", "episodes", "use"),
    [
        (0.001, BETTER, 20, "ignored"),
        (0.001, BETTER, 3, "ignored"),  # that nothing changes needs no statistics
        (0.5, BETTER, 20, "used"),
        (0.5, WORSE, 20, "misleading"),
        (0.5, UNCLEAR, 20, "cannot be told"),
        (0.5, BETTER, 3, "cannot be told"),
    ],
)
def test_what_an_input_is_to_a_policy(
    change: float, own: Difference, episodes: int, use: Use
) -> None:
    assert use_of(change, own, 1.15, episodes) == use
