"""An epoch's batches: each window once, neighbours together in segments."""

import numpy as np
import pytest

from mobile_vla.config.windows import Windows
from mobile_vla.data.windows import make_windows
from mobile_vla.training.batches import epoch_batches
from support.synthetic_datasets import make_dataset, names

WINDOWS = Windows(window=3, chunk=4, tail="mask")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    lengths = dict(zip(names(3), (9, 12, 7), strict=True))
    return make_dataset(tmp_path_factory.mktemp("dataset"), lengths)


@pytest.mark.parametrize("segment", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_an_epoch_holds_every_window_once_and_differs_from_the_next(dataset, segment, size):
    table = make_windows(dataset, (0, 1, 2), WINDOWS)
    first, again, second = (
        epoch_batches(table, size, segment, seed=3, epoch=epoch) for epoch in (0, 0, 1)
    )
    flat = np.concatenate(first)
    assert sorted(flat) == list(range(len(table)))
    short = [len(batch) for batch in first if len(batch) != size]
    assert short == ([len(table) % size] if len(table) % size else [])
    assert [b.tolist() for b in first] == [b.tolist() for b in again]
    if size < 100:
        assert flat.tolist() != np.concatenate(second).tolist()


def test_segments_share_frames(dataset):
    table = make_windows(dataset, (0, 1, 2), WINDOWS)

    def distinct(segment):
        return sum(
            len(np.unique(table.frames[batch]))
            for epoch in range(20)
            for batch in epoch_batches(table, 4, segment, seed=0, epoch=epoch)
        )

    assert distinct(4) < 0.9 * distinct(2) < 0.9 * distinct(1)


def test_no_window_of_a_segment_is_in_another_batch(dataset):
    table = make_windows(dataset, (0, 1, 2), WINDOWS)
    for epoch in range(20):
        batches = epoch_batches(table, 4, 4, seed=0, epoch=epoch)
        runs = sum(
            1 + np.count_nonzero((np.diff(batch) != 1) | (np.diff(table.episode[batch]) != 0))
            for batch in batches
        )
        # each batch's end, each episode's, and the place where the line of all begins
        assert runs <= len(batches) + 3 + 1
