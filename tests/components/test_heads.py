"""Heads: what each costs and learns, and that all of them go every way that a policy goes."""

from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.bundle.graphs import export_head
from mobile_vla.config.heads import HEADS
from mobile_vla.config.heads.flow import Flow
from mobile_vla.config.heads.gpt import Gpt
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.heads.mlp import Mlp
from mobile_vla.config.heads.tokens import MOST_COMMANDS, Tokens
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.training import Training
from mobile_vla.config.windows import Windows
from mobile_vla.data.windows import make_windows
from mobile_vla.features.store import FeatureStore
from mobile_vla.model.heads import build_head
from mobile_vla.model.policy import Policy, skeleton
from mobile_vla.runs.labels import Labels
from mobile_vla.runs.samples import Samples
from mobile_vla.timing.flops import counted, formula
from mobile_vla.training.memory import estimate
from mobile_vla.training.trainer import Trainer
from mobile_vla.training.worst_case import WorstCase
from support.policy_settings import policy_settings
from support.synthetic_datasets import make_dataset, names
from support.tiny import make_backbone
from support.training_run import origin_of

W, C, A, D = 3, 4, 2, 32
SMALL = {
    "lstm": Lstm(hidden_size=8, mlp=(6,), dropout=0.1),
    "mlp": Mlp(type="mlp", mlp=(8,), dropout=0.1),
    "mean": Mlp(type="mlp", readout="mean", mlp=(8,)),
    "gpt": Gpt(type="gpt", hidden_size=8, heads=2, dropout=0.1),
    "bins": Tokens(type="tokens", classes=5, hidden_size=8, dropout=0.1),
    "commands": Tokens(type="tokens", classes="commands", hidden_size=8, mlp=(6,)),
    "drawn": Tokens(type="tokens", classes=5, choose="sample", hidden_size=8),
    "flow": Flow(type="flow", steps=3, hidden_size=8, mlp=(8,), dropout=0.1),
}
KINDS = ["lstm", "mlp", "gpt", "commands", "flow"]
CAUSAL = [name for name, head in SMALL.items() if head.causal]
LEARNED = torch.tensor([True, True])


def settings_of(head, finetune="lora", **changes):
    return policy_settings(
        finetune, window=W, chunk=C, head=head, prompt=Prompt(template="{side}"), **changes
    )


def head_of(head, readout=D, **changes):
    torch.manual_seed(0)
    return build_head(settings_of(head, **changes), readout).eval()


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return Checkpoint.read(make_backbone(tmp_path_factory.mktemp("backbone")))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(
        tmp_path_factory.mktemp("heads"), dict(zip(names(3), (9, 12, 7), strict=True))
    )


@pytest.fixture
def make_policy(backbone):
    def make(name, finetune="lora", seed=0, fixed=None, **changes):
        settings = settings_of(SMALL[name].model_copy(update=changes), finetune)
        texts = ("left", "right")
        return Policy(settings, backbone.model(), backbone.processor(), texts, seed, fixed)

    return make


# At Kosmos-2's size, W=8, C=10 and two velocities; D is the width of a readout.
FULL_D, FULL_W, FULL_C = 2048, 8, 10
H = 512
LSTM = 4 * H * (FULL_D + H + 2)
LSTM_PRODUCTS = 2 * FULL_W * 4 * H * (FULL_D + H)
V = FULL_C * A
BLOCK, BLOCK_PRODUCTS = 12 * H**2 + 13 * H, 2 * 12 * H**2
FLOW = (H + V + 16, H, H, V)
FULL = {
    "lstm": (Lstm(), LSTM + (H + 1) * V, LSTM_PRODUCTS + 2 * H * V),
    "mlp": (
        Mlp(type="mlp"),
        (FULL_D + 1) * H + (H + 1) * V,
        2 * (FULL_D * H + H * V),
    ),
    "gpt": (
        Gpt(type="gpt"),
        (FULL_D + 1) * H + FULL_W * H + 2 * BLOCK + 2 * H + (H + 1) * V,
        # scores and sums of attention: two products over W frames of each
        FULL_W * (2 * FULL_D * H + 2 * BLOCK_PRODUCTS + 2 * 4 * FULL_W * H) + 2 * H * V,
    ),
    "bins": (
        Tokens(type="tokens"),
        LSTM + (H + 1) * V * 255,
        LSTM_PRODUCTS + 2 * H * V * 255,
    ),
    "commands": (
        Tokens(type="tokens", classes="commands"),
        LSTM + (H + 1) * FULL_C * MOST_COMMANDS,
        LSTM_PRODUCTS + 2 * H * FULL_C * MOST_COMMANDS,
    ),
    "flow": (
        Flow(type="flow"),
        LSTM + sum((one + 1) * other for one, other in pairwise(FLOW)),
        LSTM_PRODUCTS + 2 * (FLOW[0] * H + H * H + H * V),
    ),
}


