"""Checkpoints: what ``backbone.json`` says of a backbone, and loading it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from mobile_vla.backbone import kosmos2
from mobile_vla.backbone.kosmos2 import Part
from mobile_vla.backbone.result import BackboneDescription, checkpoint_digests
from mobile_vla.config.features import Cut
from mobile_vla.errors import UserError
from mobile_vla.files import digest_of
from mobile_vla.out_of_memory import lacks_memory
from mobile_vla.result import FileDigest


@dataclass(frozen=True)
class Checkpoint:
    """Where a backbone's weights lie, and what they are."""

    name: str
    """The backbone's name in config.yaml."""
    source: str
    """A folder, or a hub id."""
    revision: str | None
    """The hub's commit; None for a folder."""
    files: Mapping[str, FileDigest]
    """Identity of each of its files; every policy that is trained on it stores them."""

    @property
    def digest(self) -> str:
        """Identity of its bytes, wherever they come from."""
        return digest_of({name: file.model_dump() for name, file in self.files.items()})

    @classmethod
    def read(cls, path: Path, folder: Path | None = None) -> Checkpoint:
        """Read ``backbone.json`` and check the files that lie beside it.

        Args:
            path: the file.
            folder: where a local checkpoint lies now; None for where it lay when it was described.
        """
        described = BackboneDescription.read(path)
        source = described.checkpoint if folder is None else str(folder)
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
        files = checkpoint_digests(folder)
        if "config.json" not in files:
            raise UserError(
                f"{folder}: no checkpoint folder; expected config.json, model.safetensors, the "
                "tokenizer and the processor of the backbone, or a backbone.json"
            )
        return cls(name=folder.name, source=str(folder), revision=None, files=files)

    def processor(self) -> Any:
        """Load the processor: tokenizer, image mean and standard deviation."""
        return self._load(kosmos2.load_processor)

    def config(self) -> Any:
        """Load the configuration: the sizes of the model, without its weights."""
        return self._load(kosmos2.load_config)

    def model(
        self,
        dtype: torch.dtype = torch.float32,
        trained: Iterable[Part] = (),
        cut: Cut = "pixels",
        layers: int | None = None,
    ) -> nn.Module:
        """Load the model, without an output layer, frozen and in evaluation mode.

        Args:
            dtype: format of the matrices; what ``kept_in_float32`` names stays in float32.
            trained: parts that are to be trained, and stay in float32 too.
            cut: where the forward pass will begin; what lies before it is not loaded.
            layers: how many layers of the language model lie behind the cut ``hidden_states``.
        """
        model = self._load(kosmos2.load_model, dtype=dtype, trained=trained, cut=cut, layers=layers)
        return model.requires_grad_(False).eval()

    def _load(self, loader: Any, **options: Any) -> Any:
        """Load a part of the checkpoint, and say what to do when that fails."""
        if self.revision is not None:
            options["revision"] = self.revision
        try:
            return loader(str(Path(self.source).expanduser()), **options)
        except (OSError, ValueError, SafetensorError) as error:
            if lacks_memory(error):
                raise
            # transformers raises OSError for an unreachable hub and for a damaged folder alike
            raise UserError(unreachable(self.name, self.source, error)) from None


def unreachable(name: str, source: str, error: Exception) -> str:
    """Return how to bring a checkpoint that could not be loaded, and where to point the config."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"config.yaml (backbones.{name}.checkpoint): {source!r} could not be loaded: {first}\n"
        "    expected: a checkpoint folder of Kosmos-2 with config.json, model.safetensors, the "
        "tokenizer and the processor\n"
        "    to do:    on a machine that reaches the hub: "
        f"`hf download {kosmos2.HUB_ID} --local-dir kosmos-2`; "
        f"copy the folder here and write `checkpoint: ./kosmos-2` under backbones.{name}"
    )
