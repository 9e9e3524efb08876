"""Kosmos-2 (Peng et al. 2023, arXiv:2306.14824): all that is known of its structure here.

A second backbone is a module with the same public functions. A ``model`` is without PEFT's wrapper.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import AutoProcessor, Kosmos2Config, Kosmos2Model

from mobile_vla.backbone.dropout import ATTENTION, drop
from mobile_vla.backbone.kosmos2_layer import run_layer, run_layer_at
from mobile_vla.config.features import Cut
from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.errors import UserError

HUB_ID = "microsoft/kosmos-2-patch14-224"

Part = Literal["vision", "projection", "text", "text_embedding"]
PARTS: tuple[Part, ...] = ("vision", "projection", "text", "text_embedding")
"""What can be trained or frozen as a whole; settings name the parts so."""

# Modules of the parts; the token embeddings lie within the text model.
_VISION, _PROJECTION, _TEXT = "vision_model", "image_to_text_projection", "text_model"
_MODULES: dict[Part, str] = {
    "vision": _VISION,
    "projection": _PROJECTION,
    "text": _TEXT,
    "text_embedding": f"{_TEXT}.model.embed_tokens",
}

# Parts of names of weights that always stay in float32. Autocast adds the residual stream and
# normalises in float32, and so does the model held in half precision: rounded there, the small
# differences between frames would drown. All of them are 8 % of a Kosmos-2.
_FLOAT32 = ("norm", "inner_attn_ln", "embed", "bias", "latent_query")


def load_config(source: str, **options: Any) -> Kosmos2Config:
    """Load the configuration of a checkpoint, a folder or hub id, as ``from_pretrained`` does.

    Raises:
        UserError: it drops whole layers in training, which the forward pass here does not.
    """
    config = Kosmos2Config.from_pretrained(source, **options)
    if config.text_config.layerdrop:
        raise UserError(
            f"{source}: config.json: text_config.layerdrop is {config.text_config.layerdrop}, "
            "expected 0, as in every published Kosmos-2: no layer is dropped here; write 0"
        )
    return config


def load_processor(source: str, **options: Any) -> Any:
    """Load the processor of a checkpoint: tokenizer, image mean and standard deviation."""
    return AutoProcessor.from_pretrained(source, **options)


def load_model(
    source: str,
    dtype: torch.dtype,
    trained: Iterable[Part],
    cut: Cut,
    layers: int | None = None,
    **options: Any,
) -> nn.Module:
    """Load the model of a checkpoint, without its output layer.

    Each tensor is brought into its format as it is read: there is never a float32 copy of the
    whole model when another format is wanted.

    Args:
        source: a folder, or a hub id.
        dtype: format of the matrices; :func:`kept_in_float32` says what is not held in it.
        trained: parts that stay in float32 too.
        cut: where the forward pass will begin; modules before it are not loaded, and are empty.
        layers: how many layers of the language model lie behind the cut ``hidden_states``.
        options: passed on to ``from_pretrained``, such as ``revision``.
    """
    kept = {*_FLOAT32, *(_MODULES[part].rpartition(".")[2] for part in trained)}
    before = modules_before(load_config(source, **options), cut, layers)

    class Kosmos2(Kosmos2Model):
        _keep_in_fp32_modules_strict = kept
        _keys_to_ignore_on_load_unexpected: ClassVar[list[str]] = [
            rf"\b{re.escape(name)}\." for name in before
        ]

        def __init__(self, config: Any):
            super().__init__(config)
            remove(self, before)

    Kosmos2.__name__ = Kosmos2Model.__name__  # which is written where it is saved again
    model = Kosmos2.from_pretrained(source, dtype=dtype, attn_implementation=ATTENTION, **options)
    # The code of positions is no weight: it was computed in `dtype`, and is again in float32.
    positions = model.text_model.model.embed_positions
    count, width = positions.weights.shape
    positions.weights = positions.get_embedding(count, width, positions.padding_idx)
    return model


def build_model(config: Any) -> nn.Module:
    """Build a model with the stock initialisation, on the device of the context."""
    model = Kosmos2Model(config)
    model.set_attn_implementation(ATTENTION)
    return model


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model."""

    width: int
    """D, width of the language model, and so of image embeddings and readouts."""
    feed_forward: int
    """Width of the language model's feed-forward layers."""
    image_tokens: int
    """L, how many tokens an image becomes in the language model."""
    layers: int
    """Layers of the language model."""