@pytest.mark.parametrize("name", FULL)
def test_parameters_and_operations_at_full_size_are_exact(name):
    settings, parameters, operations = FULL[name]
    with torch.device("meta"):
        whole = policy_settings("none", window=FULL_W, chunk=FULL_C, head=settings)
        head = build_head(whole, FULL_D)
        readouts, targets = torch.empty(1, FULL_W, FULL_D), torch.empty(1, FULL_C, A)
        learned = torch.ones(A, dtype=torch.bool)
    assert sum(one.numel() for one in head.parameters()) == parameters
    matrices = sum(one.numel() for one in head.parameters() if one.ndim > 1)
    assert settings.matrices(FULL_D, FULL_W, V) == matrices or name == "commands"
    assert settings.matrices(FULL_D, FULL_W, V) <= matrices
    head.train()
    assert counted(lambda: head.supervised(readouts, targets, learned)) == operations
    assert head.operations(FULL_W) == operations
    if settings.causal:
        every = targets[:, None].expand(-1, FULL_W, -1, -1)
        found = counted(lambda: head.supervised(readouts, every, learned))
        assert found == head.operations(FULL_W, FULL_W)


def test_every_type_is_among_these_heads():
    assert {head.type for head in SMALL.values()} == set(HEADS)


@pytest.mark.parametrize("name", SMALL)
def test_a_head_writes_a_chunk_for_each_window_by_itself(name):
    head, readouts = head_of(SMALL[name]), torch.randn(5, W, D)
    with torch.no_grad():
        found = head(readouts)
        apart = torch.cat([head(one[None]) for one in readouts])
    assert found.shape == (5, C, A) and found.isfinite().all()
    torch.testing.assert_close(found, apart, rtol=1e-5, atol=1e-6)
    targets = torch.randn(5, C, A)
    with torch.no_grad():
        outputs, own = head.supervised(readouts, targets, LEARNED)
    torch.testing.assert_close(outputs, found)
    assert (own is not None) == head.has_own_loss
    assert own is None or (own.shape == (5, C) and (own >= 0).all())


@pytest.mark.parametrize("name", CAUSAL)
def test_a_prediction_after_a_frame_does_not_see_later_ones(name):
    head, readouts, targets = head_of(SMALL[name]), torch.randn(2, W, D), torch.randn(2, W, C, A)
    other = readouts.clone()
    other[:, 1:] += 1.0
    with torch.no_grad():
        one, two = (head.supervised(seen, targets, LEARNED) for seen in (readouts, other))
        last = head(readouts)
    one_by_frame, two_by_frame = (found.outputs.view(2, W, C, A) for found in (one, two))
    torch.testing.assert_close(one_by_frame[:, 0], two_by_frame[:, 0])
    torch.testing.assert_close(one_by_frame[:, -1], last)
    if one.loss is not None:
        torch.testing.assert_close(one.loss.view(2, W, C)[:, 0], two.loss.view(2, W, C)[:, 0])


