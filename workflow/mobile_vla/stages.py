"""The commands: which function each one calls, and what its result depends on besides its code.

Snakemake's rules and the command line read the same table, so that what is tracked is what runs.
Nothing of the stages is imported here: the workflow is parsed without torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mobile_vla.provenance.code import code_of
from mobile_vla.provenance.record import versions

# What a forward pass goes through, the tokenizer of its prompts included.
ENCODING = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
LEARNING = (*ENCODING, "peft", "accelerate")


@dataclass(frozen=True)
class Stage:
    """One command.

    Args:
        module: the module that holds the command's function.
        function: the function's name.
        packages: those whose version can change the result.
    """

    module: str
    function: str
    packages: tuple[str, ...]

    @property
    def runs_model(self) -> bool:
        """Whether it runs the model, on a GPU where there is one."""
        return set(ENCODING) <= set(self.packages)

    def tracked(self) -> list[str]:
        """Return code digests and versions, one line each: the rule's parameters."""
        found = versions(self.packages)
        return [*code_of(self.module), *(f"{name} {found[name]}" for name in sorted(found))]


STAGES = {
    "simulate": Stage("mobile_vla.simulator.simulate", "simulate", ("h5py", "numpy", "pillow")),
    "ingest": Stage("mobile_vla.data.ingest", "ingest", ("h5py", "numpy", "pillow")),
    "manifest": Stage("mobile_vla.data.manifest", "manifest", ("numpy",)),
    "split": Stage("mobile_vla.data.split", "split", ()),
    "audit": Stage("mobile_vla.audit.audit", "audit", ("jinja2", "numpy", "pillow")),
    "flags": Stage("mobile_vla.audit.flags", "flags", ("numpy",)),
    "random_backbone": Stage(
        "mobile_vla.backbone.random",
        "random_backbone",
        ("torch", "transformers", "tokenizers", "safetensors"),
    ),
    "pretrained_backbone": Stage("mobile_vla.backbone.pretrained", "pretrained_backbone", ()),
    "features": Stage("mobile_vla.features.extract", "extract", ENCODING),
    "train": Stage("mobile_vla.training.train", "train", LEARNING),
    "timing": Stage("mobile_vla.timing.measure", "measure", LEARNING),
    "evaluate": Stage("mobile_vla.evaluation.evaluate", "evaluate", (*ENCODING, "peft")),
    "language": Stage("mobile_vla.evaluation.language", "language", (*ENCODING, "peft")),
    "latency": Stage("mobile_vla.evaluation.latency", "latency", (*ENCODING, "peft")),
    "rollout": Stage("mobile_vla.evaluation.rollout", "rollout", (*ENCODING, "peft", "pillow")),
    "evaluate_on": Stage("mobile_vla.evaluation.elsewhere", "evaluate_on", (*ENCODING, "peft")),
    "compare": Stage("mobile_vla.evaluation.compare", "compare", ("numpy",)),
    "figures": Stage("mobile_vla.reporting.figures", "figures", ("matplotlib", "numpy", "pyyaml")),
    "tables": Stage("mobile_vla.reporting.tables", "tables", ()),
    "partial_report": Stage("mobile_vla.reporting.partial", "partial_report", ()),
    "page": Stage("mobile_vla.reporting.page", "page", ("jinja2", "pyyaml")),
}
