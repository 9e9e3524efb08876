"""Export a policy's two halves, encoder and head, as ONNX graphs."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any, cast

import onnx_ir
import torch
from torch import Tensor, nn

from mobile_vla.backbone.kosmos2 import (
    embedded_positions,
    encode_images,
    run_embedded,
    token_embeddings,
)
from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.errors import UserError
from mobile_vla.files import adopt
from mobile_vla.model.encoder import Encoder
from mobile_vla.model.policy import Policy

OPSET = 20  # the newest that onnxruntime 1.19 loads, the last one for Python 3.8
SMALL = 1024  # bytes: smaller tensors stay in the graph's file


def prompt_vectors(encoder: Encoder) -> tuple[Tensor, list[Tensor]]:
    """Return what the language model reads besides images, as embedding vectors.

    Returns:
        (P, D) the vectors before an image, the same for all prompts; and for each prompt (T, D)
        those after it, the action token's last.

    Raises:
        UserError: the prompts do not all begin alike.
    """
    table = token_embeddings(encoder.base_model)
    slots, ids, ends = encoder.slots.tolist(), encoder.ids, encoder.action.tolist()
    first = slots[0].index(True)
    image = slots[0].index(False, first) - first  # (L,) slots side by side
    vectors = []
    for row, end in enumerate(ends):
        expected = [False] * first + [True] * image + [False] * (end - first - image) + [True]
        same = slots[row][: end + 1] == expected
        if not same or not torch.equal(ids[row, :first], ids[0, :first]):
            raise UserError(
                f"prompt {row + 1} of the policy does not begin as the first one does, so the "
                "encoder cannot be exported once for all; use prompts with the image at one place"
            )
        words = table[ids[row, first + image : end]]
        vectors.append(torch.cat([words, encoder.action_token[None]]).detach().float())
    return table[ids[0, :first]].detach().float(), vectors


class EncoderGraph(nn.Module):
    """From a frame and a prompt's vectors to the readout, one frame at a time.

    Prompts enter as vectors: the table of token embeddings is left out, and a new prompt is a new
    row of ``prompts.npz``.
    """

    mean: Tensor
    std: Tensor
    start: Tensor

    def __init__(self, model: Any, encoder: Encoder, start: Tensor):
        super().__init__()
        self.model = model
        self.register_buffer("mean", encoder.mean)
        self.register_buffer("std", encoder.std)
        self.register_buffer("start", start[None])

    def forward(self, frame: Tensor, prompt: Tensor) -> Tensor:
        """Return (1, D) of a frame (1, 224, 224, 3) uint8 and a prompt (1, T, D)."""
        pixels = frame.permute(0, 3, 1, 2).float() / 255  # (1, 3, 224, 224)
        embeds = encode_images(self.model, (pixels - self.mean) / self.std)  # (1, L, D)
        embedded = torch.cat([self.start, embeds, prompt], dim=1)  # (1, P + L + T, D)
        return run_embedded(self.model, embedded)


class HeadGraph(nn.Module):
    """From a window's readouts to the chunk, in raw command units."""

    units: Tensor

    def __init__(self, policy: Policy):
        super().__init__()
        self.policy = policy
        self.register_buffer("units", torch.tensor(policy.settings.actions.units))

    def forward(self, readouts: Tensor) -> Tensor:
        """Return (1, C, A) of (1, W, D), oldest first."""
        return self.policy.denormalise(self.policy.chunks(readouts)) * self.units


class Product(nn.Module):
    """A linear layer with its matrix as ONNX multiplies it, (inputs, outputs).

    Exported as it is, each matrix would be transposed while the first one is still held: twice the
    memory of the model.
    """

    weight: Tensor

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.register_buffer("weight", layer.weight.detach().T.contiguous())
        self.bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (…, outputs) of (…, inputs)."""
        product = inputs @ self.weight
        return product if self.bias is None else product + self.bias


def transpose_linear(model: nn.Module) -> None:
    """Put products in the place of all linear layers, one after the other."""
    # Their names alone: a list of the layers would hold each matrix until the last is transposed.
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    for name in names:
        model.set_submodule(name, Product(cast("nn.Linear", model.get_submodule(name))))


def export_encoder(
    model: Any, encoder: Encoder, start: Tensor, prompt: Tensor, graph: Path, weights: Path
) -> None:
    """Export the encoder with merged weights; any number of prompt tokens may follow an image.

    Args:
        model: the backbone's model, without adapters; it is of no other use afterwards.
        encoder: the policy's, for the image's mean and deviation.
        start: (P, D) the vectors before an image.
        prompt: (T, D) a prompt's vectors, as an example.
        graph: the ``.onnx`` file to write.
        weights: the file beside it for the tensors.
    """
    tokens = torch.export.Dim("tokens", min=2, max=embedded_positions(model) - len(start))
    transpose_linear(model)
    module = EncoderGraph(model, encoder, start).eval()
    exported = _exported(
        module,
        {"frame": torch.zeros(1, *FRAME_SHAPE, dtype=torch.uint8), "prompt": prompt[None]},
        "readout",
        {"frame": None, "prompt": {1: tokens}},
    )
    _save(exported, graph, weights)


def export_head(policy: Policy, width: int, graph: Path) -> None:
    """Export the head for readouts of a width, of a policy in evaluation mode.

    Its encoder is not looked at, and may be gone.
    """
    readouts = torch.zeros(1, policy.settings.window, width)
    _save(_exported(HeadGraph(policy), {"readouts": readouts}, "actions", None), graph)


def _exported(
    module: nn.Module, inputs: dict[str, Tensor], output: str, dynamic: dict[str, Any] | None
) -> onnx_ir.Model:
    """Trace a module, and leave out all that depends on where this program lies."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # "torchvision is not installed"
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            kwargs=inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=dynamic,
            verbose=False,
        )
    assert program is not None  # only where a file is named
    model = program.model
    # Nodes carry the stack traces of this program with absolute paths; shapes of values stay.
    parts: list[Any] = [model, model.graph, *model.graph.initializers.values(), *model.graph.inputs]
    for node in model.graph.all_nodes():
        parts += [node, *node.outputs]
        node.doc_string = None
    for part in parts:
        part.metadata_props.clear()
    return model


def _save(model: onnx_ir.Model, graph: Path, weights: Path | None = None) -> None:
    """Write a model, its tensors into a file of their own where one is named."""
    graph.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=graph.parent, prefix=".exporting-") as unfinished:
        folder = Path(unfinished)
        beside = None if weights is None else weights.name
        onnx_ir.save(model, folder / graph.name, external_data=beside, size_threshold_bytes=SMALL)
        for path in (graph, weights):
            if path is not None:
                adopt(folder / path.name, path)