def test_targets_of_every_frame_are_those_that_follow_it(dataset):
    windows = Windows(window=W, chunk=2, start="repeat", tail="mask")
    table = make_windows(dataset, (1,), windows).with_mirror_images(dataset.rows)
    found = table.supervised_at_every_frame(dataset)
    first, last = int(dataset.offsets[1]), int(dataset.lengths[1]) - 1
    for half, shift in ((0, 0), (len(table) // 2, dataset.rows)):
        # the first window has seen frame 0 alone, which stands for those before it
        assert found.mask[half].tolist() == [[False] * 2, [False] * 2, [True] * 2]
        assert (found.targets[half + 4] - first - shift).tolist() == [[3, 4], [4, 5], [5, 6]]
        end = half + last - 1  # its last frame is the last but one
        assert (found.targets[end, -1] - first - shift).tolist() == [last, last]
        assert found.mask[end].tolist() == [[True, True], [True, True], [True, False]]
    np.testing.assert_array_equal(found.targets[:, -1], table.targets)
    np.testing.assert_array_equal(found.mask[:, -1], table.mask)


def trainer_of(policy, dataset, **training):
    settings = policy.settings
    table = make_windows(dataset, (0, 1, 2), Windows(window=W, chunk=C, tail="mask"))
    features = np.random.default_rng(0).normal(size=(dataset.rows, 4, 32)).astype(np.float32)
    samples = Samples(
        dataset, table, FeatureStore(features, "float32"), Labels.of(dataset, settings), 1.15
    )
    policy.head.prepare(samples.commands_of_episodes()[:MOST_COMMANDS])
    torch.set_num_threads(1)
    values = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-2, **training}
    return Trainer(policy, Training(**values), samples, 0, "fp32")


@pytest.mark.parametrize("name", KINDS)
def test_training_goes_on_bit_for_bit_from_a_state(make_policy, dataset, name):
    trainer = trainer_of(make_policy(name), dataset)
    batches = trainer.epoch_steps(0)
    trainer.step(0, batches[0])
    state = {key: tensor.clone() for key, tensor in trainer.state()[0].items()}
    expected = trainer.step(1, batches[1])
    again = trainer_of(make_policy(name, seed=1), dataset)
    again.load_state(state, {})
    assert again.step(1, batches[1]) == expected
    assert len(expected.others) == (1 if trainer.policy.head.has_own_loss else 0)
    one, other = trainer.state()[0], again.state()[0]
    assert all(torch.equal(one[key], other[key]) for key in one)
    found, again_found = trainer.validate(trainer.samples), again.validate(again.samples)
    assert found == again_found
    assert ("objective" in found.others) == trainer.policy.head.has_own_loss


@pytest.mark.parametrize("name", ["gpt", "flow"])
def test_a_step_at_every_frame_is_the_mean_over_all_its_actions(make_policy, dataset, name):
    trainer = trainer_of(make_policy(name), dataset, supervise="every_frame")
    batch = trainer.epoch_steps(0)[0][0]
    step = trainer.step(0, [batch])
    actions = int(trainer.samples.table.mask[batch].sum())
    assert step.values == actions * A
    assert actions > int(trainer.samples.table.mask[batch][:, -1].sum())
    assert np.isfinite(step.loss) and step.norm > 0


def test_every_frame_with_the_last_one_alone_counted_is_the_last(make_policy, dataset):
    batches, losses = [np.array([0, 3])], []
    for supervise in ("last", "every_frame"):
        trainer = trainer_of(make_policy("lstm", dropout=0.0), dataset, supervise=supervise)
        table = trainer.samples.table
        if supervise == "every_frame":
            last = np.where(np.arange(W)[:, None] < W - 1, False, table.mask)
            object.__setattr__(table, "mask", last)
        losses.append(trainer.step(0, batches))
    assert losses[0].loss == pytest.approx(losses[1].loss, rel=1e-5)
    assert losses[0].norm == pytest.approx(losses[1].norm, rel=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_a_policy_s_folder_gives_the_same_predictions(backbone, make_policy, tmp_path, name):
    policy = make_policy(name, fixed={"linear_x": 0.5}).eval()
    commands = torch.tensor([[0.0, 0.0], [1.0, 0.5], [-1.0, 0.25]])
    policy.head.prepare(commands)
    policy.save_pretrained(tmp_path, backbone, origin_of())
    again = Policy.from_pretrained(tmp_path, backbone, "fp32")
    readouts = torch.randn(20, W, D)
    with torch.no_grad():
        found = policy.chunks(readouts)
        assert torch.equal(found, again.chunks(readouts))
    torch.testing.assert_close(found[..., 0], torch.full((20, C), 0.5 / 1.15))
    if name == "commands":
        assert set(found[..., 1].flatten().tolist()) <= {0.0, 0.5, 0.25}


@pytest.mark.parametrize("name", ["gpt", "commands", "flow"])
def test_an_exported_head_answers_as_the_policy_does(make_policy, tmp_path, name):
    policy = make_policy(name).eval()
    policy.head.prepare(torch.tensor([[0.0, 0.0], [1.0, 0.5], [-1.0, 0.25]]))
    graph = tmp_path / "head.onnx"
    policy.encoder = nn.Identity()
    export_head(policy, D, graph)
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    readouts = torch.randn(8, 1, W, D) * 2
    with torch.no_grad():
        expected = torch.cat([policy.denormalise(policy.chunks(one)) for one in readouts])
    answers = [session.run(["actions"], {"readouts": one.numpy()})[0] for one in readouts]
    np.testing.assert_allclose(np.concatenate(answers), expected.numpy(), atol=1e-5)
    assert np.ptp(expected.numpy(), axis=0).max() > 0.01


@pytest.mark.parametrize(
    ("name", "finetune"),
    [("mlp", "none"), ("gpt", "none"), ("gpt", "lora"), ("bins", "lora"), ("flow", "none")],
)
def test_the_count_of_a_step_agrees_with_the_formula(backbone, make_policy, name, finetune):
    policy = make_policy(name, finetune).train()
    cut = policy.settings.cut
    prompts, windows = torch.zeros(2, dtype=torch.long), torch.tensor([[0, 1, 1], [0, 0, 1]])
    features = torch.randn(2, 4, D) if cut == "image_embeds" else torch.randn(2, D)
    targets = torch.zeros(2, C, A)

    def step():
        outputs, own = policy.supervised(features, prompts, windows, targets)
        (outputs if own is None else own).sum().backward()

    expected = formula(
        skeleton(backbone.config(), policy.settings),
        backbone.config(),
        policy.settings,
        cut=cut,
        tokens=int(policy.encoder.action[0]) + 1,
    )
    found = counted(step)
    if finetune == "none":
        assert found == expected.window * 2
    else:
        assert found == pytest.approx(expected.step(frames=2, windows=2), rel=0.03)


@pytest.mark.parametrize("name", ["gpt", "commands"])
def test_the_memory_of_a_step_is_estimated(backbone, name):
    settings = settings_of(SMALL[name])
    case = WorstCase(
        frames=5,
        windows=4,
        tokens=20,
        accumulation=1,
        precision="bf16",
        checkpointing=False,
        cut=settings.cut,
        every_frame=SMALL[name].causal,
    )
    found = estimate(backbone.config(), settings, case, "cpu")
    parameters = sum(one.numel() for one in head_of(SMALL[name]).parameters())
    assert found.moments > 8 * parameters and found.step > 0


def learnt(head, targets):
    """Train a head on one readout with several right answers, and return its prediction."""
    torch.manual_seed(0)
    head.train()
    readouts = torch.ones(len(targets), W, 4)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(200):
        outputs, own = head.supervised(readouts, targets, LEARNED)
        loss = (outputs - targets).square().mean() if own is None else own.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return head.eval()(readouts[:1])[0]


@pytest.mark.parametrize("name", ["lstm", "bins", "flow"])
def test_of_two_right_answers_a_mean_is_neither(name):
    side = torch.ones(40, C, 1)
    side[:20] *= -1
    targets = torch.cat([0.5 * torch.ones(40, C, 1), side], dim=-1)
    settings = SMALL[name].model_copy(update={"dropout": 0.0, "mlp": (64, 64)})
    found = learnt(head_of(settings, readout=4), targets)
    torch.testing.assert_close(found[:, 0], torch.full((C,), 0.5), rtol=0, atol=0.15)
    if name == "lstm":
        assert found[:, 1].abs().max() < 0.3
    else:
        assert found[:, 1].abs().min() > 0.6
    if name == "flow":  # a chunk is one answer, from its first step to its last
        assert len(set(found[:, 1].sign().tolist())) == 1