def sizes_of(config: Any) -> Sizes:
    """Return the sizes that a configuration describes."""
    text = config.text_config
    return Sizes(text.embed_dim, text.ffn_dim, config.latent_query_num, text.layers)


def part_of(name: str) -> Part | None:
    """Return the part of a parameter, by its full name with any prefixes; None: of no part."""
    if f"{_VISION}." in name:
        return "vision"
    if f"{_PROJECTION}." in name:
        return "projection"
    if ".embed_tokens." in name:
        return "text_embedding"
    return "text" if f"{_TEXT}." in name else None


def module_of(model: nn.Module, part: Part) -> Any:
    """Return the module of a part."""
    return model.get_submodule(_MODULES[part])


def modules_before(config: Any, cut: Cut, layers: int | None = None) -> list[str]:
    """Return the modules that lie before a cut: a pass that begins there has no use for them.

    ``layers`` is how many layers of the language model lie behind the cut ``hidden_states``.
    """
    stack = f"{_TEXT}.model.layers"
    below = [f"{stack}.{layer}" for layer in range(layers_below(config, layers))]
    in_text = {"hidden_states": below, "readout": [stack]}
    return [] if cut == "pixels" else [_VISION, _PROJECTION, *in_text.get(cut, [])]


def layers_below(config: Any, layers: int | None) -> int:
    """Return how many layers lie below the top ``layers`` of the language model; below all: 0.

    Raises:
        UserError: it does not have as many.
    """
    count: int = config.text_config.layers
    if layers is None:
        return 0
    if layers > count:
        raise UserError(
            f"config.yaml (lora.layers): {layers} layers, and the backbone's language model has "
            f"{count}; say at most {count}, or `layers: null` to adapt all and the action token too"
        )
    return count - layers


def remove(model: nn.Module, names: Iterable[str]) -> None:
    """Put empty modules in place of some."""
    for name in names:
        like = nn.ModuleList if isinstance(model.get_submodule(name), nn.ModuleList) else nn.Module
        model.set_submodule(name, like())


def kept_in_float32(name: str) -> bool:
    """Return whether a parameter stays in float32 when the matrices are in another format.

    A forward pass under autocast then gives the same bits as with float32 weights.
    """
    return any(part in name for part in _FLOAT32)


def lora_targets(names: Iterable[str], config: Any, layers: int | None) -> str:
    """Return PEFT's pattern of linear layers of the language model: names alone match all parts.

    ``layers`` is how many layers of its stack are adapted, counted from the top; None: all.
    """
    adapted = r"\..*\."
    if layers is not None:
        numbers = range(layers_below(config, layers), config.text_config.layers)
        adapted = rf"\.model\.layers\.({'|'.join(map(str, numbers))})\..*\."
    return rf"{_TEXT}{adapted}({'|'.join(map(re.escape, names))})"


def before_adapters(config: Any, name: str, layers: int | None) -> bool:
    """Return whether a parameter lies before the adapted layers, by its full name."""
    below = layer_of(name) in range(layers_below(config, layers))
    return below or part_of(name) in ("vision", "projection")


def layer_of(name: str) -> int | None:
    """Return the layer of the language model that a name lies in, from 0; None: in none."""
    found = re.search(rf"{_TEXT}\.model\.layers\.(\d+)\.", name)
    return None if found is None else int(found[1])


def adaptable_layers(model: nn.Module) -> set[str]:
    """Return the names of the layers that can be adapted: the language model's linear ones."""
    return {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if name.startswith(f"{_TEXT}.") and isinstance(module, nn.Linear)
    }


def tokenise(processor: Any, text: str, image_tokens: int) -> tuple[list[int], list[int]]:
    """Tokenise a prompt: ``<s> <image> … </image> words <action>``.

    Returns:
        (S,) token ids, and (S,) 1 where image embeddings and, last, the action token's vector go:
        it comes through the same door as the image's.
    """
    blank = Image.new("RGB", (FRAME_SIZE, FRAME_SIZE))
    encoded = processor(text=text, images=blank, num_image_tokens=image_tokens)
    # the placeholder's id is never looked up; it must not be padding, or it has no position
    ids = [*encoded["input_ids"], processor.tokenizer.eos_token_id]
    return ids, [*encoded["image_embeds_position_mask"], 1]


