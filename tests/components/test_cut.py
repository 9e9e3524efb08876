"""The movable cut: adapters on the top layers only, and what lies below computed once."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import FeatureKey
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.reasons import setting_line, setting_names
from mobile_vla.errors import UserError
from mobile_vla.features.store import FeatureStore, JoinedRows
from mobile_vla.model.adapter import load_backbone
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import DTYPES, autocast
from support.config_text import BASE, load, problems
from support.policy_settings import policy_settings
from support.tiny import SIZE, make_backbone

CPU = torch.device("cpu")
LAYERS = 4
TEXTS = ("left", "Navigate around the box on the right side and reach the target")
PROMPTS = torch.tensor([0, 1, 1, 0])
WINDOWS = torch.tensor([[0, 1, 2], [1, 2, 3]])


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A backbone of four language layers, with dropout wherever a layer has one."""
    folder: Path = tmp_path_factory.mktemp("backbone")
    text = {**SIZE["text"], "layers": LAYERS, "dropout": 0.2}
    return Checkpoint.read(make_backbone(folder, text=text))


def settings_of(layers: int | None, **lora: object) -> PolicySettings:
    adapters = Lora(r=2, dropout=0.3, layers=layers, **lora)
    head = Lstm(hidden_size=8, mlp=(4,), dropout=0.2)
    return policy_settings("lora", window=3, lora=adapters, head=head)


def policy_of(
    backbone: Checkpoint, settings: PolicySettings, cut: str = "pixels", precision: str = "fp32"
) -> Policy:
    model = load_backbone(backbone, settings, precision, cut)
    policy = Policy(settings, model, backbone.processor(), TEXTS, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # a fresh adapter is zero, and would hide what it does
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1, generator=generator)
    return policy.train()


def image_embeds(count: int = 4) -> Tensor:
    size = count, SIZE["image_tokens"], SIZE["text"]["hidden_size"]
    return torch.randn(size, generator=torch.Generator().manual_seed(2))


