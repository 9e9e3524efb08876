"""The step shares frames and reads what was stored; the plain per-window step must agree."""

from itertools import product

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.training import Training
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.data.frames import open_frames
from mobile_vla.data.windows import make_windows
from mobile_vla.features.store import FeatureStore, FrameRows
from mobile_vla.model.policy import Policy
from mobile_vla.runs.labels import Labels
from mobile_vla.runs.samples import Samples
from mobile_vla.timing.reference import PerWindow
from mobile_vla.training.trainer import Trainer
from support.synthetic_datasets import make_dataset, names
from support.thinning import thinned
from support.tiny import make_backbone

# Two sides, so two prompts of different length; lengths that leave ragged batches.
PROMPT = Prompt(template="{side}", words={"side": {"left": "go left", "right": "the right side"}})
LENGTHS = (7, 9, 5)
# Of every two gradients, with the largest of the policy as the unit for those that vanish.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return Checkpoint.read(make_backbone(tmp_path_factory.mktemp("backbone")))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    lengths = dict(zip(names(3), LENGTHS, strict=True))
    return make_dataset(tmp_path_factory.mktemp("dataset"), lengths, frames=True)


def make_trainer(backbone, dataset, finetune, windows, stored=True, **training):
    """A trainer without dropout: a window of its own would draw its own."""
    torch.set_num_threads(1)
    settings = PolicySettings(
        window=windows.window,
        chunk=windows.chunk,
        finetune=finetune,
        lora=Lora(r=4, dropout=0.0) if finetune == "lora" else None,
        full=FullFinetune() if finetune == "full" else None,
        head=Lstm(hidden_size=8),
        prompt=PROMPT,
        actions=Actions(),
    )
    labels = Labels.of(dataset, settings)
    policy = Policy(settings, backbone.model(), backbone.processor(), labels.prompts.texts, seed=0)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:  # a fresh adapter is zero, and so is the gradient of its other half
            torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    for module in policy.modules():
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    frames = FrameRows(open_frames(dataset), "plain")
    rows = features(policy, frames, dataset, labels) if stored else frames
    table = make_windows(dataset, range(len(LENGTHS)), windows)
    samples = Samples(dataset, table, rows, labels, Actions().scale)
    values = {"batch_size": 4, "clip": None, "warmup": 0.5, "learning_rate": 1e-4, **training}
    trainer = Trainer(policy, Training(**values), samples, 0, "fp32")
    if not stored:
        trainer.samples, trainer.cut = PerWindow(samples, frames), "pixels"
        policy.encoder.stock = True
    return trainer


def features(policy, frames, dataset, labels):
    """Features at the policy's cut, frame by frame."""
    cut = policy.settings.cut
    if cut == "pixels":
        return frames
    found = []
    with torch.inference_mode():
        policy.eval()
        for row in range(dataset.rows):
            embeds = policy.encoder.image_embeds(frames[np.array([row])])
            prompt = torch.from_numpy(labels.prompt_of_row[[row]])
            found.append(
                embeds if cut == "image_embeds" else policy.encoder.language(embeds, prompt)
            )
    return FeatureStore(torch.cat(found).numpy(), "float32")


def step_of(trainer, batches):
    """Loss and gradients of one optimiser step, as the optimiser is given them."""
    gradients = {}

    def look(*_):
        for name, parameter in trainer.policy.named_parameters():
            if parameter.grad is not None:
                gradients[name] = parameter.grad.clone()

    trainer.optimizer.register_step_pre_hook(look)
    loss, count, norm, _ = trainer.step(0, batches)
    return loss, count, norm, gradients


def assert_equal_steps(ours, reference):
    assert ours[1] == reference[1]
    assert (ours[0], ours[2]) == pytest.approx((reference[0], reference[2]), rel=TOLERANCE)
    one, other = ours[3], reference[3]
    assert one.keys() == other.keys() and one
    unit = max(float(gradient.norm()) for gradient in other.values())
    for name in one:
        difference = float((one[name] - other[name]).norm())
        assert difference <= TOLERANCE * max(float(other[name].norm()), 0.1 * unit), name


SHAPES = [
    Windows(window=3, chunk=2),
    Windows(window=3, chunk=2, target="current"),
    Windows(window=3, chunk=4, tail="mask", target="current"),
    Windows(window=2, chunk=3, tail="mask", stride=2),
]


@pytest.mark.parametrize(
    ("finetune", "windows", "segment"),
    thinned(product(["lora", "full", "none"], SHAPES, [1, 2, 3]), 5),
    ids=lambda one: f"{one.target}-{one.tail}-{one.stride}" if isinstance(one, Windows) else None,
)
def test_a_step_has_the_loss_and_gradients_of_the_plain_one(
    backbone, dataset, finetune, windows, segment
):
    values = {"segment": segment, "batch_size": 3, "accumulation": 3}
    ours = make_trainer(backbone, dataset, finetune, windows, **values)
    plain = make_trainer(backbone, dataset, finetune, windows, stored=False, **values)
    batches = ours.epoch_steps(1)[-1]  # an epoch's last step, which is a ragged one
    assert_equal_steps(
        step_of(ours, batches),
        step_of(plain, [window[None] for batch in batches for window in batch]),
    )


def test_the_plain_step_encodes_every_frame_of_every_window(backbone, dataset):
    trainer = make_trainer(backbone, dataset, "lora", SHAPES[0], stored=False)
    batch = trainer.samples.batch(np.arange(4))
    assert batch.features.shape == (12, 224, 224, 3)
    assert batch.windows.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    rows = trainer.samples.table.frames[:4].ravel()
    assert torch.equal(batch.features, torch.from_numpy(open_frames(dataset)[rows]))


def test_trainers_of_two_precisions_live_in_one_process(backbone, dataset):
    losses = {}
    for precision in ("fp32", "bf16", "fp32"):
        trainer = make_trainer(backbone, dataset, "lora", SHAPES[0])
        trainer.precision = precision
        seen = []
        last = trainer.policy.encoder.base_model.text_model.model.layer_norm
        hook = last.register_forward_hook(
            lambda *_, seen=seen: seen.append(torch.is_autocast_enabled("cpu"))
        )
        loss = trainer.step(0, [np.arange(4)])[0]
        hook.remove()
        assert seen == [precision == "bf16"]
        assert losses.setdefault(precision, loss) == loss
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)
