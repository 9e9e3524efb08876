"""Vision-free baselines, by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mobile_vla.evaluation.baselines import TrainingFrames, vision_free_baselines
from mobile_vla.evaluation.scored_windows import ScoredWindows

XY = ("linear_x", "linear_y")
ACTIONS = np.array([[100, 0], [5, 50], [6, 60], [7, 70]], dtype=np.float32)  # of one episode
LEFT, RIGHT = {"side": "left", "style": "core"}, {"side": "right", "style": "core"}


def windows(
    target: str = "next", chunk: int = 2, scenario: dict[str, str] | None = None, count: int = 3
) -> ScoredWindows:
    """Return windows of one episode of four frames, W=1; the last chunk is cut short."""
    last = np.arange(count)
    ahead = np.arange(chunk) + (1 if target == "next" else 0)
    frames = last[:, None] + ahead
    return ScoredWindows(
        episodes=("scored",),
        groups=("scored",),
        scenarios=(scenario or LEFT,),
        episode=np.zeros(count, dtype=np.int64),
        last_frame=last,
        ahead=ahead,
        truth=ACTIONS[np.minimum(frames, 3)],
        mask=frames < 4,
        dimensions=XY,
    )


def trained(*episodes: tuple[dict[str, str], Sequence[float]]) -> TrainingFrames:
    """Return training episodes whose linear_x is given and whose linear_y is its negative."""
    values = np.concatenate([np.asarray(x, dtype=np.float32) for _, x in episodes])
    return TrainingFrames(
        actions=np.stack([values, -values], axis=1),
        frame=np.concatenate([np.arange(len(x)) for _, x in episodes]),
        scenario=np.repeat(np.arange(len(episodes)), [len(x) for _, x in episodes]),
        scenarios=tuple(scenario for scenario, _ in episodes),
    )


def predicted(
    name: str, scored: ScoredWindows, training: TrainingFrames | None = None
) -> np.ndarray:
    training = training or trained((LEFT, [0, 1, 2, 3]))
    return vision_free_baselines(training, ACTIONS, scored.last_frame, scored)[name]


def test_previous_action_with_target_next_is_the_last_frames_own() -> None:
    said = predicted("previous_action", windows("next"))
    assert said.shape == (3, 2, 2)
    assert said[:, 0].tolist() == [[100, 0], [5, 50], [6, 60]]
    assert np.array_equal(said[:, 0], said[:, 1])


def test_previous_action_with_target_current_never_looks_at_the_chunk_or_another_episode() -> None:
    said = predicted("previous_action", windows("current"))
    assert said[:, 0].tolist() == [[0, 0], [100, 0], [5, 50]]
    assert np.array_equal(said[:, 0], said[:, 1])


def test_train_mean_and_majority_are_those_of_the_training_frames_alone() -> None:
    training = trained((LEFT, [0, 1.15, 1.15]), (RIGHT, [0.5, 0, 1.1500001]))
    mean = predicted("train_mean", windows(), training)
    assert mean.dtype == np.float32
    assert mean[2, 1] == pytest.approx([3.95 / 6, -3.95 / 6])
    assert predicted("majority_action", windows(), training)[2, 1] == pytest.approx([1.15, -1.15])


def test_zero_and_the_names() -> None:
    every = vision_free_baselines(trained((LEFT, [1])), ACTIONS, np.arange(3), windows())
    assert list(every) == ["zero", "train_mean", "majority_action", "replay", "previous_action"]
    assert not every["zero"].any()
    assert {values.shape for values in every.values()} == {(3, 2, 2)}


def test_replay_is_the_median_command_at_each_frame_of_the_scenario() -> None:
    most = [0, 1, 2, 3]
    training = trained(
        (LEFT, most), (LEFT, most), (LEFT, [9, 9, 9, 9]), *[(RIGHT, [7, 7, 7, 7])] * 5
    )
    said = predicted("replay", windows(), training)
    assert said[0].tolist() == [[1, -1], [2, -2]]  # frames 1 and 2
    assert said[1, :, 0].tolist() == [2, 3]
    assert predicted("replay", windows(scenario=RIGHT), training)[0, :, 0].tolist() == [7, 7]


def test_replay_falls_back_to_the_side_then_to_all_then_to_the_median_command() -> None:
    variant = {"side": "left", "style": "variant"}
    training = trained(
        (LEFT, [0, 1, 2, 3]),
        (LEFT, [0, 1, 2, 3]),
        (variant, [0, 5, 5]),  # with it three of the left side reach frames 0 to 2
        *[(RIGHT, [0, 8, 8, 8])] * 3,
    )
    said = predicted("replay", windows(chunk=5), training)[0, :, 0]  # frames 1 to 5
    # Two left core episodes are too few: 1 and 2 come from the left side, 3 from all five that
    # reach it, and from frame 4 on there is but the median of all commands.
    assert said.tolist() == [1, 2, 8, 3, 3]


def test_replay_never_averages_keys() -> None:
    training = trained((LEFT, [0, 0]), (LEFT, [0, 0]), (LEFT, [0, 1.15]), (LEFT, [0, 1.15]))
    assert set(predicted("replay", windows(), training)[0, :, 0].tolist()) == {0.0}


def test_no_training_episode_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one training episode"):
        TrainingFrames.of(None, ACTIONS, [])  # type: ignore[arg-type]
