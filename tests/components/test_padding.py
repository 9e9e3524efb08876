"""Padding to RoboVLMs' dimensions: what the head writes, what is minimised, what is reported."""

import csv
import math

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import Lora, Padding, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.training import Training
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.data.windows import make_windows
from mobile_vla.features.store import FeatureStore
from mobile_vla.model.heads.head import HeadShape
from mobile_vla.model.heads.lstm import LstmHead
from mobile_vla.model.policy import Policy
from mobile_vla.runs.labels import Labels
from mobile_vla.runs.samples import Samples
from mobile_vla.training.loop import Position, run_epochs
from mobile_vla.training.loss import Objective
from mobile_vla.training.result import read_metrics, write_metrics
from mobile_vla.training.trainer import Trainer
from support.synthetic_datasets import make_dataset, names
from support.tiny import make_backbone

SEVEN = Padding(action_dim=7, gripper_loss_ratio=0.01)


def test_the_head_writes_velocities_zeros_and_a_gripper():
    settings = Lstm(hidden_size=8, layers=2, mlp=(6, 5), activation="relu", output="tanh")
    head = LstmHead(settings, HeadShape(3, 16, 3, 6, gripper=True)).eval()
    with torch.no_grad():
        head.mlp[-1].weight.mul_(100)
        head.gripper[-1].bias.fill_(5.0)
        found = head(torch.randn(4, 3, 16))
    assert found.shape == (4, 3, 7)
    assert found[..., :6].abs().max() <= 1 < found[..., 6].min()  # logits know no bounds
    assert any(isinstance(layer, torch.nn.ReLU) for layer in head.mlp)
    plain = LstmHead(Lstm(hidden_size=8), HeadShape(3, 16, 3, 2))
    assert plain(torch.randn(4, 3, 16)).shape == (4, 3, 2)


def test_the_losses_of_a_case_worked_by_hand():
    objective = Objective(1.0, 2, 2, Padding(action_dim=5, gripper_loss_ratio=0.5))
    outputs = torch.tensor([[[0.5, 0.0, 0.5, 2.0, 0.0], [9.0] * 5, [0, 2.0, 0, 0, -math.log(3)]]])
    targets = torch.tensor([[[0.0, 2.0], [0.0, 0.0], [0.0, 2.0]]])
    mask = torch.tensor([[True, False, True]])
    loss, sums = objective.compute_loss(outputs, targets, mask, 2)
    # Huber at delta 1: 0.5²/2 and 2 - 0.5, of velocities and zeros alike; softplus of the logits
    entropy = math.log(2) + math.log(4 / 3)
    torch.testing.assert_close(sums, torch.tensor([1.625, 1.625, entropy, 2.0]))
    assert objective.reported(sums.tolist(), 2) == pytest.approx(
        {
            "loss": 1.625 / 4,
            "loss_arm_act": 3.25 / 8,
            "loss_gripper_act": entropy / 2,
            "acc_gripper_act": 1.0,
        }
    )
    assert loss.item() == pytest.approx(3.25 / 8 + 0.5 * entropy / 2)


def test_without_padding_the_loss_over_the_velocities_is_minimised():
    objective = Objective(1.0, 2, 2, None)
    batch = torch.ones(1, 1, 2), torch.zeros(1, 1, 2), torch.ones(1, 1).bool()
    loss, sums = objective.compute_loss(*batch, 1)
    assert sums.tolist() == [1.0]
    assert loss.item() == 0.5
    assert objective.reported([1.0], 1) == {"loss": 0.5}


def test_padding_dilutes_the_gradient_of_the_velocities():
    def gradient(padding, outputs):
        predicted = torch.full((1, 1, outputs), 0.5, requires_grad=True)
        objective = Objective(1.0, 2, 2, padding)
        batch = predicted, torch.zeros(1, 1, 2), torch.ones(1, 1).bool()
        objective.compute_loss(*batch, 1)[0].backward()
        return predicted.grad[0, 0, 0].item()

    assert gradient(SEVEN, 7) == pytest.approx(gradient(None, 2) * 2 / 6)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("padded")
    backbone = Checkpoint.read(make_backbone(folder / "backbone"))
    dataset = make_dataset(folder, dict(zip(names(3), (9, 12, 7), strict=True)))
    settings = PolicySettings(
        window=3,
        chunk=4,
        finetune="lora",
        lora=Lora(r=4, dropout=0),
        full=None,
        head=Lstm(hidden_size=8),
        padding=SEVEN,
        prompt=Prompt(template="{side}"),
        actions=Actions(),
    )
    labels = Labels.of(dataset, settings)
    table = make_windows(dataset, (0, 1, 2), Windows(window=3, chunk=4, tail="mask"))
    features = np.random.default_rng(0).normal(size=(dataset.rows, 4, 32)).astype(np.float32)
    samples = Samples(dataset, table, FeatureStore(features, "float32"), labels, 1.15)
    torch.set_num_threads(1)
    policy = Policy(settings, backbone.model(), backbone.processor(), ("left", "right"), 0)
    training = Training(epochs=2, batch_size=4, learning_rate=1e-2)
    return Trainer(policy, training, samples, 0, "fp32")


def test_a_policy_answers_velocities_alone(trainer):
    policy = trainer.policy.eval()
    batch = trainer.samples.batch(np.arange(5))
    with torch.no_grad():
        found = policy(batch.features, batch.prompts, batch.windows)
        padded, own = policy.supervised(batch.features, batch.prompts, batch.windows, batch.targets)
    assert own is None
    assert found.shape == (5, 4, 2) and padded.shape == (5, 4, 7)
    assert torch.equal(found, padded[..., :2])


def test_failure_20_the_loss_over_the_velocities_stands_beside_the_diluted_one(trainer, tmp_path):
    position = Position()
    run_epochs(trainer, trainer.samples, position, lambda *_: None, lambda _: False)
    write_metrics(tmp_path / "metrics.csv", position.history)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert read_metrics(tmp_path / "metrics.csv") == tuple(position.history)
    losses = ("loss_arm_act", "loss_gripper_act", "acc_gripper_act")
    assert list(rows[0])[-6:] == [f"{role}_{name}" for role in ("train", "val") for name in losses]
    for role in ("train", "val"):
        one = {name: [float(row[f"{role}_{name}"]) for row in rows] for name in ("loss", *losses)}
        for own, arm in zip(one["loss"], one["loss_arm_act"], strict=True):
            assert own / 3 <= arm < own  # 2 of 6, and zeros that are not quite zero
        assert one["loss_gripper_act"][1] < one["loss_gripper_act"][0]
        assert one["acc_gripper_act"][1] > 0.8
    assert trainer.step(99, trainer.epoch_steps(0)[0]).others != ()
