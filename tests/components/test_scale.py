"""A scale for each dimension: metres and degrees a second in one policy, and in one error."""

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.windows import Actions
from mobile_vla.data.dataset import Dataset
from mobile_vla.errors import Problems
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.model.policy import Policy
from mobile_vla.model.streaming import Stream
from mobile_vla.reporting.units import in_units
from mobile_vla.runs.labels import Labels
from support import config_text
from support.config_text import load
from support.results import make_results
from support.tiny import make_backbone
from support.training_run import Inputs, settings_of

TWO = {"linear_x": 0.5, "linear_y": 40.0}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return Checkpoint.read(make_backbone(tmp_path_factory.mktemp("backbone")))


def policy_settings(scale):
    return settings_of().policy.model_copy(update={"actions": Actions(scale=scale)})


def config(actions):
    return config_text.BASE.replace("kind: simulated", f"kind: simulated, actions: {actions}")


@pytest.mark.parametrize(
    ("actions", "found"),
    [
        ("{scale: {linear_x: 0.3}}", "that of linear_x; expected one number, or one for each of"),
        ("{scale: {}}", "that of no dimension"),
        ("{dimensions: [linear_x], scale: {linear_x: 1, angular_z: 60}}", "linear_x, angular_z;"),
        ("{scale: {linear_x: 1, turn: 60}}", "the name 'turn'"),
        ("{scale: {linear_x: 1, linear_y: 0}}", "(datasets.demo.actions.scale.linear_y): found 0"),
    ],
)
def test_a_scale_is_one_number_or_one_for_each_dimension(tmp_path, actions, found):
    with pytest.raises(Problems) as caught:
        load(config(actions), tmp_path)
    assert all("actions" in problem.place for problem in caught.value.problems)
    assert found in str(caught.value)


def test_one_number_is_what_it_was():
    actions = Actions(scale=0.7)
    assert (actions.full, actions.units, actions.limits) == (0.7, (1.0, 1.0), (0.7, 0.7))
    own = Actions(scale=TWO)
    assert (own.full, own.units, own.limits) == (1.0, (0.5, 40.0), (0.5, 40.0))
    assert (actions.said, own.said) == ("0.7", "linear_x 0.5, linear_y 40")


def test_commands_are_in_units_of_their_dimension(inputs):
    dataset = Dataset.load(inputs.manifest, inputs.manifest.with_name("actions.npy"))
    recorded = Labels.of(dataset, policy_settings(1.0)).actions
    np.testing.assert_array_equal(recorded, dataset.actions[:, :2])
    np.testing.assert_allclose(
        Labels.of(dataset, policy_settings(TWO)).actions, recorded / [0.5, 40.0], rtol=1e-6
    )


def test_the_robot_is_told_what_was_recorded(backbone):
    def stream(scale):
        policy = Policy(
            policy_settings(scale), backbone.model(), backbone.processor(), ("go",), 0
        ).eval()
        return policy, Stream(policy, [0])

    frame = np.random.default_rng(0).integers(0, 255, (1, 224, 224, 3), dtype=np.uint8)
    (one, first), (own, second) = stream(1.0), stream(TWO)
    normalised = first.step(frame)
    np.testing.assert_allclose(second.step(frame), normalised * [0.5, 40.0], rtol=1e-6)
    assert torch.equal(own.denormalise(torch.ones(2)), torch.ones(2))
    assert torch.equal(one.denormalise(torch.ones(2)), torch.ones(2))


def test_physical_units_are_those_of_what_was_recorded(tmp_path):
    made = make_results(tmp_path, 1)
    scored = EvaluationResult.read(made.evaluations[0])
    own = scored.model_copy(update={"recorded_units": TWO})
    units = {"demo": {"linear_x": "0.2 m/s", "linear_y": "0.0025 m/s"}}
    assert in_units(own, units, "mae", "linear_x", 3.0) == (pytest.approx(0.3), "m/s")
    assert in_units(own, units, "mae", "overall", 3.0) == (pytest.approx(0.3), "m/s")  # 0.1 each
    assert in_units(scored, units, "mae", "overall", 3.0) is None