def step(policy: Policy, readouts: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Return a training step's loss and all gradients, from readouts (F, D) on."""
    loss = policy.chunks(readouts[WINDOWS]).square().sum()
    loss.backward()
    return loss, {n: p.grad for n, p in policy.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    "changes",
    [
        *({"layers": layers} for layers in range(1, LAYERS + 1)),
        {"layers": 2, "bias": "all", "targets": ("fc1", "q_proj")},
    ],
    ids=str,
)
def test_loss_and_all_gradients_equal_those_of_the_whole_pass_bit_for_bit(backbone, changes):
    """Through stored states, from a model that has no more than what lies behind the cut, and
    through the pass of the whole one, with dropout in the adapted layers. Without dropout, which
    draws fewer numbers where the last layer has a single query, the stock pass agrees too."""
    settings = settings_of(**changes)
    whole, part = policy_of(backbone, settings), policy_of(backbone, settings, "hidden_states")
    with torch.no_grad():
        stored = whole.encoder.hidden_states(image_embeds(), PROMPTS)

    def both():
        torch.manual_seed(3)
        expected = step(whole, whole.encoder.readouts(image_embeds(), PROMPTS, "image_embeds"))
        torch.manual_seed(3)
        return expected, step(part, part.encoder.readouts(stored, PROMPTS, "hidden_states"))

    (loss, gradients), (found, others) = both()
    assert torch.equal(found, loss) and len(gradients) > 8
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        assert gradient is not None and torch.equal(others[name], gradient), name
    assert all(gradient.any() for name, gradient in gradients.items() if "lora_" in name)

    for module in (*whole.modules(), *part.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    whole.encoder.stock = True
    (loss, gradients), (found, others) = both()
    torch.testing.assert_close(found, loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-4, atol=1e-5)


def test_below_the_adapted_layers_nothing_is_trained_loaded_or_dropped_out(backbone):
    settings = settings_of(1, bias="all")
    policy = policy_of(backbone, settings)
    names = [name for name, p in policy.named_parameters() if p.requires_grad]
    assert any(f"layers.{LAYERS - 1}." in name for name in names)
    assert not [name for name in names if f"layers.{LAYERS - 2}." in name or "vision" in name]
    assert "action_token" not in " ".join(names)
    states = [policy.encoder.hidden_states(image_embeds(), PROMPTS) for _ in range(2)]
    assert torch.equal(*states) and not states[0].requires_grad
    drawn = [policy.encoder.top_layers(states[0], PROMPTS) for _ in range(2)]
    assert not torch.equal(*drawn)

    held = dict(policy_of(backbone, settings, "hidden_states").encoder.named_parameters())
    assert {name.split("layers.")[1][0] for name in held if "layers." in name} == {"3"}
    policy_of(backbone, settings).load_trained(policy.trained())  # nothing is missing


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_prediction_from_stored_states_is_the_live_one_in_every_precision(backbone, precision):
    policy = policy_of(backbone, settings_of(2), precision=precision).eval()
    with torch.inference_mode(), autocast(precision, CPU):
        stored = policy.encoder.hidden_states(image_embeds(), PROMPTS)
        live = policy(image_embeds(), PROMPTS, WINDOWS, "image_embeds")
        found = policy(stored, PROMPTS, WINDOWS)
    assert stored.dtype == DTYPES[precision]
    assert torch.equal(found, live)


def test_padding_of_what_is_stored_does_not_count(backbone):
    """A batch of short prompts has states as long as the dataset's longest prompt."""
    policy = policy_of(backbone, settings_of(2)).eval()
    prompts = torch.zeros(4, dtype=torch.long)
    with torch.inference_mode():
        states = policy.encoder.hidden_states(image_embeds(), prompts)
        padded = torch.nn.functional.pad(states, (0, 0, 0, 5), value=9.0)
        assert torch.equal(
            policy(padded, prompts, WINDOWS),
            policy(image_embeds(), prompts, WINDOWS, "image_embeds"),
        )


def test_stores_of_prompts_of_unlike_length_are_read_as_one():
    short, long = (np.full((2, tokens, 3), tokens, dtype=np.float32) for tokens in (2, 4))
    rows = JoinedRows((FeatureStore(short, "float32"), 2), (FeatureStore(long, "float32"), 2))
    found = rows[np.array([3, 0, 2])]
    assert found.shape == (3, 4, 3)
    assert found[:, :, 0].tolist() == [[4, 4, 4, 4], [2, 2, 0, 0], [4, 4, 4, 4]]


def test_gradient_checkpointing_changes_no_bit(backbone):
    found = []
    for checkpointing in (False, True):
        policy = policy_of(backbone, settings_of(2))
        if checkpointing:
            policy.checkpoint_gradients()
        torch.manual_seed(3)
        states = policy.encoder.hidden_states(image_embeds(), PROMPTS)
        found.append(step(policy, policy.encoder.readouts(states, PROMPTS, "hidden_states")))
    (loss, gradients), (other, others) = found
    assert torch.equal(loss, other)
    assert all(torch.equal(others[name], gradient) for name, gradient in gradients.items())


def test_more_layers_than_the_backbone_has_are_refused(backbone):
    with pytest.raises(UserError, match=r"lora.layers\): 5 layers, and .* has 4; say at most 4"):
        policy_of(backbone, settings_of(LAYERS + 1))


def test_where_the_setting_is_not_used_no_name_and_no_byte_changes():
    assert "layers" not in Lora().model_dump(mode="json")
    plain = FeatureKey(cut="image_embeds", precision="fp32", prompt=None)
    assert plain.key == "59bcd20f"
    keys = {
        FeatureKey(cut="hidden_states", precision="fp32", prompt=Prompt(), layers=layers).key
        for layers in (1, 2)
    }
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("experiment", "setting", "found", "remedy"),
    [
        ("lora: {layers: 25}", "lora.layers", "25 layers, and .* 'tiny' has 24", "layers: null"),
        ("finetune: none; lora: {layers: 2}", "lora.layers", "`finetune: none`", "remove one"),
        ("finetune: full; lora: {layers: 2}", "lora.layers", "`finetune: full`", "remove one"),
        (
            "lora: {layers: 2}; augment: {contrast: 0.1}",
            "augment.contrast",
            r"contrast with frozen vision \(cut: hidden_states\)",
            "mirror: true",
        ),
        ("sweep: {lora.layers: [1, 30]}", "lora.layers", "30 layers", "lower it"),
    ],
)
def test_what_contradicts_it_is_refused_at_its_place(tmp_path, experiment, setting, found, remedy):
    text = f"{BASE}  top:\n" + "".join(f"    {line}\n" for line in experiment.split("; "))
    ((place, problem),) = problems(text, tmp_path).items()
    assert re.fullmatch(rf"1[345] \(experiments\.top.*{setting}\)", place)
    assert re.search(found, problem.found) and remedy in problem.remedy


def test_what_an_experiment_does_not_use_of_the_defaults_is_left_out(tmp_path):
    """As with all settings of a kind of fine-tuning: `defaults` may serve several kinds."""
    text = BASE.replace("chunk: 10", "chunk: 10\n  lora: {layers: 2}")
    text += "  head_only: {finetune: none}\n  all: {lora: {layers: null}}\n"
    project = load(text, tmp_path)
    cuts = {name: project.policy(name).cut for name in project.experiments}
    assert cuts == {"lora": "hidden_states", "head_only": "readout", "all": "image_embeds"}


def test_runs_that_read_the_same_states_share_them(tmp_path):
    prompt = "prompt: {template: 'go {side}'}"
    text = f"""{BASE}
  top2: {{lora: {{layers: 2}}, augment: {{mirror: true}}}}
  rank: {{lora: {{layers: 2, r: 4}}}}
  top3: {{lora: {{layers: 3}}}}
  asked: {{lora: {{layers: 2}}, {prompt}}}
"""
    project = load(text, tmp_path)
    keys = {name: project.feature_key(name).key for name in project.experiments}
    assert keys["top2"] == keys["rank"]
    assert len({keys[name] for name in ("top2", "top3", "asked", "lora")}) == 4
    stored = [key for _, _, cut, key in project.feature_keys() if cut == "hidden_states"]
    assert len(stored) == 4  # the mirror images of `top2` among them


def test_a_reason_can_name_a_key_without_layers():
    key = FeatureKey(cut="image_embeds", precision="fp32", prompt=None)
    lines = {setting_line(key.model_dump(mode="json"), path) for path in setting_names(FeatureKey)}
    assert {"layers=null", 'cut="image_embeds"'} <= lines
