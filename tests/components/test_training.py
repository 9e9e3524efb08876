"""Batches, the optimiser step, and what a run leaves behind."""

import csv
import math

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.training import EarlyStopping, Matched, Training
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.data.windows import make_windows
from mobile_vla.errors import UserError
from mobile_vla.features.store import FeatureStore
from mobile_vla.model.policy import Policy
from mobile_vla.runs.labels import Labels
from mobile_vla.runs.samples import Samples
from mobile_vla.training.batches import steps_of
from mobile_vla.training.loop import Position, exhausted, run_epochs
from mobile_vla.training.loss import Objective, summed_error
from mobile_vla.training.result import read_metrics, write_metrics
from mobile_vla.training.trainer import Trainer
from support.synthetic_datasets import make_dataset, names, write_roles
from support.tiny import SIZE, make_backbone
from support.training_results import epoch_of

LENGTHS = (9, 12, 7)
WINDOWS = Windows(window=3, chunk=4, tail="mask")
ACTIONS = Actions()
PROMPT = Prompt(template="{side}")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return Checkpoint.read(make_backbone(tmp_path_factory.mktemp("backbone")))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    lengths = dict(zip(names(3), LENGTHS, strict=True))
    return make_dataset(tmp_path_factory.mktemp("dataset"), lengths)


@pytest.fixture(scope="module")
def labels(dataset):
    return Labels.of(dataset, policy_settings())


def policy_settings(dropout=0.0):
    return PolicySettings(
        window=3,
        chunk=4,
        finetune="lora",
        lora=Lora(r=4, dropout=dropout),
        full=None,
        head=Lstm(hidden_size=8),
        prompt=PROMPT,
        actions=ACTIONS,
    )


def make_samples(dataset, labels, windows=WINDOWS, episodes=(0, 1, 2)):
    features = np.random.default_rng(0).normal(size=(dataset.rows, 4, 32)).astype(np.float32)
    table = make_windows(dataset, episodes, windows)
    return Samples(dataset, table, FeatureStore(features, "float32"), labels, ACTIONS.scale)


def make_trainer(backbone, samples, seed=0, dropout=0.0, **training):
    settings = policy_settings(dropout)
    torch.set_num_threads(1)
    policy = Policy(settings, backbone.model(), backbone.processor(), ("left", "right"), seed)
    for module in policy.modules():  # the backbone's own dropout would hide what is compared
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = dropout
    values = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-2, **training}
    return Trainer(policy, Training(**values), samples, seed, "fp32")


def test_a_batch_holds_each_frame_once_and_every_window_finds_its_own(dataset, labels):
    samples = make_samples(dataset, labels)
    indices = np.array([2, 3, 8, 2])
    batch = samples.batch(indices)
    rows = samples.table.frames[indices]
    assert len(batch.features) == len(np.unique(rows)) < rows.size
    assert torch.equal(batch.features[batch.windows], samples.rows[rows.ravel()].view(4, 3, 4, 32))
    assert batch.prompts[batch.windows].tolist() == [[0] * 3, [0] * 3, [1] * 3, [0] * 3]
    raw = dataset.actions[samples.table.targets[indices]][..., :2]
    np.testing.assert_allclose(batch.targets.numpy(), raw / np.float32(1.15))


