"""The commands: which function each one calls, and what its result depends on besides its code.

Snakemake's rules and the command line read the same table, so that what is tracked is what runs.
Beside the stages there are tools, which a user calls and which make no result of the workflow.
Nothing of either is imported here: the workflow is parsed without torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mobile_vla.provenance.code import code_of
from mobile_vla.provenance.record import versions

# What a forward pass goes through, the tokenizer of its prompts included.
ENCODING = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
LEARNING = (*ENCODING, "peft", "accelerate")


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        module: the module that holds the command's function.
        function: the function's name.
        packages: those whose version can change the result.
        extra: the optional extra of this package that it needs.
    """

    module: str
    function: str
    packages: tuple[str, ...]
    extra: str | None = None

    @property
    def runs_model(self) -> bool:
        """Whether it runs the model, on a GPU where there is one."""
        return set(ENCODING) <= set(self.packages)

    def tracked(self) -> list[str]:
        """Return code digests and versions, one line each: the rule's parameters."""
        found = versions(self.packages)
        return [*code_of(self.module), *(f"{name} {found[name]}" for name in sorted(found))]


STAGES = {
    "simulate": Command("mobile_vla.simulator.simulate", "simulate", ("h5py", "numpy", "pillow")),
    "import_lerobot": Command(
        "mobile_vla.lerobot.imported",
        "import_lerobot",
        ("h5py", "numpy", "pillow", "pyarrow"),
        "lerobot",
    ),
    "ingest": Command("mobile_vla.data.ingest", "ingest", ("h5py", "numpy", "pillow")),
    "manifest": Command("mobile_vla.data.manifest", "manifest", ("numpy",)),
    "split": Command("mobile_vla.data.split", "split", ()),
    "audit": Command("mobile_vla.audit.audit", "audit", ("jinja2", "numpy", "pillow")),
    "flags": Command("mobile_vla.audit.flags", "flags", ("numpy",)),
    "random_backbone": Command(
        "mobile_vla.backbone.random",
        "random_backbone",
        ("torch", "transformers", "tokenizers", "safetensors"),
    ),
    "pretrained_backbone": Command("mobile_vla.backbone.pretrained", "pretrained_backbone", ()),
    "features": Command("mobile_vla.features.extract", "extract", ENCODING),
    "train": Command("mobile_vla.training.train", "train", LEARNING),
    "timing": Command("mobile_vla.timing.measure", "measure", LEARNING),
    "evaluate": Command("mobile_vla.evaluation.evaluate", "evaluate", (*ENCODING, "peft")),
    "language": Command("mobile_vla.evaluation.language", "language", (*ENCODING, "peft")),
    "latency": Command("mobile_vla.evaluation.latency", "latency", (*ENCODING, "peft")),
    "rollout": Command("mobile_vla.evaluation.rollout", "rollout", (*ENCODING, "peft", "pillow")),
    "evaluate_on": Command("mobile_vla.evaluation.elsewhere", "evaluate_on", (*ENCODING, "peft")),
    "compare": Command("mobile_vla.evaluation.compare", "compare", ("numpy",)),
    "figures": Command(
        "mobile_vla.reporting.figures", "figures", ("matplotlib", "numpy", "pyyaml")
    ),
    "tables": Command("mobile_vla.reporting.tables", "tables", ()),
    "partial_report": Command("mobile_vla.reporting.partial", "partial_report", ()),
    "page": Command("mobile_vla.reporting.page", "page", ("jinja2", "pyyaml")),
}

TOOLS = {
    "predict": Command("mobile_vla.robot.predict", "predict", (*ENCODING, "peft", "pillow")),
    "serve": Command("mobile_vla.robot.serve", "serve", (*ENCODING, "peft", "pillow"), "serve"),
    "export-lerobot": Command("mobile_vla.lerobot.export", "export_lerobot", (), "lerobot"),
    "merge": Command("mobile_vla.robot.merge", "merge", (*ENCODING, "peft")),
    "import-robovlms": Command("mobile_vla.importing.robovlms", "import_robovlms", ()),
}

COMMANDS = {**STAGES, **TOOLS}
