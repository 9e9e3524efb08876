"""What a trial's blocks say: rates, decisions corrected for their number, missing drives."""

from __future__ import annotations

import numpy as np
import pytest

from mobile_vla.trials.analysis import DrivenBlock, decide, policy_rates
from mobile_vla.trials.result import HORIZON, DrivenPair

SHORT = {"s": "success", "c": "collision", "w": "wrong_side", "t": "timeout", "-": None}


def driven(**outcomes: str) -> list[DrivenBlock]:
    """Return blocks from each policy's outcomes as a text; a space: another version drove."""
    return [
        DrivenBlock(
            number,
            {
                policy: SHORT[letter]
                for policy, letter in zip(outcomes, letters, strict=True)
                if letter != " "
            },
        )
        for number, letters in enumerate(zip(*outcomes.values(), strict=True), start=1)
    ]


def pair_of(earlier: int = 0, remaining: int = 0, **outcomes: str) -> DrivenPair:
    (pair,) = decide(
        list(outcomes), driven(**outcomes), 0.95, earlier=earlier, scheduled=[outcomes] * remaining
    )
    return pair


def test_eight_blocks_to_none_decide_and_seven_do_not():
    decided = pair_of(a="ssssssss", b="ccwtcccc")
    assert (decided.wins, decided.losses, decided.ties) == (8, 0, 0)
    assert (decided.better, decided.decided_after) == ("a", 8)
    assert decided.p == decided.p_holm == pytest.approx(9 / 256)
    assert decided.low > 0 and decided.chance is None
    undecided = pair_of(a="sssssss", b="ccccccc")
    assert undecided.better is None and undecided.low < 0 < undecided.high
    assert pair_of(a="ccccccccc", b="sssscssss").better == "b"


def test_a_decision_stands_whatever_comes_after_it_and_so_does_its_interval():
    later = pair_of(a="ssssssss" + "c" * 8, b="cccccccc" + "s" * 8)
    assert (later.better, later.decided_after, later.difference) == ("a", 8, 0)
    assert later.p == pytest.approx(9 / 256) and later.low > 0
    assert later.weaker and not pair_of(a="sssssssss", b="ccccccccc").weaker
    changed = pair_of(a="s" * 20 + "c" * 40, b="c" * 20 + "s" * 40)  # nothing fits both halves
    assert changed.low is None and changed.high is None and changed.better == "a"


def test_a_third_policy_takes_more_evidence_and_earlier_versions_count_too():
    outcomes = {"a": "ssssssss", "b": "cccccccc", "c": "ssssssss"}
    pairs = decide(list(outcomes), driven(**outcomes), 0.95, earlier=0, scheduled=[])
    assert [pair.policies for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.better for pair in pairs] == [None, None, None]
    assert pairs[0].p_holm == pytest.approx(3 * 9 / 256)
    assert pair_of(earlier=1, a="ssssssss", b="cccccccc").better is None
    assert pair_of(earlier=1, a="sssssssss", b="ccccccccc").better == "a"  # 9:0 is 51


def test_blocks_with_a_missing_drive_give_no_evidence():
    pair = pair_of(a="sss-s", b="cc-cc")
    assert (pair.blocks, pair.wins, pair.missing) == (3, 3, 2)


def test_a_pair_counts_no_block_in_which_a_third_policy_is_still_to_drive():
    """Its counts would tell whoever looks meanwhile which letter that is."""
    blocks = driven(a="ss", b="c-", c="cc")
    pairs = decide(["a", "b", "c"], blocks, 0.95, earlier=0, scheduled=[])
    assert [(pair.blocks, pair.missing) for pair in pairs] == [(1, 1)] * 3


@pytest.mark.parametrize(
    ("a", "b", "holds"),
    [
        ("ssssssss", "cccccccc", None),  # nothing is missing
        ("-ssssssss", "ccccccccc", True),  # a's failure ties with b's
        ("-ssssssss", "scccccccc", False),  # 8:1 would not decide, nor would 10:1
        ("-sssssssssss", "sccccccccccc", True),  # 11:1 would
        ("sssssssss", "-cccccccc", True),  # b's success ties with a's
        ("ssssssss-", "ccccccccs", True),  # it came after the decision
        ("cccccccc-", "ssssssss-", True),
        ("-cccccccc", "-ssssssss", False),
    ],
)
def test_a_decision_says_whether_it_holds_had_the_missing_drives_gone_against_it(a, b, holds):
    pair = pair_of(a=a, b=b)
    assert pair.better is not None
    assert pair.holds is holds


def test_drives_of_another_version_are_neither_evidence_nor_missing():
    pair = pair_of(a="  ssssssss", b="sscccccccc")
    assert (pair.blocks, pair.missing, pair.better) == (8, 0, "a")


def test_a_forecast_tells_what_the_budget_and_more_drives_would_bring():
    near = pair_of(remaining=5, a="sssssss", b="ccccccc")
    assert 0.85 < near.chance < 1 and (near.needed_low, near.needed_high) == (1, 1)
    far = pair_of(remaining=5, a="s" * 30, b="s" * 30)
    assert far.chance == 0 and far.needed_high is None
    some = pair_of(remaining=40, a="sscsscsccs", b="scscccscss")
    assert 0 < some.chance < 0.5 and 5 < some.needed_low < HORIZON
    assert pair_of(remaining=0, a="s", b="c").chance == 0
    third = decide(
        ["a", "b", "c"],
        driven(a="sssssss", b="ccccccc", c="ccccccc"),
        0.95,
        earlier=0,
        scheduled=["abc"] * 3 + ["ab"] * 2,  # c drives in three of them
    )
    assert [pair.remaining for pair in third] == [5, 3, 3]
    assert third[0].chance < near.chance


def test_nothing_driven_is_inconclusive():
    pair = pair_of(a="", b="", remaining=60)
    assert (pair.blocks, pair.p, pair.difference, pair.low, pair.better) == (0, 1, None, None, None)
    assert 0 < pair.chance < 1


def test_a_rate_counts_every_drive_and_while_blind_those_of_complete_blocks():
    blocks = driven(a="ssw-t", b="c-css")
    (a, b) = policy_rates(["a", "b"], blocks, 0.05, blind=False)
    assert (a.now.successes, a.now.drives, b.now.successes, b.now.drives) == (2, 4, 2, 4)
    assert a.outcomes == {"success": 2, "collision": 0, "wrong_side": 1, "timeout": 1}
    assert [(rate.block, rate.successes) for rate in a.history] == [(1, 1), (2, 2), (3, 2), (5, 2)]
    assert 0 < a.now.low < 0.5 < a.now.high < 1
    (a, _) = policy_rates(["a", "b"], blocks, 0.05, blind=True)
    assert (a.now.successes, a.now.drives, a.history) == (1, 3, [])
    (none,) = policy_rates(["z"], blocks, 0.05, blind=True)
    assert (none.now.drives, none.now.low, none.now.high) == (0, 0, 1)


def test_decisions_of_shuffled_blocks_may_differ_but_never_their_counts():
    rng = np.random.default_rng(0)
    a, b = ("".join(rng.choice(list("sc"), 40, p=[p, 1 - p])) for p in (0.8, 0.3))
    order = rng.permutation(40)
    one = pair_of(a=a, b=b)
    other = pair_of(a="".join(a[i] for i in order), b="".join(b[i] for i in order))
    assert (one.wins, one.losses, one.ties) == (other.wins, other.losses, other.ties)
    assert one.better == other.better == "a"
