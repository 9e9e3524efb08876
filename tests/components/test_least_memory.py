"""What a training takes at least is known in the plan, and refused there."""

import json

import pytest

from mobile_vla.config.backbone import PretrainedBackbone, RandomBackbone
from mobile_vla.config.mistakes import Source
from mobile_vla.config.model import FullFinetune
from mobile_vla.errors import UserError
from mobile_vla.least_memory import check_least_memory, sizes_of
from support.training_run import settings_of

FULL_SIZE = RandomBackbone(weights="random")


def with_policy(**changes):
    settings = settings_of()
    return settings.model_copy(update={"policy": settings.policy.model_copy(update=changes)})


def with_head(**changes):
    return with_policy(head=settings_of().policy.head.model_copy(update=changes))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (with_head(hidden_size=10**9), "head.hidden_size"),
        (with_head(mlp=(10**12,)), "head.mlp"),
        (with_policy(lora=settings_of().policy.lora.model_copy(update={"r": 10**12})), "lora.r"),
        (with_policy(finetune="full", lora=None, full=FullFinetune()), "finetune: lora: at least"),
        (settings_of(), "precision: bf16: at least"),
    ],
)
def test_what_surely_does_not_fit_is_refused(settings, words):
    with pytest.raises(UserError, match=r"--config \(memory_limit_gb\): .* 'lora' .*") as caught:
        check_least_memory(settings, FULL_SIZE, 3.0, Source(given={"memory_limit_gb": 3}))
    assert words in str(caught.value) and "3 GB are allowed" in str(caught.value)


def test_what_may_fit_is_left_to_the_training():
    check_least_memory(settings_of(), FULL_SIZE, 14, Source())
    hub = PretrainedBackbone(checkpoint="a/b", revision="0" * 40)
    check_least_memory(settings_of(), hub, 0.001, Source())


def test_the_sizes_of_a_checkpoint_folder_are_read(tmp_path):
    backbone = PretrainedBackbone(checkpoint=str(tmp_path))
    assert sizes_of(backbone) is None
    (tmp_path / "config.json").write_text("{")
    assert sizes_of(backbone) is None
    vision = {"hidden_size": 1024, "num_hidden_layers": 24, "intermediate_size": 4096}
    text = {"embed_dim": 2048, "layers": 24, "ffn_dim": 8192, "vocab_size": 65037}
    content = {"vision_config": vision, "text_config": text}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert sizes_of(backbone) == sizes_of(FULL_SIZE)
    content["text_config"]["layers"] = None
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert sizes_of(backbone) is None
