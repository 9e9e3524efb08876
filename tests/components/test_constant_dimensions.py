"""Dimensions that never vary: predicted like the others, or left out of the loss."""

import json

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.data import ManifestSettings
from mobile_vla.config.model import FullFinetune
from mobile_vla.config.windows import Actions
from mobile_vla.data.manifest import manifest
from mobile_vla.data.result import Manifest
from mobile_vla.errors import UserError
from mobile_vla.files import write_json
from mobile_vla.layout import ManifestFiles
from mobile_vla.model.policy import Policy
from mobile_vla.result import FileDigest
from mobile_vla.runs.data import open_run
from mobile_vla.runs.policy import build_policy
from mobile_vla.training.trainer import Trainer
from support.synthetic_datasets import changed, facts_of, write_facts
from support.training_run import Inputs, origin_of, settings_of

TURN = 0.25
DIMENSIONS = ("linear_x", "linear_y", "angular_z")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def turning(inputs, tmp_path):
    """The same episodes, all of them turning at the same rate all the time."""
    facts = []
    for episode in Manifest.read(inputs.manifest).episodes:
        straight = facts_of(episode.name, episode.frames)
        actions = [[x, y, TURN] for x, y, _ in straight.actions]
        frames = FileDigest(sha256=episode.frames_sha256, size=1000)
        facts.append(changed(straight, actions=actions, frame_file=frames))
    path = tmp_path / "manifest.json"
    manifest(
        ManifestSettings(dataset="made", on_error="fail"),
        ManifestFiles(path, tmp_path / "actions.npy"),
        facts=write_facts(tmp_path, facts),
    )
    (tmp_path / "episodes").symlink_to(inputs.manifest.parent / "episodes")
    return path


def load(inputs, manifest_, constant, dimensions=DIMENSIONS, mirror=False):
    run = settings_of()
    policy = run.policy.model_copy(
        update={
            "actions": Actions(dimensions=dimensions, constant=constant),
            "finetune": "full",
            "lora": None,
            "full": FullFinetune(),
            "mirror": mirror,
        }
    )
    files = inputs.of_run(
        manifest=manifest_, actions=manifest_.with_name("actions.npy"), features=[]
    )
    data = open_run(run.model_copy(update={"policy": policy}), files, "fp32")
    return policy, data


def test_a_constant_dimension_is_kept_unless_told_otherwise(inputs, turning):
    policy, data = load(inputs, turning, "keep")
    assert data.fixed == {}
    assert build_policy(policy, 0, data).learned_dimensions == 3


def test_left_out_it_weighs_nothing_in_the_loss_and_the_policy_answers_it(
    inputs, turning, tmp_path
):
    policy, data = load(inputs, turning, "leave_out")
    assert data.fixed == {"angular_z": pytest.approx(TURN)}
    built = build_policy(policy, 0, data).eval()
    samples = data.samples["train"]
    batch = samples.batch(np.arange(2))
    with torch.inference_mode():
        predicted = built.denormalise(built(batch.features, batch.prompts, batch.windows))
    assert predicted[..., 2].numpy() == pytest.approx(TURN)
    assert predicted[..., :2].std() > 0

    # nor does it count among the predictions beyond the scale
    beyond = build_policy(policy, 0, data).eval()
    beyond.fixed[2] = 1.5
    trainer = Trainer(beyond, settings_of().training, data.samples["train"], 0, "fp32")
    with torch.no_grad():
        for value, share in ((0.0, 0.0), (2.0, 1.0)):
            beyond.head.mlp[-1].weight.zero_()
            beyond.head.mlp[-1].bias.fill_(value)
            assert trainer.validate(data.samples["val"]).clipped == share

    # the loss is that of a run which never heard of the dimension
    run = settings_of()
    two, data_of_two = load(inputs, turning, "keep", DIMENSIONS[:2])
    without = build_policy(two, 0, data_of_two)
    head = built.head.state_dict()
    chunk = policy.chunk
    last = max(int(name.split(".")[1]) for name in head if name.startswith("mlp."))
    for kind in ("weight", "bias"):
        name = f"mlp.{last}.{kind}"
        values = head[name].view(chunk, 3, -1)[:, :2]
        head[name] = values.reshape(chunk * 2, *head[name].shape[1:])
    without.head.load_state_dict(head)
    losses = [
        Trainer(one, run.training, found.samples["train"], 0, "fp32")
        .validate(found.samples["val"])
        .loss
        for one, found in ((built, data), (without, data_of_two))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)

    # and it travels with the policy
    backbone = Checkpoint.read(inputs.backbone)
    built.save_pretrained(tmp_path / "policy", backbone, origin_of())
    again = Policy.from_pretrained(tmp_path / "policy", backbone, "fp32")
    assert again.fixed_values == data.fixed


def test_a_turn_that_mirroring_reverses_is_not_constant(inputs, turning):
    _, data = load(inputs, turning, "leave_out", mirror=True)
    assert data.fixed == {}


def test_nothing_left_to_learn_is_an_error(inputs, turning):
    with pytest.raises(UserError, match="angular_z"):
        load(inputs, turning, "leave_out", ("angular_z",))


def test_failure_02_the_prompt_table_travels_with_the_policy_and_is_checked(inputs, tmp_path):
    policy, data = load(inputs, inputs.manifest, "keep")
    backbone = Checkpoint.read(inputs.backbone)
    build_policy(policy, 0, data).save_pretrained(tmp_path, backbone, origin_of())
    described = json.loads((tmp_path / "policy.json").read_text())
    assert described["prompts"] == ["pass on the left", "pass on the right"]
    described["prompts"][0] = "왼쪽"  # trained in English, served in Korean
    write_json(tmp_path / "policy.json", described)
    with pytest.raises(UserError, match="prompts"):
        Policy.from_pretrained(tmp_path, backbone, "fp32")
