"""Motion classes, directions and trajectories: scikit-learn, bijections, and cases by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import expm
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from mobile_vla.config.evaluation import DeadBand
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.evaluation.motions import (
    CLASSES,
    SIGNS,
    STOP,
    classes_of,
    direction,
    motion,
    name_of,
    signs_of,
)
from mobile_vla.evaluation.result import DirectionAccuracy
from mobile_vla.evaluation.scored_windows import ScoredWindows
from mobile_vla.evaluation.trajectories import (
    displacement_errors,
    executed_steps,
    integrate,
    saturation,
    smoothness,
)

XY = ("linear_x", "linear_y")
BAND = DeadBand()


def test_failure_21_no_two_motions_share_a_class() -> None:
    """Class remapping once collapsed two keys into STOP; here the names are a bijection."""
    assert len(set(CLASSES)) == len(CLASSES) == 27
    indices = classes_of(np.array(SIGNS), ACTION_COLUMNS)
    assert indices.tolist() == list(range(27))
    assert [CLASSES[index] for index in indices] == [name_of(signs) for signs in SIGNS]
    keys = {
        "W": (1.15, 0, 0),
        "S": (-1.15, 0, 0),
        "A": (0, 1.15, 0),
        "D": (0, -1.15, 0),
        "Q": (1.15, 1.15, 0),
        "E": (1.15, -1.15, 0),
        "Z": (-1.15, 1.15, 0),
        "C": (-1.15, -1.15, 0),
        "R": (0, 0, 0.25),
        "T": (0, 0, -0.25),
        "space": (0, 0, 0),
    }
    signs = signs_of(np.array(list(keys.values())), ACTION_COLUMNS, BAND)
    found = dict(zip(keys, (CLASSES[i] for i in classes_of(signs, ACTION_COLUMNS)), strict=True))
    assert found == {
        "W": "forward",
        "S": "backward",
        "A": "left",
        "D": "right",
        "Q": "forward left",
        "E": "forward right",
        "Z": "backward left",
        "C": "backward right",
        "R": "turning left",
        "T": "turning right",
        "space": "stop",
    }


def test_dimensions_may_come_in_any_order_and_what_is_not_predicted_is_zero() -> None:
    signs = np.array([[1, -1]])
    assert CLASSES[classes_of(signs, ("linear_x", "linear_y"))[0]] == "forward right"
    assert CLASSES[classes_of(signs, ("linear_y", "linear_x"))[0]] == "backward left"
    assert CLASSES[classes_of(signs, ("linear_x", "angular_z"))[0]] == "forward, turning right"


def test_within_the_dead_band_a_command_is_zero() -> None:
    actions = np.array([[0.5, 0.500001], [-0.5, -0.6], [0.0, 0.0]])
    assert signs_of(actions, XY, BAND).tolist() == [[0, 1], [0, -1], [0, 0]]


def test_direction_with_and_without_zeros() -> None:
    true = np.array([[1, 0], [1, 0], [-1, 0], [0, 0]])
    predicted = np.array([[1, 0], [0, 0], [1, 1], [0, 0]])
    found = direction(predicted, true, XY)
    assert found["linear_x"] == DirectionAccuracy(
        with_zeros=0.5, steps=4, without_zeros=1 / 3, steps_without_zeros=3
    )
    assert found["linear_y"].without_zeros is None
    assert found["linear_y"].with_zeros == 0.75


def test_confusion_f1_and_stop_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    some = [STOP, CLASSES.index("forward"), CLASSES.index("left"), CLASSES.index("forward left")]
    true = rng.choice(some, 300, p=[0.1, 0.5, 0.1, 0.3])
    predicted = np.where(rng.random(300) < 0.6, true, rng.choice([*some, 0], 300))
    found = motion(predicted, true)
    labels = sorted({*true, *predicted})
    assert found.classes == [CLASSES[i] for i in labels]
    assert found.confusion == confusion_matrix(true, predicted, labels=labels).tolist()
    f1 = f1_score(true, predicted, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(f1, rel=1e-12)
    stop = {"labels": [STOP], "average": "micro"}
    assert found.stop.precision == pytest.approx(precision_score(true, predicted, **stop))
    assert found.stop.recall == pytest.approx(recall_score(true, predicted, **stop))
    assert found.stop.true_steps == (true == STOP).sum()


def test_stop_that_never_occurs_has_neither_precision_nor_recall() -> None:
    forward = np.full(3, CLASSES.index("forward"))
    assert motion(forward, forward).stop.precision is None
    assert motion(forward, forward).stop.recall is None


def test_a_constant_twist_is_an_arc() -> None:
    quarter = integrate(np.tile([math.pi / 20, 0, math.pi / 20], (10, 1)))
    assert quarter[-1] == pytest.approx([1, 1, math.pi / 2])
    straight = integrate(np.array([[1.15, 0.5, 0], [1.15, -0.5, 0]]))
    assert straight[-1] == pytest.approx([2.3, 0, 0])


@pytest.mark.parametrize("turn", [0.7, -2.0, 1e-8])
def test_integration_is_the_matrix_exponential(turn: float) -> None:
    twists = np.array([[1.0, 0.3, turn], [0.2, -1.0, turn / 2]])
    whole = np.eye(3)
    for x, y, z in twists:
        whole = whole @ expm(np.array([[0, -z, x], [z, 0, y], [0, 0, 0]]))
    assert integrate(twists)[-1, :2] == pytest.approx(whole[:2, 2], rel=1e-9)


def windows() -> ScoredWindows:
    """Return two episodes; the first has windows whose chunks overlap, the second one window."""
    truth = np.array([[[1, 0], [1, 0]], [[1, 0], [0, 1]], [[1, 0], [0, 0]]], dtype=np.float32)
    return ScoredWindows(
        episodes=("a", "b"),
        groups=("a", "b"),
        scenarios=({}, {}),
        episode=np.array([0, 0, 1]),
        last_frame=np.array([3, 4, 3]),
        ahead=np.array([1, 2]),
        truth=truth,
        mask=np.array([[True, True], [True, True], [True, False]]),
        dimensions=XY,
    )


def test_a_trajectory_takes_each_frame_from_the_latest_window() -> None:
    scored = windows()
    found = executed_steps(scored)
    # Frames 4 and 5 come as first steps of the windows at 3 and 4, frame 6 as the second of 4.
    assert scored.steps.frame[found.index].tolist() == [4, 5, 6, 4]
    assert scored.steps.step[found.index].tolist() == [0, 0, 1, 0]
    assert found.episode.tolist() == [0, 0, 0, 1]


def test_displacement_by_hand() -> None:
    scored = windows()
    prediction = scored.truth.copy()
    prediction[0, 0] = [1, 0.5]  # frame 4 of a: half a step to the left of the truth, from then on
    prediction[0, 1] = [99, 99]  # frame 5 as predicted before: not executed
    prediction[1, 1] = [0, 0]  # frame 6: half a step too short, on the other side
    found = displacement_errors(
        executed_steps(scored).episodes(), scored.flat(prediction), scored.steps.truth, XY
    )
    assert found[0] == pytest.approx([0.5, 0.5])
    assert found[1] == pytest.approx([0, 0])


def test_segments_are_runs_of_neighbouring_frames() -> None:
    scored = windows()
    found = executed_steps(scored)
    frames = scored.steps.frame

    def runs(chosen: np.ndarray) -> list[list[int]]:
        return [frames[own].tolist() for own in found.segments(chosen)]

    assert runs(np.ones(len(frames), dtype=bool)) == [[4, 5, 6], [4]]  # not across episodes
    assert runs(frames != 5) == [[4], [6], [4]]
    assert runs(np.zeros(len(frames), dtype=bool)) == []


def test_displacement_within_a_segment_forgets_what_came_before() -> None:
    scored = windows()
    prediction = scored.truth.copy()
    prediction[0, 0] = [1, 0.5]  # frame 4: half a step aside
    prediction[1, 1] = [0, 0.5]  # frame 6, a turn: half of the way
    turns = executed_steps(scored).segments(scored.steps.truth[:, 1] != 0)
    found = displacement_errors(turns, scored.flat(prediction), scored.steps.truth, XY)
    assert found == pytest.approx(np.array([[0.5, 0.5]]))


def test_smoothness_does_not_reach_over_episodes() -> None:
    scored = windows()
    found = smoothness(executed_steps(scored), scored.steps.truth, XY)
    # a: (1, 0), (1, 0), (0, 1); b has one frame.
    assert found == {"linear_x": 0.5, "linear_y": 0.5}


def test_saturation_counts_what_the_motors_cannot_give() -> None:
    actions = np.array([[1.15, -1.2], [1.16, 0.0]])
    assert saturation(actions, 1.15, XY) == {"linear_x": 0.5, "linear_y": 0.5}
