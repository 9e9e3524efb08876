from __future__ import annotations

import numpy as np
import pytest

from mobile_vla.data.windows import WindowTable
from mobile_vla.evaluation.baselines import baselines

# Two episodes of four frames: rows 0 to 3 and 4 to 7.
ACTIONS = np.array(
    [[0, 0], [1, 10], [2, 20], [3, 30], [100, 0], [5, 50], [6, 60], [7, 70]], dtype=np.float32
)


def table(target: str) -> WindowTable:
    """Return three windows of the second episode, W=1 and C=2; the last chunk is cut short."""
    frames = np.array([[4], [5], [6]])
    start = frames + (1 if target == "next" else 0)  # (N, 1)
    targets = start + np.arange(2)
    return WindowTable(
        episode=np.array([1, 1, 1]),
        last_frame=np.array([0, 1, 2]),
        frames=frames,
        targets=np.minimum(targets, 7),
        mask=targets <= 7,
        mirrored=np.zeros(3, dtype=bool),
    )


def test_previous_action_with_target_next_is_the_last_frames_own() -> None:
    found = baselines(ACTIONS, table("next"), ACTIONS[:4], "next")["previous_action"]
    assert found.shape == (3, 2, 2)
    assert found[:, 0].tolist() == [[100, 0], [5, 50], [6, 60]]
    assert np.array_equal(found[:, 0], found[:, 1])


def test_previous_action_with_target_current_never_looks_at_the_chunk_or_another_episode() -> None:
    found = baselines(ACTIONS, table("current"), ACTIONS[:4], "current")["previous_action"]
    assert found[:, 0].tolist() == [[0, 0], [100, 0], [5, 50]]
    assert np.array_equal(found[:, 0], found[:, 1])


def test_train_mean_is_that_of_the_training_rows_alone() -> None:
    found = baselines(ACTIONS, table("next"), ACTIONS[[0, 1, 2, 3]], "next")["train_mean"]
    assert found.dtype == np.float32
    assert np.array_equal(found, np.broadcast_to(np.float32([1.5, 15]), (3, 2, 2)))


def test_zero_and_the_names() -> None:
    found = baselines(ACTIONS, table("next"), ACTIONS[[1]], "next")
    assert list(found) == ["zero", "train_mean", "previous_action"]
    assert found["zero"].shape == (3, 2, 2)
    assert not found["zero"].any()


def test_no_training_row_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        baselines(ACTIONS, table("next"), ACTIONS[:0], "next")
