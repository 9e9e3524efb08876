from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.config.windows import Windows
from mobile_vla.data.windows import make_windows
from mobile_vla.errors import UserError
from support.synthetic_datasets import make_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    lengths = {"a": 18, "b": 20, "c": 3, "d": 14, "e": 1}
    return make_dataset(tmp_path_factory.mktemp("windows"), lengths)


def test_eighteen_frames_give_five_windows(dataset):
    table = make_windows(dataset, [0], Windows(window=4, chunk=10))
    assert len(table) == 5
    assert table.last_frame.tolist() == [3, 4, 5, 6, 7]
    assert table.frames[0].tolist() == [0, 1, 2, 3]
    assert table.targets[0].tolist() == list(range(4, 14))
    assert table.targets[-1].tolist() == list(range(8, 18))
    assert table.mask.all()


def test_rows_are_global_and_in_the_order_asked_for(dataset):
    table = make_windows(dataset, [1, 0], Windows(window=4, chunk=10))
    assert table.episode.tolist() == [1] * 7 + [0] * 5
    assert table.frames[0].tolist() == [18, 19, 20, 21]
    assert table.targets[6].tolist() == list(range(28, 38))


def test_the_chunk_may_begin_at_the_last_frame(dataset):
    table = make_windows(dataset, [0], Windows(window=4, chunk=10, target="current"))
    assert len(table) == 6
    assert table.targets[0].tolist() == list(range(3, 13))


def test_masked_steps_are_clipped_into_the_episode(dataset):
    table = make_windows(dataset, [0], Windows(window=4, chunk=10, tail="mask"))
    assert len(table) == 14
    assert table.mask.sum(axis=1).tolist() == [10] * 5 + list(range(9, 0, -1))
    assert table.targets[-1].tolist() == [17] * 10
    assert table.mask[-1].tolist() == [True] + [False] * 9


def test_a_window_may_begin_with_the_first_frame_repeated(dataset):
    table = make_windows(dataset, [1], Windows(window=4, chunk=10, start="repeat"))
    assert table.last_frame.tolist() == list(range(10))
    assert (table.frames[:4] - 18).tolist() == [
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 1, 2],
        [0, 1, 2, 3],
    ]
    assert (table.targets[0] - 18).tolist() == list(range(1, 11))


def test_the_stride_counts_from_the_first_window(dataset):
    table = make_windows(dataset, [1], Windows(window=4, chunk=10, stride=3))
    assert table.last_frame.tolist() == [3, 6, 9]


def test_no_window_at_all_is_an_error_with_the_numbers(dataset):
    with pytest.raises(UserError) as error:
        make_windows(dataset, [2, 4], Windows(window=4, chunk=10))
    text = str(error.value)
    assert "need 14 frames" in text
    assert "the 2 episodes asked for have 1 to 3" in text
    assert "sum is at most 3, or say `tail: mask`" in text


def test_short_episodes_are_named(dataset, caplog):
    with caplog.at_level(logging.WARNING):
        table = make_windows(dataset, [0, 2, 3, 4], Windows(window=4, chunk=10))
    assert np.unique(table.episode).tolist() == [0, 3]
    assert "2 of 4 episodes are too short" in caplog.text
    assert "c (3), e (1)" in caplog.text


def test_no_episodes_give_an_empty_table(dataset):
    table = make_windows(dataset, [], Windows(window=4, chunk=10))
    assert len(table) == 0
    assert table.frames.shape == (0, 4)
    assert table.targets.shape == table.mask.shape == (0, 10)


settings = st.builds(
    Windows,
    window=st.integers(1, 9),
    chunk=st.integers(1, 12),
    stride=st.integers(1, 4),
    target=st.sampled_from(["next", "current"]),
    start=st.sampled_from(["whole", "repeat"]),
    tail=st.sampled_from(["drop", "mask"]),
)


@given(settings)
def test_windows_follow_from_their_definition(dataset, windows):
    expected = []
    for index, length in enumerate(dataset.lengths):
        for first in range(0, int(length), windows.stride):
            last = first + (windows.window - 1 if windows.start == "whole" else 0)
            start = last + (windows.target == "next")
            end = start + (windows.chunk if windows.tail == "drop" else 1)
            if last < length and end <= length:
                mask = [step < length for step in range(start, start + windows.chunk)]
                expected.append((index, last, mask))
    if not expected:
        assert dataset.lengths.max() < windows.frames_needed
        with pytest.raises(UserError):
            make_windows(dataset, range(len(dataset)), windows)
        return
    table = make_windows(dataset, range(len(dataset)), windows)
    found = zip(table.episode.tolist(), table.last_frame.tolist(), table.mask.tolist(), strict=True)
    assert list(found) == expected
    inside = dataset.offsets[table.episode, None]
    end = inside + dataset.lengths[table.episode, None]
    for rows in (table.frames, table.targets):
        assert (rows >= inside).all() and (rows < end).all()
