"""The guard of commands: nothing goes out that the training episodes do not show."""

import numpy as np
import pytest
from pydantic import ValidationError

from mobile_vla.config.training import GuardLimits
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.roles import load_split
from mobile_vla.model.folder import read_description
from mobile_vla.model.result import StoredGuard
from mobile_vla.robot.served import guard_of
from mobile_vla.serving.guard import Guard
from support.training_run import Inputs, run, settings_of

STANDS = np.zeros(2, dtype=np.float32)


def guard(**changes):
    stored = {
        "beyond": "clamp",
        "jump": "clamp",
        "lowest": {"linear_x": -0.5, "linear_y": -1.0},
        "highest": {"linear_x": 1.0, "linear_y": 1.0},
        "change": {"linear_x": 0.5, "linear_y": 2.0},
    }
    return guard_of(StoredGuard(**{**stored, **changes}), ["linear_x", "linear_y"])


def chunk(*rows):
    return np.array(rows, dtype=np.float32)


def test_what_is_within_the_limits_goes_out_bit_for_bit():
    given = chunk([0.5, 1.0], [1.0, -1.0], [0.5, 0.1], [0.0, 0.0], [-0.5, 0.0])
    found = guard().check(given, STANDS)
    np.testing.assert_array_equal(found.chunk, given)
    assert found.chunk.dtype == np.float32
    assert (found.clamped, found.stopped) == (0, None)


def test_a_command_beyond_the_range_becomes_the_nearest_or_the_stop():
    given = chunk([0.4, 3.0], [0.3, 0.0])
    found = guard().check(given, STANDS)
    np.testing.assert_array_equal(found.chunk, chunk([0.4, 1.0], [0.3, 0.0]))
    assert (found.clamped, found.stopped) == (1, None)
    found = guard(beyond="stop").check(given, STANDS)
    assert not found.chunk.any() and (found.clamped, found.stopped) == (0, "beyond")


def test_a_command_that_jumps_becomes_the_nearest_that_does_not_or_the_stop():
    given = chunk([1.0, 0.0], [1.0, 0.0], [0.2, 0.0], [-0.5, 0.0])
    found = guard().check(given, STANDS)
    # each is limited by what goes out before it
    expected = chunk([0.5, 0.0], [1.0, 0.0], [0.5, 0.0], [0.0, 0.0])
    np.testing.assert_allclose(found.chunk, expected)
    assert (found.clamped, found.stopped) == (3, None)
    found = guard().check(given, chunk([0.6, 0.0])[0])
    np.testing.assert_allclose(found.chunk[0], given[0])
    found = guard(jump="stop").check(given, STANDS)
    assert not found.chunk.any() and found.stopped == "jump"


def test_the_stop_is_never_too_sudden():
    given = chunk([0.0, 0.0], [0.5, 0.0])
    found = guard(jump="stop").check(given, chunk([1.0, 0.0])[0])
    np.testing.assert_array_equal(found.chunk, given)
    assert found.stopped is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_stops_all(value):
    found = guard().check(chunk([0.1, 0.0], [0.1, value]), STANDS)
    assert not found.chunk.any() and (found.clamped, found.stopped) == (0, "not_finite")


def test_whatever_a_policy_predicts_the_limits_hold():
    rng = np.random.default_rng(0)
    limits: Guard = guard()
    before, sent = STANDS, []
    for _ in range(300):
        found = limits.check(rng.normal(0, 3, (1, 2)).astype(np.float32), before)
        before = found.chunk[0]
        sent.append(before)
    values = np.array([STANDS, *sent])
    assert (values >= limits.lowest).all() and (values <= limits.highest).all()
    assert (np.abs(np.diff(values, axis=0)) <= limits.change + 1e-6).all()


def test_limits_are_those_of_the_training_episodes_and_what_the_settings_say(tmp_path):
    inputs = Inputs.make(tmp_path)
    settings = settings_of(epochs=1)
    run(inputs, tmp_path / "run", settings)
    found = read_description(tmp_path / "run/policy").guard
    assert (found.beyond, found.jump) == ("clamp", "clamp")

    dataset = Dataset.load(inputs.manifest, inputs.manifest.with_name("actions.npy"))
    train = load_split(inputs.split, dataset, 0, None).of["train"]
    drives = [dataset.actions[dataset.offsets[one] :][: dataset.lengths[one], :2] for one in train]
    assert 0 < len(drives) < len(dataset)
    for index, name in enumerate(("linear_x", "linear_y")):
        values = np.concatenate([drive[:, index] for drive in drives])
        steps = [np.abs(np.diff([0.0, *drive[:, index]])).max() for drive in drives]
        assert found.lowest[name] == min(0.0, values.min())
        assert found.highest[name] == max(0.0, values.max())
        assert found.change[name] == pytest.approx(max(steps))

    own = GuardLimits(jump="stop", range={"linear_x": (-0.2, 0.3)}, change={"linear_y": 0.4})
    run(inputs, tmp_path / "own", settings.model_copy(update={"guard": own}))
    changed = read_description(tmp_path / "own/policy").guard
    assert (changed.beyond, changed.jump) == ("clamp", "stop")
    assert (changed.lowest["linear_x"], changed.highest["linear_x"]) == (-0.2, 0.3)
    assert changed.change == {**found.change, "linear_y": 0.4}
    assert changed.lowest["linear_y"] == found.lowest["linear_y"]


def test_a_range_without_the_stop_is_refused():
    with pytest.raises(ValidationError, match="the stop is 0"):
        GuardLimits(range={"linear_x": (0.1, 1.0)})