def test_the_loss_counts_what_exists_and_nothing_else():
    predicted = torch.tensor([[[0.5, 0.0], [9.0, 9.0]]])
    targets = torch.tensor([[[0.0, 2.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, False]])
    # Huber at delta 1: 0.5² / 2, and 2 - 0.5
    loss, sums = Objective(1.0, 2, 2, None).compute_loss(predicted, targets, mask, 1)
    assert sums.tolist() == [pytest.approx(0.125 + 1.5)]
    assert loss.item() == pytest.approx((0.125 + 1.5) / 2)
    assert summed_error(predicted, targets, mask).tolist() == [0.5, 2.0]


def gradients(trainer):
    return {
        name: parameter.grad.clone()
        for name, parameter in trainer.policy.named_parameters()
        if parameter.grad is not None
    }


def test_a_step_equals_the_computation_window_by_window(backbone, dataset, labels):
    samples = make_samples(dataset, labels)
    indices = np.arange(len(samples))
    together = make_trainer(backbone, samples)
    apart = make_trainer(backbone, samples)
    actions = samples.batch(indices).supervised
    for trainer, groups in ((together, [indices]), (apart, indices.reshape(-1, 1))):
        trainer.policy.train()
        total = 0.0
        for group in groups:
            batch = samples.batch(group)
            predicted = trainer.policy(batch.features, batch.prompts, batch.windows)
            loss, sums = trainer.objective.compute_loss(
                predicted, batch.targets, batch.mask, actions
            )
            loss.backward()
            total += sums.item()
        trainer.total = total
    assert together.total == pytest.approx(apart.total, rel=1e-5)
    one, other = gradients(together), gradients(apart)
    assert one.keys() == other.keys() and one
    largest = max(gradient.abs().max() for gradient in one.values())
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-5, atol=1e-6 * float(largest))


def test_accumulation_of_ragged_batches_equals_one_batch(backbone, dataset, labels):
    samples = make_samples(dataset, labels)
    indices = np.arange(8)
    whole = make_trainer(backbone, samples)
    parts = make_trainer(backbone, samples)
    a = whole.step(0, [indices])
    b = parts.step(0, [indices[:5], indices[5:]])
    assert a[1] == b[1]
    assert (a[0], a[2]) == pytest.approx((b[0], b[2]), rel=1e-5)
    for (name, p), q in zip(
        whole.policy.named_parameters(), parts.policy.parameters(), strict=True
    ):
        # Adam's first step is the sign of the gradient: noise in a vanishing one shows in full
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5, msg=name)


def test_only_what_is_declared_is_trained(backbone, dataset, labels):
    trainer = make_trainer(backbone, make_samples(dataset, labels))
    before = {name: p.detach().clone() for name, p in trainer.policy.named_parameters()}
    trainer.step(0, [np.arange(6)])
    trainer.step(1, [np.arange(6, 12)])
    changed = {
        name for name, p in trainer.policy.named_parameters() if not torch.equal(p, before[name])
    }
    assert changed
    assert all("lora_" in n or "head." in n or "action_token" in n for n in changed)
    assert any("lora_A" in n for n in changed) and any("action_token" in n for n in changed)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_learning_rate_warms_up_and_follows_its_schedule(backbone, dataset, labels, schedule):
    trainer = make_trainer(
        backbone,
        make_samples(dataset, labels),
        epochs=10,
        warmup=0.2,
        schedule=schedule,
        learning_rate=1.0,
    )
    rates = [trainer.learning_rate(step) for step in range(trainer.total_steps)]
    warmup = math.ceil(0.2 * trainer.total_steps)
    assert rates[0] == pytest.approx(1 / warmup)
    assert rates[warmup - 1] == rates[warmup] == 1.0
    if schedule == "constant":
        assert set(rates[warmup:]) == {1.0}
    else:
        assert all(a > b for a, b in zip(rates[warmup:], rates[warmup + 1 :], strict=False))
        middle = (trainer.total_steps - warmup) // 2
        exact = 0.5 * (1 + math.cos(math.pi * middle / (trainer.total_steps - warmup)))
        assert rates[warmup + middle] == pytest.approx(exact)
        assert rates[-1] < 0.02