def encode_images(model: Any, pixels: Tensor) -> Tensor:
    """Encode normalised images, (N, 3, 224, 224), into image embeddings, (N, L, D)."""
    features: Tensor = model.get_image_features(pixels).pooler_output
    return features


def run_language_model(
    model: Any, ids: Tensor, embeds: Tensor, slots: Tensor, at: Tensor, stock: bool = False
) -> Tensor:
    """Run the language model over prompts with embeddings in their slots.

    Args:
        model: the model, with adapters in it or not.
        ids: (N, S) token ids.
        embeds: (N, L + 1, D) the image's embeddings and the action token's vector.
        slots: (N, S) True where these go.
        at: (N,) position of the token whose state is asked for.
        stock: run the last layer for all tokens too, by the model's own forward pass.

    Returns:
        (N, D) last hidden states there; the attention is causal.
    """
    if stock:
        every: Tensor = model(
            input_ids=ids, image_embeds=embeds, image_embeds_position_mask=slots, use_cache=False
        ).last_hidden_state  # (N, S, D)
        return every[torch.arange(len(every), device=every.device), at]
    layers = sizes_of(model.config).layers
    return run_top_layers(model, run_lower_layers(model, ids, embeds, slots, layers), at, layers)


def run_lower_layers(model: Any, ids: Tensor, embeds: Tensor, slots: Tensor, layers: int) -> Tensor:
    """Return the states (N, S, D) that enter the top ``layers`` layers of the language model.

    The other arguments are those of :func:`run_language_model`.
    """
    text = model.text_model.model
    states = _embed(text, ids, image_embeds=embeds, img_input_mask=slots)
    return _run_layers(text, states, layers_below(model.config, layers))


def run_top_layers(model: Any, states: Tensor, at: Tensor, layers: int) -> Tensor:
    """Go on from what :func:`run_lower_layers` returned.

    Returns:
        (N, D) last hidden states of the tokens at (N,).
    """
    *others, last = model.text_model.model.layers[-layers:]
    for layer in others:
        states = run_layer(layer, states)
    hidden: Tensor = model.text_model.model.layer_norm(run_layer_at(last, states, at))
    return hidden


def leave_lower_layers_in_evaluation(model: Any, layers: int) -> None:
    """Switch what lies below the top ``layers`` layers of the language model to evaluation."""
    text = model.text_model.model
    text.training = False  # its dropout is that of the embedded tokens
    text.layers[: layers_below(model.config, layers)].eval()


def run_embedded(model: Any, embedded: Tensor) -> Tensor:
    """Run the language model over embedded tokens (N, S, D); return the last one's state (N, D).

    It is for tensors without content, which cannot be looked up by their values.
    """
    text = model.text_model.model
    states = _run_layers(text, _embed(text, None, inputs_embeds=embedded), 0)
    last = torch.full((embedded.shape[0],), embedded.shape[1] - 1, device=embedded.device)
    return run_top_layers(model, states, last, sizes_of(model.config).layers)


def _embed(text: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Return embedded tokens (N, S, D); arguments are those of the model's own method.

    The stock model drops them twice. To be kept twice is one draw of the same chance.
    """
    training, text.training = text.training, False  # without the method's own dropout
    states: Tensor = text.forward_embedding(*args, **kwargs)
    text.training = training
    return drop(states, 1 - (1 - text.dropout) ** 2) if training else states


def _run_layers(text: Any, states: Tensor, count: int) -> Tensor:
    """Run the first ``count`` layers over embedded tokens (N, S, D)."""
    for layer in text.layers[:count]:
        states = run_layer(layer, states)
    return states


def embedded_positions(model: Any) -> int:
    """Return how many tokens the language model has positions for."""
    count: int = model.config.text_config.max_position_embeddings
    return count


def token_embeddings(model: Any) -> Tensor:
    """Return the table of token embeddings, (vocabulary, D)."""
    table: Tensor = model.get_input_embeddings().weight
    return table


def checkpoint_activations(model: Any) -> None:
    """Keep only the layers' inputs for the backward pass; the result stays the same."""
    model.activation_checkpointing_enable({"use_reentrant": False})
