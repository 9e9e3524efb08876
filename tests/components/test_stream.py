"""A policy that is given one frame a control step predicts what it predicts from windows."""

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.kosmos2 import module_of
from mobile_vla.config.heads.flow import Flow
from mobile_vla.config.heads.gpt import Gpt
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.heads.mlp import Mlp
from mobile_vla.config.heads.tokens import Tokens
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions
from mobile_vla.model.policy import Policy
from mobile_vla.model.streaming import Stream
from support.tiny import make_backbone

TEXTS = ("left", "Navigate around the box on the right side and reach the target")
W = 3


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return Checkpoint.read(make_backbone(tmp_path_factory.mktemp("backbone")))


def make_policy(backbone, finetune="lora", head=None):
    settings = PolicySettings(
        window=W,
        chunk=2,
        finetune=finetune,
        lora=Lora(r=4) if finetune == "lora" else None,
        full=FullFinetune() if finetune == "full" else None,
        head=head or Lstm(hidden_size=16),
        prompt=Prompt(),
        actions=Actions(),
    )
    policy = Policy(settings, backbone.model(), backbone.processor(), TEXTS, 0, {"linear_x": 0.5})
    with torch.no_grad():  # a fresh adapter is zero, and would hide what it does
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    return policy.eval()


def frames(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def windowed(policy, seen, prompt):
    """Predict from all windows at once, those before the W-th frame filled with the first."""
    places = np.maximum(np.arange(len(seen))[:, None] - np.arange(W)[::-1], 0)  # (T, W)
    with torch.inference_mode():
        predicted = policy(
            torch.from_numpy(seen),
            torch.full((len(seen),), prompt),
            torch.from_numpy(places),
            "pixels",
        )
    return policy.denormalise(predicted).numpy()  # (T, C, A)


@pytest.mark.parametrize("finetune", ["lora", "full", "none"])
def test_streaming_equals_the_windowed_prediction(backbone, finetune):
    policy, seen = make_policy(backbone, finetune), frames(2 * W)
    stream = Stream(policy, [1])
    streamed = np.concatenate([stream.step(frame[None]) for frame in seen])
    np.testing.assert_allclose(streamed, windowed(policy, seen, 1), atol=1e-5, rtol=1e-5)
    assert np.ptp(streamed[:, 0, 1]) > 1e-4  # it does see the frames


@pytest.mark.parametrize(
    "head",
    [
        Mlp(type="mlp", readout="mean"),
        Gpt(type="gpt", hidden_size=16, heads=2),
        Tokens(type="tokens", hidden_size=16),
        Tokens(type="tokens", hidden_size=16, classes=9, choose="sample"),
        Flow(type="flow", hidden_size=16),
    ],
    ids=["mlp", "gpt", "tokens", "sample", "flow"],
)
def test_any_head_streams_what_it_predicts_from_windows(backbone, head):
    policy, seen = make_policy(backbone, head=head), frames(W + 1)
    stream = Stream(policy, [1])
    streamed = np.concatenate([stream.step(frame[None]) for frame in seen])
    expected = windowed(policy, seen, 1)
    if isinstance(head, Tokens):  # a class that is drawn follows the last bits of the readouts
        assert (np.abs(streamed - expected) < 1e-5).mean() > 0.9
    else:
        np.testing.assert_allclose(streamed, expected, atol=1e-5, rtol=1e-5)
    assert np.ptp(streamed[..., 1]) > 1e-4


def test_robots_side_by_side_do_not_disturb_each_other(backbone):
    policy, one, two = make_policy(backbone), frames(4), frames(4, seed=1)
    stream = Stream(policy, [0, 1])
    both = [stream.step(np.stack(pair)) for pair in zip(one[:2], two[:2], strict=True)]
    stream.keep([1])
    rest = [stream.step(frame[None]) for frame in two[2:]]
    second = np.concatenate([pair[1:] for pair in both] + rest)
    np.testing.assert_allclose(second, windowed(policy, two, 1), atol=1e-5, rtol=1e-5)
    first = np.stack([pair[0] for pair in both])
    np.testing.assert_allclose(first, windowed(policy, one[:2], 0), atol=1e-5, rtol=1e-5)


def test_each_frame_is_encoded_once(backbone):
    policy, encoded = make_policy(backbone), []
    module_of(policy.encoder.base_model, "vision").register_forward_hook(
        lambda module, inputs, output: encoded.append(len(output[0]))
    )
    stream = Stream(policy, [0])
    for frame in frames(5):
        stream.step(frame[None])
    assert encoded == [1] * 5


def test_a_new_stream_knows_nothing_of_what_was_seen(backbone):
    policy, seen = make_policy(backbone), frames(3)
    stream = Stream(policy, [0])
    first = stream.step(seen[:1])
    later = stream.step(seen[1:2])
    np.testing.assert_array_equal(Stream(policy, [0]).step(seen[:1]), first)
    assert np.abs(later - first).max() > 1e-5


def test_a_frame_for_each_robot_is_needed(backbone):
    with pytest.raises(ValueError, match="1 frames for 2 robots"):
        Stream(make_policy(backbone), [0, 1]).step(frames(1))