def test_the_gradient_is_clipped_and_its_norm_reported(backbone, dataset, labels):
    samples = make_samples(dataset, labels)
    free = make_trainer(backbone, samples, clip=None)
    clipped = make_trainer(backbone, samples, clip=1e-6)
    for trainer in (free, clipped):  # plain descent shows the gradient's size
        trainer.optimizer = torch.optim.SGD(trainer.parameters, lr=1.0)
    norms, moved = [], []
    for trainer in (free, clipped):
        before = torch.cat([p.detach().flatten().clone() for p in trainer.parameters])
        norms.append(trainer.step(0, [np.arange(6)])[2])
        after = torch.cat([p.detach().flatten() for p in trainer.parameters])
        moved.append(float((after - before).norm()) / trainer.learning_rate(0))
    assert norms[0] == pytest.approx(norms[1]) and norms[0] > 1e-3
    assert moved[0] == pytest.approx(norms[0], rel=1e-2)
    assert moved[1] < 1e-4


def test_gradient_checkpointing_keeps_less_and_changes_nothing(tmp_path, dataset, labels):
    # the last layer, which runs for one token, is not checkpointed
    backbone = Checkpoint.read(make_backbone(tmp_path, text={**SIZE["text"], "layers": 4}))
    samples = make_samples(dataset, labels)
    kept, after = [], []
    for wanted in (False, True):
        trainer = make_trainer(backbone, samples, dropout=0.2, gradient_checkpointing=wanted)
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, saved=saved: saved.append(tensor.numel()) or tensor,
            lambda tensor: tensor,
        ):
            loss = trainer.step(0, [np.arange(6)])[0]
        kept.append(sum(saved))
        after.append((loss, [p.detach().clone() for p in trainer.parameters]))
    assert kept[1] < 0.7 * kept[0]
    assert after[0][0] == after[1][0]
    for one, other in zip(after[0][1], after[1][1], strict=True):
        assert torch.equal(one, other)


def test_a_loss_that_is_not_finite_stops_before_the_update(backbone, dataset, labels):
    samples = make_samples(dataset, labels)
    samples.rows.array[int(dataset.offsets[1])] = np.nan
    trainer = make_trainer(backbone, samples)
    before = [p.detach().clone() for p in trainer.policy.parameters()]
    first_of_second = int(np.flatnonzero(samples.table.episode == 1)[0])
    with pytest.raises(UserError, match=rf"step 3 .*{dataset.episodes[1].name}"):
        trainer.step(2, [np.array([first_of_second])])
    for p, q in zip(trainer.policy.parameters(), before, strict=True):
        assert torch.equal(p, q)


def test_a_gradient_that_is_not_finite_stops_before_the_update(backbone, dataset, labels):
    trainer = make_trainer(backbone, make_samples(dataset, labels))
    before = [p.detach().clone() for p in trainer.policy.parameters()]
    trainer.policy.encoder.action_token.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(UserError, match=r"step 1 .*gradient is not finite"):
        trainer.step(0, [np.arange(4)])
    for p, q in zip(trainer.policy.parameters(), before, strict=True):
        assert torch.equal(p, q)


def test_a_step_that_a_loss_scaler_skips_leaves_the_last_norm(backbone, dataset, labels):
    samples = make_samples(dataset, labels)
    trainer = make_trainer(backbone, samples)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=math.inf)
    before = {name: value.clone() for name, value in trainer.state()[0].items()}
    position = Position()
    run_epochs(trainer, samples, position, lambda *_: None, lambda _: True)
    after = trainer.state()[0]
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert [epoch.gradient_norm for epoch in position.history] == [0.0]


def test_a_validation_loss_that_is_not_finite_is_an_error(backbone, dataset, labels):
    samples = make_samples(dataset, labels)
    samples.rows.array[0] = np.nan
    with pytest.raises(UserError, match="validation loss is not finite"):
        make_trainer(backbone, samples).validate(samples)


def run(trainer, validation):
    position = Position()
    run_epochs(trainer, validation, position, lambda count, loss: None, lambda epoch: False)
    return position.history


