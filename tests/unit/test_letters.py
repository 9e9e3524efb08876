"""Compact letter display: what letters promise, on random comparisons."""

from __future__ import annotations

import itertools
import random

import pytest

from mobile_vla.comparison.letters import compact_letters

Pairs = set[tuple[str, str]]


def shared(letters: dict[str, list[str]], one: str, other: str) -> bool:
    return bool(set(letters[one]) & set(letters[other]))


def agrees(letters: dict[str, list[str]], conclusive: Pairs) -> bool:
    """Whether all have a letter, and two share one exactly when their pair is not conclusive."""
    return all(letters.values()) and all(
        shared(letters, *pair) != (pair in conclusive or pair[::-1] in conclusive)
        for pair in itertools.combinations(letters, 2)
    )


@pytest.mark.parametrize(
    ("names", "conclusive", "expected"),
    [
        ("A", [], "a"),
        ("AB", [], "a a"),
        ("AB", ["AB"], "a b"),
        ("ABC", ["AC"], "a ab b"),
        ("ABCD", ["AC", "AD", "BD"], "a ab bc c"),
        ("ABCD", ["AB", "AC", "AD", "BC", "BD", "CD"], "a b c d"),
        # a ring of ties: each needs a letter of its own
        ("ABCD", ["AC", "BD"], "ab ac cd bd"),
    ],
)
def test_letters_of_small_comparisons(names: str, conclusive: list[str], expected: str) -> None:
    letters = compact_letters(list(names), {(pair[0], pair[1]) for pair in conclusive})
    assert " ".join("".join(own) for own in letters.values()) == expected


@pytest.mark.parametrize("seed", range(40))
def test_a_letter_is_shared_exactly_where_a_pair_is_not_conclusive(seed: int) -> None:
    draw = random.Random(seed)
    names = [f"e{index}" for index in range(draw.randint(1, 12))]
    share = draw.random()
    conclusive = {
        (one, other) if draw.random() < 0.5 else (other, one)
        for one, other in itertools.combinations(names, 2)
        if draw.random() < share
    }
    letters = compact_letters(names, conclusive)
    assert list(letters) == names and letters[names[0]][0] == "a"
    assert agrees(letters, conclusive)
    for name in names:
        for letter in letters[name]:
            fewer = {**letters, name: [own for own in letters[name] if own != letter]}
            assert not agrees(fewer, conclusive), (name, letter)


def test_a_redundant_letter_is_swept_away() -> None:
    # the three ties of the middle column are in the others, too
    ties = {"AB", "AC", "BC", "AD", "BD", "AE", "CE", "BF", "CF"}
    names = "ABCDEF"
    conclusive = {pair for pair in itertools.combinations(names, 2) if "".join(pair) not in ties}
    letters = compact_letters(list(names), conclusive)
    assert agrees(letters, conclusive)
    assert len({letter for own in letters.values() for letter in own}) == 3


def test_fifty_experiments_whose_differences_are_noisy() -> None:
    draw = random.Random(0)
    error = {f"e{index:02}": index + draw.gauss(0, 3) for index in range(50)}
    names = sorted(error, key=error.__getitem__)
    conclusive = {
        (one, other)
        for one, other in itertools.combinations(names, 2)
        if error[other] - error[one] + draw.gauss(0, 2) > 8
    }
    letters = compact_letters(names, conclusive)
    assert agrees(letters, conclusive)
    every = {letter for own in letters.values() for letter in own}
    assert {"z", "a2"} <= every  # more letters than the alphabet has, and each by its own name
