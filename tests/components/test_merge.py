"""An adapter merged into its backbone: a plain checkpoint that gives the same outputs."""

import json

import pytest
import torch
from transformers import AutoProcessor, Kosmos2Model

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.kosmos2 import sizes_of
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions
from mobile_vla.errors import UserError
from mobile_vla.model.encoder import Encoder, PromptTokens
from mobile_vla.model.folder import CARD
from mobile_vla.model.policy import Policy
from mobile_vla.robot.merge import merge
from mobile_vla.robot.policy import load_robot_policy, predict_drive
from support.tiny import make_backbone
from support.training_run import origin_of

TEXTS = ("on the left", "on the right side of the box")
KINDS = {
    "adapters": {"lora": Lora(r=4)},
    "adapters on top": {"lora": Lora(r=4, layers=1)},
    "adapters and biases": {"lora": Lora(r=4, bias="all")},
    "the whole": {"full": FullFinetune()},
    "nothing": {},
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return make_backbone(tmp_path_factory.mktemp("backbone"))


def make_policy(backbone, folder, lora=None, full=None):
    """Write a policy in which all that is trained has moved; return its folder."""
    checkpoint = Checkpoint.read(backbone)
    settings = PolicySettings(
        window=3,
        chunk=2,
        finetune="lora" if lora else "full" if full else "none",
        lora=lora,
        full=full,
        head=Lstm(hidden_size=16),
        prompt=Prompt(),
        actions=Actions(),
    )
    policy = Policy(settings, checkpoint.model(), checkpoint.processor(), TEXTS, seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    policy.save_pretrained(folder, checkpoint, origin_of())
    (folder / CARD).write_text("# made\n")
    return folder


def frames(count):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 224, 224, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "nothing"])
def test_the_merged_checkpoint_gives_the_same_outputs(backbone, tmp_path, kind):
    folder = make_policy(backbone, tmp_path / "policy", **KINDS[kind])
    merge(folder, tmp_path / "out/merged", backbone=backbone)
    original = load_robot_policy(folder, backbone)

    # with the stock classes alone
    kosmos = Kosmos2Model.from_pretrained(tmp_path / "out/merged").eval()
    assert {parameter.dtype for parameter in kosmos.parameters()} == {torch.float32}
    assert not any("lora" in name for name, _ in kosmos.named_parameters())
    processor = AutoProcessor.from_pretrained(tmp_path / "out/merged")
    prompts = PromptTokens.of(TEXTS, processor, sizes_of(kosmos.config).image_tokens)
    token = original.policy.encoder.action_token.detach()
    plain = Encoder(kosmos, processor, prompts, token, learned=False)
    untouched = Encoder(Checkpoint.read(backbone).model(), processor, prompts, token, False)
    asked = frames(4), torch.tensor([0, 1, 0, 1]), "pixels"
    with torch.inference_mode():
        expected = original.policy.encoder.readouts(*asked)
        torch.testing.assert_close(plain.readouts(*asked), expected, rtol=0, atol=1e-4)
        assert (untouched.readouts(*asked) - expected).abs().max() > 1e-2

    # and as a policy of its own
    seen = frames(5).numpy()
    found = load_robot_policy(tmp_path / "out/merged/policy", tmp_path / "out/merged")
    assert found.policy.settings.finetune == "none" and found.policy.texts == TEXTS
    difference = abs(predict_drive(found, seen, 1) - predict_drive(original, seen, 1)).max()
    assert difference <= 1e-4


def test_it_is_a_plain_checkpoint_and_says_where_it_comes_from(backbone, tmp_path):
    folder = make_policy(backbone, tmp_path / "policy", lora=Lora(r=4))
    merge(folder, tmp_path / "merged", backbone=backbone)
    assert {file.name for file in tmp_path.iterdir()} == {"policy", "merged"}
    config = json.loads((tmp_path / "merged/config.json").read_text())
    assert config["architectures"] == ["Kosmos2Model"]
    described = json.loads((tmp_path / "merged/policy/policy.json").read_text())
    assert described["merged"] == {
        "finetune": "lora",
        "backbone": Checkpoint.read(backbone).digest,
    }
    assert described["experiment"] == "made"
    assert set(described["files"]) == {"head.safetensors"}
    card = (tmp_path / "merged/policy/README.md").read_text()
    assert card.startswith("# made") and "## Merged" in card


def test_what_cannot_be_merged_is_refused(backbone, tmp_path):
    folder = make_policy(backbone, tmp_path / "head", **KINDS["nothing"])
    with pytest.raises(UserError, match="nothing to merge"):
        merge(folder, tmp_path / "merged", backbone=backbone)
    folder = make_policy(backbone, tmp_path / "lora", lora=Lora(r=4))
    with pytest.raises(UserError, match="it is there already"):
        merge(folder, tmp_path, backbone=backbone)
    with pytest.raises(UserError, match="--backbone FOLDER"):
        merge(folder, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
