"""The estimate of a step's peak memory, and the refusal of what would not fit."""

import re
from dataclasses import replace

import pytest

from mobile_vla.backbone.random_backbone import model_config
from mobile_vla.config.backbone import RandomBackbone
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions
from mobile_vla.errors import UserError
from mobile_vla.least_memory import least_memory, sizes_of
from mobile_vla.training.memory import check_memory, estimate
from mobile_vla.training.remedies import estimated_batch
from mobile_vla.training.worst_case import WorstCase
from support.thinning import thinned

BACKBONE = RandomBackbone.model_validate(
    {
        "weights": "random",
        "vision": {"hidden_size": 64, "layers": 1, "heads": 2, "ffn": 128},
        "text": {"hidden_size": 512, "layers": 2, "heads": 4, "ffn": 2048, "vocabulary": 1500},
        "image_tokens": 16,
    }
)
CONFIG = model_config(BACKBONE)
DEEP = model_config(BACKBONE)
DEEP.text_config.layers = 6
MATRICES = 2 * (4 * 512**2 + 2 * 512 * 2048)  # of the language model


def settings_of(lora=None, full=None):
    return PolicySettings(
        window=4,
        chunk=2,
        finetune="lora" if lora else "full" if full else "none",
        lora=lora,
        full=full,
        head=Lstm(hidden_size=16),
        prompt=Prompt(),
        actions=Actions(),
    )


LORA, FULL, NONE = settings_of(lora=Lora(r=8)), settings_of(full=FullFinetune()), settings_of()
TOP = settings_of(lora=Lora(r=8, layers=1))


def case_of(settings, **changes):
    values = {"frames": 11, "windows": 8, "tokens": 30, "accumulation": 1, "precision": "fp32"}
    return WorstCase(**{**values, "checkpointing": False, "cut": settings.cut, **changes})


def found(settings, config=CONFIG, **changes):
    return estimate(config, settings, case_of(settings, **changes), "cpu")


