"""A layer of the language model against transformers' own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Kosmos2Config
from transformers.models.kosmos2.modeling_kosmos2 import Kosmos2TextBlock

from mobile_vla.backbone import dropout, kosmos2_layer
from mobile_vla.backbone.dropout import ATTENTION
from mobile_vla.backbone.kosmos2_layer import run_layer, run_layer_at

WIDTH, TOKENS = 32, 7


def text_block(share: float) -> Any:
    """Return a stock layer in training, with that share in each of its dropouts."""
    torch.manual_seed(0)
    shares = dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), share)
    config = Kosmos2Config(
        text_config={"embed_dim": WIDTH, "attention_heads": 4, "ffn_dim": 96, **shares}
    ).text_config
    config._attn_implementation = ATTENTION
    block = Kosmos2TextBlock(config).train()
    for module in block.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight, 1.0, 0.1)
            nn.init.normal_(module.bias, 0.0, 0.1)
    return block


def states() -> Tensor:
    return torch.randn(3, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))


def drop_alike(values: Tensor, p: float, training: bool = True) -> Tensor:
    """Drop the same elements whenever values have the same shape."""
    kept = torch.rand(values.shape, generator=torch.Generator().manual_seed(2)) >= p
    return values * kept / (1 - p) if training else values


def outputs_and_gradients(block: Any, run: Any, half: bool) -> list[Tensor]:
    """Return the output, and its gradients by the input and by all parameters."""
    entering = states().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = run(block, entering)
    scored = found.float() * torch.linspace(-1, 1, WIDTH)
    return [found, *torch.autograd.grad(scored.sum(), [entering, *block.parameters()])]


@pytest.mark.parametrize("share", [0.0, 0.25])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_in_float32_output_and_gradients_are_those_of_the_stock_layer_bit_for_bit(
    share: float, checkpointed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one and the same masks of dropout, since the random numbers are others."""
    for module in (dropout, kosmos2_layer):
        monkeypatch.setattr(module, "drop", drop_alike)
    monkeypatch.setattr(functional, "dropout", drop_alike)
    block = text_block(share)
    expected = outputs_and_gradients(block, lambda layer, entering: layer(entering, None), False)
    block.gradient_checkpointing = checkpointed
    found = outputs_and_gradients(block, run_layer, False)
    assert all(gradient.any() for gradient in expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_in_half_precision_it_is_as_exact_as_the_stock_layer() -> None:
    """Its output has the same bits; gradients of what several products read are rounded in sum."""
    block = text_block(0.0)
    found = outputs_and_gradients(block, run_layer, True)
    stock = outputs_and_gradients(block, lambda layer, entering: layer(entering, None), True)
    exact = outputs_and_gradients(block, run_layer, False)
    assert torch.equal(found[0], stock[0]) and found[0].dtype == torch.float32
    for ours, theirs, true in zip(found, stock, exact, strict=True):
        assert (ours - true).norm() <= 1.2 * (theirs - true).norm() + 1e-3 * true.norm()


def test_one_token_has_the_states_that_it_has_among_all() -> None:
    block = text_block(0.25).eval()
    at = torch.tensor([6, 3, 0])
    every = run_layer(block, states())
    torch.testing.assert_close(run_layer_at(block, states(), at), every[torch.arange(3), at])


def test_each_dropout_drops_in_training_alone() -> None:
    for name in ("self_attn.dropout", "dropout", "ffn.activation_dropout", "ffn.dropout"):
        block = text_block(0.0)
        whole = run_layer(block, states())
        module, _, attribute = name.rpartition(".")
        setattr(block.get_submodule(module), attribute, 0.5)
        assert not torch.equal(run_layer(block, states()), whole), name
        assert torch.equal(run_layer(block.eval(), states()), whole), name
