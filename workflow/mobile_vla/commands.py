"""All commands: which package and function each one is, and what its result depends on.

Rules and command line read the same table, so that what is tracked is what runs. Nothing of the
commands is imported here: the workflow is parsed without torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mobile_vla.provenance.code import code_of, versions
from mobile_vla.provenance.packages import ENCODING, PREDICTING, TRAINING


@dataclass(frozen=True)
class Command:
    """One command: the function ``name`` of the module ``mobile_vla.{stage}.{name}``.

    Its rule has its name, too; its rules' file and its settings' module have that of the stage.
    Long settings, such as those of a command that gathers and lists results of all runs, may be
    longer than an argument and come on standard input.
    """

    name: str
    stage: str
    packages: tuple[str, ...] = ()  # those whose version can change the result
    extra: str | None = None  # the optional extra of this package that it needs
    gathers: bool = False
    lists_episodes: bool = False
    on_cpu: bool = False  # also where there is a GPU

    @property
    def module(self) -> str:
        """Full name of the module that holds the command's function."""
        return f"mobile_vla.{self.stage}.{self.name}"

    @property
    def long_settings(self) -> bool:
        """Whether its settings come on standard input."""
        return self.gathers or self.lists_episodes

    @property
    def runs_model(self) -> bool:
        """Whether it runs the model, on a GPU where there is one unless it is ``on_cpu``."""
        return set(ENCODING) <= set(self.packages)

    def tracked(self) -> list[str]:
        """Return code digests and versions, one line each: the rule's parameters."""
        found = versions(self.packages)
        return [*code_of(self.module), *(f"{name} {found[name]}" for name in sorted(found))]


def _by_name(*commands: Command) -> dict[str, Command]:
    return {command.name: command for command in commands}


# Called by rules.
STAGES = _by_name(
    Command("simulate", "simulator", ("h5py", "numpy", "pillow")),
    Command("import_lerobot", "lerobot", ("h5py", "numpy", "pillow", "pyarrow"), extra="lerobot"),
    Command(
        "import_videos",
        "lerobot",
        ("av", "numpy", "pillow", "pyarrow"),
        extra="lerobot",
        lists_episodes=True,
    ),
    Command("ingest", "ingest", ("h5py", "numpy", "pillow")),
    Command("manifest", "data", ("numpy",)),
    Command("split", "data"),
    Command("mix_manifests", "data", ("numpy",)),
    Command("mix_splits", "data", ("numpy",)),
    Command("audit_data", "audit", ("jinja2", "numpy", "pillow")),
    Command("audit", "audit", ("jinja2", "numpy", "pillow")),
    Command("show_findings", "audit"),
    Command("flags", "audit", ("numpy",)),
    Command("random_backbone", "backbone", ("torch", "transformers", "tokenizers", "safetensors")),
    Command("pretrained_backbone", "backbone"),
    Command("features", "features", ENCODING),
    Command("train", "training", TRAINING),
    Command("timing", "timing", TRAINING),
    Command("evaluate", "evaluation", PREDICTING),
    Command("evaluate_on", "evaluation", PREDICTING),
    Command("score_member", "evaluation", ("numpy",)),
    Command("compare", "comparison", ("numpy",), gathers=True),
    Command("rollout", "rollout", (*PREDICTING, "pillow")),
    Command("language", "language", PREDICTING),
    Command("latency", "latency", PREDICTING),
    Command(
        "export_bundle",
        "bundle",
        (*PREDICTING, "onnx", "onnx-ir", "onnxscript", "pillow"),
        extra="bundle",
        on_cpu=True,
    ),
    Command("quantise_bundle", "bundle", ("numpy", "onnx", "onnxruntime"), extra="bundle"),
    Command(
        "certify_bundle",
        "bundle",
        (*PREDICTING, "onnxruntime", "pillow"),
        extra="bundle",
        on_cpu=True,
    ),
    Command("trials", "trials", ("numpy",)),
    Command("figures", "reporting", ("matplotlib", "numpy", "pyyaml"), gathers=True),
    Command("tables", "reporting", gathers=True),
    Command("card", "reporting", ("huggingface_hub", "pyyaml")),
    Command("page", "reporting", ("jinja2", "pyyaml"), gathers=True),
    Command("partial_report", "reporting", gathers=True),
    Command("crate", "reporting", ("rocrate",), gathers=True),
)

# Called by users alone.
TOOLS = _by_name(
    Command("predict", "robot", (*PREDICTING, "pillow")),
    Command("serve", "robot", (*PREDICTING, "pillow")),
    Command("replay", "robot", (*PREDICTING, "pillow")),
    Command("merge", "robot", PREDICTING),
    Command("schedule", "trials"),
    Command("score", "trials"),
    Command("unblind", "trials"),
    Command("release", "releasing"),
    Command("export_lerobot", "lerobot", extra="lerobot"),
    Command("import_robovlms", "importing"),
    Command("describe", "describing"),
    Command("clean_stale", "config"),
    Command("plan", "planning"),
    Command("reproduce", "reproducing"),
    Command("schema", "config"),
)

COMMANDS = {**STAGES, **TOOLS}
