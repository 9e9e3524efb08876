"""Batches: which windows each optimiser step of an epoch holds, and each of its batches."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mobile_vla.config.training import Matched, Training
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.roles import load_split
from mobile_vla.data.windows import WindowTable, make_windows


def epoch_steps(
    table: WindowTable, training: Training, seed: int, epoch: int
) -> list[list[np.ndarray]]:
    """Return an epoch's optimiser steps, each a list of batches of window indices.

    A step's windows depend on ``batch_size * accumulation`` and not on its factors, which only cut
    the step into batches.
    """
    size = training.batch_size
    steps = epoch_batches(table, size * training.accumulation, training.segment, seed, epoch)
    return [np.split(step, range(size, len(step), size)) for step in steps]


def epoch_batches(
    table: WindowTable, size: int, segment: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """Return an epoch's window indices in batches, a function of seed and epoch.

    Each window is drawn once or, in a mixture, as often as its dataset's weight says. The episodes
    are put end to end in random order and cut into segments of neighbouring windows, which share
    most of their frames; batches are filled with segments drawn at random. All batches but one are
    full.

    Args:
        size: windows of a batch; here those of an optimiser step, if it is of several batches.
        segment: neighbouring windows that stay together; with 1 windows are drawn independently.
    """
    random, segment = np.random.default_rng([seed, epoch]), min(segment, size)
    sequences = epoch_sequences(table, seed, epoch)
    line = np.concatenate([sequences[i] for i in random.permutation(len(sequences))])
    if max(map(len, sequences)) > segment:
        # The line begins at any window, so that an episode is cut at other places in each epoch.
        # Episodes that fit into a segment are better left whole.
        line = np.roll(line, -random.integers(len(line)))
    whole = len(line) // segment * segment
    drawn = random.permutation(line[:whole].reshape(-1, segment)).ravel()
    # What is left over comes last, so that it shifts no other segment over a batch's end.
    order = np.concatenate([drawn, line[whole:]])  # (N,)
    batches = np.split(order, range(size, len(order), size))
    return [batches[i] for i in random.permutation(len(batches))]


def epoch_sequences(table: WindowTable, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the windows that an epoch draws, in sequences of neighbours: indices in the table.

    A window of a dataset with weight w is drawn w times. Where w is no whole number, the rest of it
    is a part of the dataset's windows, as many in each epoch, and in the next epoch those that
    follow: they stand in an order that depends on the seed, and begin anew at its end. How often
    two windows of a dataset have been drawn differs by 1 at most.
    """
    # An episode and its mirror image are two sequences: they share no frame.
    sequence_of = table.episode * 2 + table.mirrored  # (N,)
    sequences = [np.flatnonzero(sequence_of == index) for index in np.unique(sequence_of)]
    found: list[np.ndarray] = []
    for part in range(len(table.weights)):
        own = [sequence for sequence in sequences if table.part[sequence[0]] == part]
        count = sum(map(len, own))
        whole, rest = divmod(table.drawn(part), count) if count else (0, 0)
        found += own * whole
        if rest:
            order = np.random.default_rng([seed, part, count]).permutation(len(own))
            line = np.concatenate([own[place] for place in order])  # (count,)
            taken = line[(epoch * rest + np.arange(rest)) % count]
            ends = np.flatnonzero((np.diff(taken) != 1) | (np.diff(sequence_of[taken]) != 0))
            found += np.split(taken, ends + 1)
    return found


def steps_per_epoch(windows: int, batch_size: int, accumulation: int) -> int:
    """Return the number of optimiser steps of an epoch; the last may be of fewer batches."""
    return math.ceil(math.ceil(windows / batch_size) / accumulation)


def steps_of(other: Matched | None, dataset: Dataset, split: Path, fold: int) -> int | None:
    """Return the optimiser steps of another run on the same fold; None where there is none.

    Raises:
        UserError: that run would have no windows, or fewer episodes than its subset.
    """
    if other is None:
        return None
    episodes = load_split(split, dataset, fold, other.subset).of["train"]
    table = make_windows(dataset, episodes, other.windows).weighted(dataset, other.weights)
    if other.mirror:
        table = table.with_mirror_images(dataset.rows)
    return steps_per_epoch(table.drawn_windows, other.batch_size, other.accumulation) * other.epochs
