"""A Kosmos-2 with random weights, as a checkpoint folder that loads like the hub's.

A demo and a timing of the full size therefore need nothing from outside.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    CLIPImageProcessor,
    Kosmos2Config,
    Kosmos2Model,
    Kosmos2Processor,
    XLMRobertaTokenizer,
)
from transformers.modeling_utils import local_torch_dtype

from mobile_vla.backbone.kosmos2 import module_of
from mobile_vla.backbone.result import BackboneDescription, checkpoint_digests
from mobile_vla.config.backbone import BackboneSettings, RandomBackbone
from mobile_vla.errors import UserError
from mobile_vla.files import adopt
from mobile_vla.layout import BackboneFiles

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # in the order of Kosmos-2's vocabulary
PRINTABLE = tuple(map(chr, range(33, 127)))  # unknown words are spelt with these
SPELLING = -20.0  # log-probability of a letter: any known word is likelier than its spelling


def model_config(settings: RandomBackbone) -> Kosmos2Config:
    """Return the configuration of a Kosmos-2 of the given size."""
    vision, text = settings.vision, settings.text
    return Kosmos2Config(
        vision_config={
            "hidden_size": vision.hidden_size,
            "num_hidden_layers": vision.layers,
            "num_attention_heads": vision.heads,
            "intermediate_size": vision.ffn,
        },
        text_config={
            "embed_dim": text.hidden_size,
            "layers": text.layers,
            "attention_heads": text.heads,
            "ffn_dim": text.ffn,
            "vocab_size": text.vocabulary,
            "dropout": text.dropout,
            "attention_dropout": text.dropout,
            "init_std": settings.initialisation.text_std,
        },
        latent_query_num=settings.image_tokens,
    )


def random_model(settings: RandomBackbone) -> Kosmos2Model:
    """Draw the weights of a Kosmos-2.

    The gains of ``settings.initialisation`` are applied to the stock initialisation: with that
    alone the last hidden state varies by 0.3 % across frames, with them by tens of per cent.
    """
    # drawn in this number format from the start, so that there is no other copy of them
    with torch.random.fork_rng(devices=[]), local_torch_dtype(DTYPES[settings.precision]):
        torch.manual_seed(settings.seed)
        model = Kosmos2Model(model_config(settings))
        gains = settings.initialisation
        with torch.no_grad():
            positions = module_of(model, "vision").model.embeddings.position_embedding.weight
            _smooth_positions(positions)
            positions.mul_(gains.position_gain)
            projection = module_of(model, "projection")
            projection.dense.weight.mul_(gains.projection_gain)
            projection.x_attn.q_proj.weight.mul_(gains.attention_gain)
            projection.x_attn.k_proj.weight.mul_(gains.attention_gain)
    return model.eval()


def _smooth_positions(weight: torch.Tensor) -> None:
    """Replace the random position code of the patches by plane waves over the image, in place.

    A trained vision tower's position code is smooth: neighbouring patches look alike, so that
    attention by position finds regions. White noise, the stock initialisation, finds nothing.

    Args:
        weight: (1 + side², D), the class token's row first; its standard deviation is kept.
    """
    patches, width = weight.shape[0] - 1, weight.shape[1]
    side = math.isqrt(patches)
    scale = weight[1:].std()
    at = torch.arange(side) / side
    rows, columns = torch.meshgrid(at, at, indexing="ij")  # (side, side) each
    frequency = torch.randn(2, width)  # periods across the image
    phase = torch.rand(width)
    wave = rows.reshape(-1, 1) * frequency[0] + columns.reshape(-1, 1) * frequency[1] + phase
    weight[1:] = torch.cos(2 * math.pi * wave) * math.sqrt(2) * scale  # (side², D)


def train_tokenizer(corpus: Sequence[str]) -> XLMRobertaTokenizer:
    """Train a unigram tokenizer, of the class that Kosmos-2 uses, on a corpus of sentences.

    Its pieces are the corpus's words, with the logarithm of their share as score, and single
    characters. (The trainer of `tokenizers` gives other scores and pieces from call to call on so
    small a corpus, and cuts its words into letters: prompts four times as long.)
    """
    counts = Counter("▁" + word for sentence in corpus for word in sentence.split())
    total = sum(counts.values())
    characters = sorted({*PRINTABLE, *(letter for word in counts for letter in word)} - {"▁"})
    words = [(word, math.log(count / total)) for word, count in sorted(counts.items())]
    return XLMRobertaTokenizer(
        vocab=[
            *((piece, 0.0) for piece in SPECIAL),
            *words,
            ("▁", SPELLING),
            *((character, SPELLING) for character in characters if character not in counts),
        ]
    )


def random_backbone(settings: BackboneSettings, outputs: BackboneFiles) -> None:
    """Write a random Kosmos-2 as a checkpoint folder, and last its description.

    Raises:
        UserError: the vocabulary is too small for the tokenizer.
    """
    backbone = settings.backbone
    assert isinstance(backbone, RandomBackbone)  # the rule for checkpoints is another
    folder = outputs.description.parent
    folder.mkdir(parents=True, exist_ok=True)
    outputs.description.unlink(missing_ok=True)  # while it is absent, the folder is unfinished
    tokenizer = train_tokenizer(backbone.tokenizer_corpus)
    processor = Kosmos2Processor(CLIPImageProcessor(), tokenizer)
    if len(tokenizer) > backbone.text.vocabulary:
        raise UserError(
            f"config.yaml (backbones.{settings.name}.text.vocabulary): "
            f"{backbone.text.vocabulary} is smaller than the tokenizer's {len(tokenizer)} tokens; "
            f"set it to at least {len(tokenizer)}"
        )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as unfinished:
        random_model(backbone).save_pretrained(unfinished)
        processor.save_pretrained(unfinished)
        files = checkpoint_digests(Path(unfinished))
        for name in files:
            adopt(Path(unfinished, name), folder / name)
    described = BackboneDescription(name=settings.name, checkpoint=".", revision=None, files=files)
    described.write(outputs.description)
