"""Compact letter display: experiments that share a letter are statistically tied.

Insert-and-absorb, then sweeping: H.-P. Piepho, An algorithm for a letter-based representation of
all-pairwise comparisons, Journal of Computational and Graphical Statistics 13(2), 2004, 456-466.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Sequence


def compact_letters(
    names: Sequence[str], conclusive: Collection[tuple[str, str]]
) -> dict[str, list[str]]:
    """Return the letters of each experiment.

    Two experiments share a letter exactly when their pair is not conclusive, and no letter can be
    taken from an experiment without breaking that.

    Args:
        names: of the experiments, from the best to the worst: the best gets ``a``.
        conclusive: pairs of different names, of which one is ahead of the other.
    """
    place = {name: index for index, name in enumerate(names)}
    pairs = sorted(sorted((place[one], place[other])) for one, other in conclusive)
    columns = _swept(_columns(len(names), pairs))
    return {
        name: [_letter(index) for index, column in enumerate(columns) if place[name] in column]
        for name in names
    }


def _columns(count: int, pairs: Sequence[Sequence[int]]) -> list[frozenset[int]]:
    """Return the largest sets of experiments without a conclusive pair.

    Begins with all in one set. A conclusive pair splits each set that holds both into two, without
    the one and without the other; sets that lie within others are absorbed.
    """
    columns = {frozenset(range(count))}
    for one, other in pairs:
        split = {column for column in columns if one in column and other in column}
        kept = columns - split
        parts = {column - {each} for column in split for each in (one, other)}
        others = kept | parts
        columns = kept | {part for part in parts if not any(part < each for each in others)}
    return sorted(columns, key=sorted)


def _swept(columns: Sequence[frozenset[int]]) -> list[set[int]]:
    """Take away letters that say nothing: their experiment meets all others in other columns."""
    left = [set(column) for column in columns]
    for column in reversed(left):  # so that the first letters stay
        for member in sorted(column):
            others = [each for each in left if each is not column and member in each]
            met = set().union(*others)  # empty where it is the member's only letter
            if column <= met:
                column.discard(member)
    return sorted(filter(None, left), key=sorted)


def _letter(index: int) -> str:
    """Return ``a`` to ``z``, then ``a2`` to ``z2`` and so on."""
    turn, place = divmod(index, len(string.ascii_lowercase))
    return string.ascii_lowercase[place] + (str(turn + 1) if turn else "")
