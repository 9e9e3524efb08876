"""The files below ``results/`` and their forms, as the page docs/files.md.

python tests/support/files_page.py    writes it there anew
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/files.md"
sys.path.insert(0, str(ROOT / "workflow"))

# ruff: noqa: E402  (the library is found by the line above)
from mobile_vla import layout
from mobile_vla.audit.result import Audit, DataAudit
from mobile_vla.backbone.result import BackboneDescription
from mobile_vla.bundle.result import BundleDescription, Certificate
from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.config.schema import meanings
from mobile_vla.data.result import DatasetSplit, Flags, Manifest
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.features.result import FeatureDescription, KeptEpisodes
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.language.result import LanguageResult
from mobile_vla.latency.result import LatencyResult
from mobile_vla.model.result import PolicyDescription
from mobile_vla.provenance.record import Provenance
from mobile_vla.reporting.result import Caption
from mobile_vla.result import FileDigest, Result
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.timing.result import TimingResult
from mobile_vla.training.result import Epoch, TrainingResult
from mobile_vla.trials.result import TrialResult

FORMS: dict[tuple[str, str], type[Result]] = {
    ("RawFiles", "digest"): FileDigest,
    ("EpisodeFiles", "facts"): EpisodeFacts,
    ("ManifestFiles", "manifest"): Manifest,
    ("SplitFiles", "split"): DatasetSplit,
    ("FlagFiles", "flags"): Flags,
    ("DataAuditFiles", "data"): DataAudit,
    ("AuditFiles", "report"): Audit,
    ("BackboneFiles", "description"): BackboneDescription,
    ("FeatureFiles", "description"): FeatureDescription,
    ("KeptRows", "index"): KeptEpisodes,
    ("TrainingFiles", "policy"): PolicyDescription,
    ("TrainingFiles", "last"): PolicyDescription,
    ("TrainingFiles", "metrics"): Epoch,
    ("TrainingFiles", "results"): TrainingResult,
    ("TimingFiles", "timing"): TimingResult,
    ("EvaluationFiles", "evaluation"): EvaluationResult,
    ("OtherEvaluationFiles", "evaluation"): EvaluationResult,
    ("RolloutFiles", "rollouts"): RolloutResult,
    ("LanguageFiles", "language"): LanguageResult,
    ("LatencyFiles", "latency"): LatencyResult,
    ("BundleFiles", "description"): BundleDescription,
    ("CertificateFiles", "certificate"): Certificate,
    ("TrialFiles", "trial"): TrialResult,
    ("ComparisonFiles", "comparison"): ComparisonResult,
    ("CaptionFiles", "captions"): Caption,
}
"""The form of each JSON or CSV file: a model by its class in ``layout.py`` and its field there."""


def groups() -> list[type[layout.Files]]:
    """Return the classes of files, in the order of ``layout.py``."""
    return [
        value
        for value in vars(layout).values()
        if inspect.isclass(value) and issubclass(value, layout.Files) and value is not layout.Files
    ]


def text_of(kind: Any) -> str:
    """Return a field's type in JSON's words; a model by its name."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(text_of(member) for member in inner)
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in inner)
    if origin in (list, tuple):
        return f"[{text_of(inner[0])}]"
    if origin is dict:
        return f"{{{text_of(inner[0])}: {text_of(inner[1])}}}"
    if origin is not None:  # Annotated
        return text_of(inner[0])
    names = {NoneType: "null", str: "text", int: "whole", float: "number", bool: "true or false"}
    if kind is Any:
        return "any"
    return names.get(kind) or str(getattr(kind, "__name__", kind))


def models_in(kind: Any) -> list[type[Result]]:
    """Return the models that a type names."""
    if inspect.isclass(kind) and issubclass(kind, Result):
        return [kind]
    return [model for inner in get_args(kind) for model in models_in(inner)]


def form(model: type[Result], seen: set[type[Result]]) -> list[str]:
    """Return the lines that describe a model, and those of the models in it, each once."""
    lines, inner, described = [], list[type[Result]](), meanings(model)
    for name, field in model.model_fields.items():
        inner += models_in(field.annotation)
        meaning = " ".join(described.get(name, "").split())
        lines.append(f"| `{name}` | {text_of(field.annotation)} | {meaning} |".replace("  ", " "))
    head = f"**{model.__name__}**: {' '.join((model.__doc__ or '').split())}"
    lines = [head, "", "| field | type | |", "| --- | --- | --- |", *lines, ""]
    for other in [other for other in dict.fromkeys(inner) if other not in seen]:
        seen.add(other)
        lines += form(other, seen)
    return lines


HEAD = """\
# Files

Everything below `results/`, printed from the code: the classes of `workflow/mobile_vla/layout.py`
hold the places, and those of each stage's `result.py` the forms. JSON is UTF-8. A file over 1 MB
has its SHA-256 and size in a JSON beside it. Every file is written under a temporary name and
renamed, so that it is there whole or not at all. Actions and errors are in command units, times
in seconds and sizes in bytes, unless it says otherwise. A JSON file with a form below ends with
`content_sha256`, the SHA-256 of all before it, and is refused where its content was changed since;
`policy.json` has a digest of each entry instead. The circumstances of each job that wrote
files lie beside them, in a `*.provenance.json`.
"""


def page() -> str:
    """Return the whole page."""
    lines, seen = [HEAD], set[type[Result]]()
    for group in groups():
        meaning = meanings(group)
        title = group.__name__.removesuffix("Files")
        lines += [f"## {title}", "", " ".join((group.__doc__ or "").split()), ""]
        for field in fields(group):
            said = " ".join(meaning.get(field.name, "").split())
            lines.append(f"- `{field.default}` {said}".rstrip())
        lines.append("")
        for field in fields(group):
            model = FORMS.get((group.__name__, field.name))
            if model is not None and model not in seen:
                seen.add(model)
                lines += form(model, seen)
    lines += ["## Provenance", "", *form(Provenance, seen)]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
