"""Dropout by fewer random numbers: the shares, the gradient, and attention with it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import Kosmos2Config, Kosmos2Model
from transformers.models.kosmos2.modeling_kosmos2 import eager_attention_forward

from mobile_vla.backbone import dropout
from mobile_vla.backbone.dropout import Dropout, attend, drop
from mobile_vla.backbone.kosmos2 import load_config, run_lower_layers
from mobile_vla.errors import UserError


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_each_of_the_elements_that_share_a_draw_is_dropped_as_often(p: float) -> None:
    torch.manual_seed(0)
    count = 200_000
    zeros = (drop(torch.ones(count * 4 + 3), p) == 0)[: count * 4].view(count, 4).double()
    error = 5 * math.sqrt(p * (1 - p) / count)
    assert (zeros.mean(0) - p).abs().max() < error
    for first in range(4):  # and independently of the others, and of the next draw's
        for second in range(first + 1, 4):
            both = (zeros[:, first] * zeros[:, second]).mean()
            assert abs(both - p * p) < error
        assert abs((zeros[1:, first] * zeros[:-1, first]).mean() - p * p) < error


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_kept_is_scaled_and_has_the_gradient_of_its_factor(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.randn(3, 5, 7, dtype=dtype, requires_grad=True)
    dropped = drop(values, 0.25)
    assert dropped.dtype == dtype and dropped.shape == values.shape
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], values[kept] / 0.75)
    weights = torch.randn(3, 5, 7).to(dtype)
    (dropped * weights).sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, torch.where(kept, weights / 0.75, 0))


def test_a_seed_draws_the_same_and_no_probability_divides_by_zero() -> None:
    values = torch.ones(1000)
    torch.manual_seed(3)
    first = drop(values, 0.1)
    assert not torch.equal(drop(values, 0.1), first)
    torch.manual_seed(3)
    assert torch.equal(drop(values, 0.1), first)
    assert torch.equal(drop(values, 0), values)
    assert drop(values, 1 - 1e-9).isfinite().all()


def test_nothing_is_dropped_or_drawn_in_evaluation() -> None:
    layer, values = Dropout(0.5), torch.ones(100)
    before = torch.get_rng_state()
    assert layer.eval()(values) is values
    assert torch.equal(torch.get_rng_state(), before)
    assert (layer.train()(values) == 0).any()


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_attention_is_that_of_transformers(
    masked: bool, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one and the same mask of dropout, since the random numbers are others."""
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 6, 4, requires_grad=True) for _ in range(3))
    mask = torch.full((6, 6), torch.finfo(torch.float32).min).triu(1).expand(2, 1, 6, 6)
    kept = (torch.rand(2, 3, 6, 6) >= share) / (1 - share)
    monkeypatch.setattr(dropout, "drop", lambda weights, p: weights * kept)
    monkeypatch.setattr(functional, "dropout", lambda weights, p, training: weights * kept)
    layer = nn.Module()
    layer.is_causal = True  # type: ignore[assignment]
    ours, _ = attend(layer, query, key, value, mask if masked else None, share, scaling=0.5)
    theirs, _ = eager_attention_forward(layer, query, key, value, mask, dropout=share, scaling=0.5)
    torch.testing.assert_close(ours, theirs)
    gradients = torch.autograd.grad(ours.sum(), (query, key, value))
    expected = torch.autograd.grad(theirs.sum(), (query, key, value))
    torch.testing.assert_close(gradients, expected)


def test_embedded_tokens_are_kept_as_often_as_by_the_stock_models_two_dropouts() -> None:
    sizes = {"embed_dim": 64, "attention_heads": 2, "ffn_dim": 32, "layers": 1, "vocab_size": 50}
    model = Kosmos2Model(
        Kosmos2Config(text_config={**sizes, "dropout": 0.2}, vision_config={"num_hidden_layers": 0})
    )
    torch.manual_seed(0)
    ids, embeds = torch.randint(3, 50, (40, 30)), torch.randn(40, 2, 64)
    slots = torch.zeros_like(ids, dtype=torch.bool)
    slots[:, :2] = True
    whole = run_lower_layers(model.eval(), ids, embeds, slots, layers=1)
    dropped = run_lower_layers(model.train(), ids, embeds, slots, layers=1)
    assert model.text_model.model.training
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], whole[kept] / 0.64, rtol=1e-4, atol=1e-6)
    share = kept[whole != 0].double().mean()
    assert abs(share - 0.64) < 5 * math.sqrt(0.64 * 0.36 / whole.numel())


def test_a_checkpoint_that_drops_whole_layers_is_refused_by_name(tmp_path: Path) -> None:
    Kosmos2Config(text_config={"layerdrop": 0.1}).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"text_config\.layerdrop is 0\.1, expected 0"):
        load_config(str(tmp_path))
