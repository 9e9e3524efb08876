"""Operations counted while a step runs agree with the formula, and that with what is known."""

import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.random_backbone import model_config
from mobile_vla.config.backbone import RandomBackbone
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions
from mobile_vla.model.adapter import policy_part_of, trainable_parameters
from mobile_vla.model.policy import Policy, skeleton
from mobile_vla.timing.flops import counted, formula
from support.thinning import thinned
from support.tiny import make_backbone

WIDE = {
    "vision": {"hidden_size": 256, "layers": 2, "heads": 4, "ffn": 512},
    "text": {"hidden_size": 256, "layers": 2, "heads": 4, "ffn": 512, "vocabulary": 1500},
    "image_tokens": 16,
}
KINDS = {
    "lora": {"lora": Lora(r=8)},
    "top": {"lora": Lora(r=8, layers=1)},
    "none": {},
    "full": {"full": FullFinetune()},
    "text": {"full": FullFinetune(vision=False, projection=False, text_embedding=False)},
    "projection": {"full": FullFinetune(vision=False, text=False, text_embedding=False)},
}
AGREE = 0.02  # relative; what differs is in the first and last layers


@pytest.fixture(scope="module", params=["tiny", "wide"])
def backbone(request, tmp_path_factory):
    changes = WIDE if request.param == "wide" else {}
    return Checkpoint.read(make_backbone(tmp_path_factory.mktemp("backbone"), **changes))


def settings_of(lora=None, full=None, head=None):
    return PolicySettings(
        window=3,
        chunk=2,
        finetune="lora" if lora else "full" if full else "none",
        lora=lora,
        full=full,
        head=head or Lstm(layers=2, hidden_size=16, mlp=(12,)),
        prompt=Prompt(),
        actions=Actions(),
    )


@pytest.mark.parametrize(
    ("kind", "cut", "checkpointing"),
    thinned(
        [
            *((kind, cut, False) for kind in KINDS for cut in ("pixels", None)),
            *((kind, None, True) for kind in ("lora", "top", "full", "text")),
        ],
        3,
    ),
)
def test_the_count_agrees_with_the_formula(backbone, kind, cut, checkpointing):
    torch.set_num_threads(1)
    settings = settings_of(**KINDS[kind])
    policy = Policy(settings, backbone.model(), backbone.processor(), ("on the left",), 0).train()
    if checkpointing:
        policy.checkpoint_gradients()
    cut = cut or settings.cut
    frames = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    prompts, windows = torch.zeros(2, dtype=torch.long), torch.tensor([[0, 1, 1], [0, 0, 1]])
    features = frames
    with torch.no_grad():
        if cut != "pixels":
            features = policy.encoder.image_embeds(frames)
        if cut == "hidden_states":
            features = policy.encoder.hidden_states(features, prompts)
        if cut == "readout":
            features = policy.encoder.language(features, prompts)

    found = counted(lambda: policy(features, prompts, windows, cut).sum().backward())
    expected = formula(
        skeleton(backbone.config(), settings),
        backbone.config(),
        settings,
        cut=cut,
        tokens=int(policy.encoder.action.max()) + 1,
        checkpointing=checkpointing,
    )
    assert found == pytest.approx(expected.step(frames=2, windows=2), rel=AGREE)
    assert (expected.frame == 0) == (cut == "readout")


def test_the_skeleton_has_the_policy_s_parameters(backbone):
    for kind in KINDS.values():
        settings = settings_of(**kind)
        policy = Policy(settings, backbone.model(), backbone.processor(), ("left",), 0)
        layers = skeleton(backbone.config(), settings)
        found = trainable_parameters(layers)
        assert found == {n: c for n, c in trainable_parameters(policy).items() if n in found}
        assert all(p.is_meta for p in layers.parameters())


def test_the_full_size_costs_what_was_measured_of_it():
    """Of a frame with 81 tokens, forward, in GFLOP: 162 vision, 7.7 projection, 197 text. With
    adapters on stored features 395 in all; full fine-tuning 1,122 with an output layer's forward
    pass, 21.6. That was with all tokens in the last layer.
    """
    d, f = 2048, 8192
    saved = 80 * (2 * (2 * d * d + 2 * d * f) + 4 * 81 * d) / 1e9  # q, out, feed-forward; attention
    assert saved == pytest.approx(6.8, abs=0.1)
    config = model_config(RandomBackbone(weights="random"))

    def giga(cut, **kind):
        settings = settings_of(head=Lstm(), **kind)
        layers = skeleton(config, settings)
        frame = formula(layers, config, settings, cut=cut, tokens=81).frame / 1e9
        return frame, layers

    forward, layers = giga("pixels")
    assert forward == pytest.approx(162 + 7.7 + 197 - saved, rel=0.01)
    sizes = {"vision": 0, "projection": 0, "text": 0, "text_embedding": 0}
    for name, parameter in layers["backbone"].named_parameters():
        sizes[policy_part_of(name)] += parameter.numel()
    sizes["text"] += sizes.pop("text_embedding")
    assert sizes == {
        "vision": pytest.approx(303.2e6, rel=1e-3),
        "projection": pytest.approx(19.0e6, rel=3e-3),
        "text": pytest.approx(1342.3e6, rel=1e-3),
    }
    lora, layers = giga("image_embeds", lora=Lora(r=32))
    assert lora == pytest.approx(395 - 2 * saved, rel=0.03)
    assert trainable_parameters(layers)["adapter"] == 12_582_912
    full, _ = giga("pixels", full=FullFinetune())
    assert full == pytest.approx(1122 - 21.6 - 3 * saved, rel=0.01)