def test_the_same_seed_gives_the_same_run_and_another_seed_another(backbone, dataset, labels):
    samples = make_samples(dataset, labels, episodes=(0, 1))
    validation = make_samples(dataset, labels, episodes=(2,))
    one, two, other = (
        run(make_trainer(backbone, samples, seed=seed, dropout=0.2), validation)
        for seed in (0, 0, 1)
    )
    assert one == two
    assert one != other
    assert one[-1].train_loss < one[0].train_loss
    assert [epoch.step for epoch in one] == [
        math.ceil(len(samples) / 4) * number for number in (1, 2)
    ]


def test_validation_is_the_mean_over_all_windows_in_raw_units(backbone, dataset, labels):
    validation = make_samples(dataset, labels, episodes=(2,))
    trainer = make_trainer(backbone, validation)
    found = trainer.validate(validation)
    batch = validation.batch(np.arange(len(validation)))
    with torch.inference_mode():
        predicted = trainer.policy.eval()(batch.features, batch.prompts, batch.windows)
    kept = batch.mask
    error = (predicted - batch.targets).abs()[kept].mean(0) * 1.15
    assert list(found.mae) == ["linear_x", "linear_y"]
    assert list(found.mae.values()) == pytest.approx(error.tolist(), rel=1e-5)
    loss = torch.nn.functional.huber_loss(predicted[kept], batch.targets[kept])
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    assert 0 <= found.clipped <= 1


def test_metrics_csv_holds_all_digits_and_no_times(backbone, dataset, labels, tmp_path):
    samples = make_samples(dataset, labels)
    history = run(make_trainer(backbone, samples), samples)
    write_metrics(tmp_path / "metrics.csv", history)
    with (tmp_path / "metrics.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["val_loss"]) for line in lines] == [epoch.val_loss for epoch in history]
    assert read_metrics(tmp_path / "metrics.csv") == tuple(history)
    assert not [name for name in lines[0] if "time" in name or "second" in name]


@pytest.mark.parametrize(
    ("losses", "patience", "stops"),
    [
        ([3, 2, 1], 2, False),
        ([1, 2, 3], 2, True),
        ([1, 2], 2, False),
        ([2, 1.5, 1.45], 1, True),  # improved by less than min_delta
        ([2, 1.5, 1.0], 1, False),
    ],
)
def test_early_stopping_waits_for_its_patience(losses, patience, stops):
    history = [epoch_of(number, loss, loss) for number, loss in enumerate(losses)]
    assert exhausted(history, EarlyStopping(patience=patience, min_delta=0.1)) is stops


def test_a_run_can_take_another_number_of_steps_than_its_epochs(backbone, dataset, labels):
    samples = make_samples(dataset, labels)
    trainer = make_trainer(backbone, samples)  # 2 epochs
    per_epoch = trainer.steps_per_epoch
    wanted = 2 * per_epoch + 1
    longer = Trainer(trainer.policy, trainer.training, samples, 0, "fp32", steps=wanted)
    assert (longer.total_steps, longer.epochs) == (wanted, 3)
    position = Position()
    run_epochs(longer, samples, position, lambda *_: None, lambda _: False)
    assert [epoch.step for epoch in position.history] == [per_epoch, 2 * per_epoch, wanted]


def test_the_steps_of_another_run_are_counted_as_it_would_take_them(dataset, tmp_path):
    names_ = [episode.name for episode in dataset.episodes]
    write_roles(tmp_path / "split.json", {"train": names_[:2], "val": names_[2:]})
    other = Matched(
        windows=WINDOWS, subset=None, mirror=False, batch_size=4, accumulation=3, epochs=5
    )
    windows = len(make_windows(dataset, (0, 1), WINDOWS))
    steps = math.ceil(math.ceil(windows / 4) / 3)
    assert steps_of(other, dataset, tmp_path / "split.json", 0) == 5 * steps
    mirrored = other.model_copy(update={"mirror": True})
    twice = math.ceil(math.ceil(2 * windows / 4) / 3)
    assert steps_of(mirrored, dataset, tmp_path / "split.json", 0) == 5 * twice > 5 * steps
    assert steps_of(None, dataset, tmp_path / "split.json", 0) is None
