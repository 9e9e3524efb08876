"""A backbone as the later stages know it: ``backbone.json``, and the one way to load it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoProcessor, Kosmos2Config, Kosmos2Model

from mobile_vla.backbone.local import checkpoint_files
from mobile_vla.backbone.result import BackboneDescription
from mobile_vla.errors import UserError
from mobile_vla.files import digest_of
from mobile_vla.result import FileDigest

# Parts of names of weights that stay in float32 whatever the rest is held in. Autocast adds the
# residual stream and normalises in float32, and so does the model held in half precision: rounded
# there, the small differences between frames would drown. All of them are 8 % of a Kosmos-2.
FLOAT32 = ("norm", "inner_attn_ln", "embed", "bias", "latent_query")


@dataclass(frozen=True)
class Checkpoint:
    """Where a backbone's weights lie, and what they are.

    Args:
        name: the backbone's name in config.yaml.
        source: a folder, or a hub id.
        revision: the hub's commit; None for a folder.
        files: the identity of each of its files; it is stored with every policy that is trained
            on it.
    """

    name: str
    source: str
    revision: str | None
    files: Mapping[str, FileDigest]

    @property
    def digest(self) -> str:
        """Identity of its bytes, wherever they come from."""
        return digest_of({name: file.model_dump() for name, file in self.files.items()})

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read ``backbone.json`` and check the files that lie beside it."""
        described = BackboneDescription.read(path)
        source = described.checkpoint
        if source == ".":  # the checkpoint lies beside its description
            source = str(path.parent)
            for name, file in described.files.items():
                file.verify(path.parent / name)
        return cls(described.name, source, described.revision, described.files)

    @classmethod
    def of_folder(cls, folder: Path) -> Checkpoint:
        """Describe a checkpoint folder that no ``backbone.json`` describes, by reading all of it.

        Raises:
            UserError: there is no checkpoint.
        """
        files = {file.name: FileDigest.of(file) for file in checkpoint_files(folder)}
        if "config.json" not in files:
            raise UserError(
                f"{folder}: no checkpoint folder; expected config.json, model.safetensors, the "
                "tokenizer and the processor of the backbone, or a backbone.json"
            )
        return cls(name=folder.name, source=str(folder), revision=None, files=files)

    def _options(self) -> dict[str, Any]:
        return {} if self.revision is None else {"revision": self.revision}

    def processor(self) -> Any:
        """Load the ``Kosmos2Processor``: tokenizer, image mean and standard deviation."""
        return _load(AutoProcessor.from_pretrained, self, **self._options())

    def config(self) -> Any:
        """Load the ``Kosmos2Config``: the sizes of the model, without its weights."""
        return _load(Kosmos2Config.from_pretrained, self, **self._options())

    def model(
        self,
        dtype: torch.dtype = torch.float32,
        float32: Iterable[str] = (),
        without: Sequence[str] = (),
    ) -> Kosmos2Model:
        """Load the stock ``Kosmos2Model``, without an output layer, frozen and in eval mode.

        Each tensor is brought into its format as it is read: there is never a float32 copy of the
        whole model where another format is asked for.

        Args:
            dtype: format of the matrices. Norms, biases, embeddings and latent queries stay in
                float32, so that a forward pass under autocast gives the same bits as with
                float32 weights.
            float32: parts of names of weights that stay in float32 too: those to be trained.
            without: modules that are not loaded, and are empty.
        """
        kept = {*FLOAT32, *float32}

        class Kosmos2(Kosmos2Model):
            _keep_in_fp32_modules_strict = kept
            _keys_to_ignore_on_load_unexpected: ClassVar[list[str]] = [
                rf"\b{re.escape(name)}\." for name in without
            ]

            def __init__(self, config: Any):
                super().__init__(config)
                empty(self, without)

        Kosmos2.__name__ = Kosmos2Model.__name__  # which is written where it is saved again
        model = _load(
            Kosmos2.from_pretrained,
            self,
            dtype=dtype,
            attn_implementation="sdpa",
            **self._options(),
        )
        # The code of positions is no weight: it was computed in `dtype`, and is again in float32.
        positions = model.text_model.model.embed_positions
        count, width = positions.weights.shape
        positions.weights = positions.get_embedding(count, width, positions.padding_idx)
        return model.requires_grad_(False).eval()


def empty(model: nn.Module, names: Iterable[str]) -> None:
    """Put empty modules in place of those of the given names."""
    for name in names:
        like = nn.ModuleList if isinstance(model.get_submodule(name), nn.ModuleList) else nn.Module
        model.set_submodule(name, like())


def _load(loader: Any, checkpoint: Checkpoint, **options: Any) -> Any:
    """Call a ``from_pretrained``, and say what to do when it fails."""
    try:
        return loader(str(Path(checkpoint.source).expanduser()), **options)
    except (OSError, ValueError, SafetensorError) as error:
        # transformers raises OSError for an unreachable hub and for a damaged folder alike
        raise UserError(unreachable(checkpoint.name, checkpoint.source, error)) from None


def unreachable(name: str, source: str, error: Exception) -> str:
    """Return how to bring a checkpoint that could not be loaded, and where to point the config."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"config.yaml (backbones.{name}.checkpoint): {source!r} could not be loaded: {first}\n"
        "    expected: a checkpoint folder of Kosmos-2 with config.json, model.safetensors, the "
        "tokenizer and the processor\n"
        "    to do:    on a machine that reaches the hub: "
        "`hf download microsoft/kosmos-2-patch14-224 --local-dir kosmos-2`; "
        f"copy the folder here and write `checkpoint: ./kosmos-2` under backbones.{name}"
    )