def test_what_is_held_and_what_is_trained_is_counted_exactly():
    adapters = 2 * 4 * 8 * 2 * 512
    head = 4 * 16 * (512 + 16 + 2) + 17 * 4
    assert found(LORA).moments == 8 * (adapters + head + 512)
    saved, whole = (
        found(LORA, cut=cut).weights - found(LORA, cut=cut, precision="bf16").weights
        for cut in ("image_embeds", "pixels")
    )
    vision = 4 * 64**2 + 2 * 64 * 128
    projection = 64 * 512 + 4 * 512**2
    assert saved == 2 * MATRICES  # what lies before the cut is not held
    assert whole == 2 * (MATRICES + vision + projection)
    lower = MATRICES // 2 + 4 * 512 + 2048 + 512 + 6 * 512 + 2 * 2048  # with biases and norms
    assert found(LORA).weights - found(TOP).weights == 4 * (lower + adapters // 2)
    assert found(TOP).moments == found(LORA).moments - 4 * adapters
    assert found(TOP).step < 0.6 * found(LORA).step
    # trained in full, all is in float32 whatever the precision
    assert found(FULL).weights == found(FULL, precision="bf16").weights


def test_activations_grow_with_the_batch_and_shrink_with_checkpointing():
    small, large = found(LORA).step, found(LORA, frames=22, windows=16).step
    assert large == pytest.approx(2 * small, rel=0.15)
    whole = found(LORA, DEEP).step
    assert found(LORA, DEEP, checkpointing=True).step < 0.5 * whole
    assert found(LORA, precision="bf16").step < small
    assert found(NONE).step < 0.05 * small
    # the plain way: four times the frames of a window, and pixels
    assert found(LORA, frames=32, cut="pixels").step > 2 * small


def test_a_policy_that_drives_in_validation_has_the_whole_model():
    """Its step stays the same; that of a head alone is smaller than what driving takes."""
    assert found(LORA, robots=16).weights == found(LORA, cut="pixels").weights
    assert found(NONE, robots=16).weights == found(NONE, cut="pixels").weights
    assert found(LORA, robots=1).step == found(LORA).step
    assert found(NONE, robots=16).step > 10 * found(NONE).step


def test_gradients_are_counted_and_stay_while_batches_accumulate():
    full = found(FULL, frames=1, windows=1)
    gradients = full.moments // 2
    assert full.step > 0.8 * gradients
    once = found(FULL)
    assert found(FULL, accumulation=4).step > once.step + 0.3 * gradients


def test_the_estimate_is_in_bytes_of_all_parts():
    one = found(LORA)
    assert 2 * one.total == sum(one.model_dump().values())
    assert one.process > 0 and estimate(CONFIG, LORA, case_of(LORA), "cuda").process == 0


@pytest.mark.parametrize(("settings", "share"), thinned([(LORA, 0.05), (FULL, 0.7)], 2))
def test_a_combination_is_named_that_fits(settings, share):
    """Limits that no change alone keeps, or some do."""
    case = case_of(settings, frames=64, windows=16)
    most = estimate(CONFIG, settings, case, "cpu").total / 1e9
    smallest = case_of(NONE, frames=4, windows=1, accumulation=2)
    least = estimate(CONFIG, NONE, smallest, "cpu").total / 1e9
    limit = least + share * (most - least)
    with pytest.raises(UserError) as caught:
        check_memory(CONFIG, settings, case, "cpu", limit)
    fits = re.search(r"This fits:\n +(.*): about ([\d.]+) GB\n", str(caught.value))
    assert float(fits[2]) <= round(limit, 1)
    changed, then = applied(fits[1], settings, case)
    assert check_memory(CONFIG, changed, then, "cpu", limit)


def applied(text, settings, case):
    """Return settings and a case with the changes that a message names."""
    if found := re.search(r"batch_size: (\d+), and accumulation: (\d+)", text):
        size = int(found[1])
        assert size * int(found[2]) == case.windows * case.accumulation
        frames, windows = estimated_batch(case, settings.window, size, 1)
        case = replace(case, frames=frames, windows=windows, accumulation=int(found[2]))
    if "gradient_checkpointing: true" in text:
        case = replace(case, checkpointing=True)
    if "precision: bf16" in text:
        case = replace(case, precision="bf16")
    for name, other in (("lora", settings_of(lora=Lora())), ("none", NONE)):
        if f"finetune: {name}" in text:
            settings, case = other, replace(case, cut=other.cut)
    return settings, case


@pytest.mark.parametrize("settings", [LORA, TOP, FULL, NONE], ids=["lora", "top", "full", "none"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_the_plan_counts_is_held_by_every_step(settings, precision):
    step = found(settings, frames=1, windows=1, precision=precision)
    # the gradients are a part of the step
    held = (step.weights + 1.5 * step.moments) / 1e9
    least = least_memory(settings, precision, sizes_of(BACKBONE))
    assert 0.8 * held < least <= held
    assert least <= (step.total - step.process) / 1e9


def test_what_does_not_fit_is_refused_with_what_each_remedy_comes_to():
    case = case_of(FULL, frames=16)
    fits = estimate(CONFIG, FULL, case, "cpu").total / 1e9
    assert check_memory(CONFIG, FULL, case, "cpu", fits * 1.01).total == round(fits * 1e9)
    assert check_memory(CONFIG, FULL, case, "cpu", None)
    with pytest.raises(UserError) as caught:
        check_memory(CONFIG, FULL, case, "cpu", 0.3)
    message = str(caught.value)
    for part in (
        "config.yaml (memory_limit_gb)",
        "0.3 GB are allowed",
        "training.batch_size: 4, and accumulation: 2",
        "training.gradient_checkpointing: true: about",
        "training.precision: bf16: about",
        "finetune: lora: about",
    ):
        assert part in message
