"""A backbone as the later stages know it: ``backbone.json``, and the one way to load it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoProcessor, Kosmos2Model

from mobile_vla.errors import UserError
from mobile_vla.files import digest_of, read_json, verify


@dataclass(frozen=True)
class Checkpoint:
    """Where a backbone's weights lie, and what they are.

    Args:
        name: the backbone's name in config.yaml.
        source: a folder, or a hub id.
        revision: the hub's commit; None for a folder.
        digest: identity of its files' bytes; travels with every policy that is trained on it.
    """

    name: str
    source: str
    revision: str | None
    digest: str

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read ``backbone.json`` and check the files that lie beside it."""
        described = read_json(path)
        source = described["checkpoint"]
        if source == ".":  # the checkpoint lies beside its description
            source = str(path.parent)
            for name, file in described["files"].items():
                verify(path.parent / name, file)
        return cls(
            name=described["name"],
            source=source,
            revision=described["revision"],
            digest=digest_of([described["revision"], described["files"]]),
        )

    def _options(self) -> dict[str, Any]:
        return {} if self.revision is None else {"revision": self.revision}

    def processor(self) -> Any:
        """Load the ``Kosmos2Processor``: tokenizer, image mean and standard deviation."""
        return _load(AutoProcessor.from_pretrained, self, **self._options())

    def model(self, dtype: torch.dtype = torch.float32) -> Kosmos2Model:
        """Load the stock ``Kosmos2Model``, without an output layer, frozen and in eval mode."""
        model = _load(
            Kosmos2Model.from_pretrained,
            self,
            dtype=dtype,
            attn_implementation="sdpa",
            **self._options(),
        )
        return model.requires_grad_(False).eval()


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
