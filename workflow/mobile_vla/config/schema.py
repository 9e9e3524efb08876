"""The JSON schema of config.yaml, generated from the typed settings: editors complete from it."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mobile_vla.config.base import Settings
from mobile_vla.config.project import Project
from mobile_vla.errors import UserError

# What `config/expansion.py` reads before an experiment is checked.
SWEEP: dict[str, Any] = {
    "sweep": {
        "additionalProperties": {"minItems": 1, "type": "array"},
        "description": "Settings by their dotted names, such as lora.r, with the values that each "
        "is to have: the experiment becomes one for each combination.",
        "type": "object",
    },
    "match": {
        "default": "epochs",
        "description": "What all combinations of a sweep have in common: the epochs, or the "
        "optimiser steps of the first.",
        "enum": ["epochs", "optimizer_steps"],
        "type": "string",
    },
}


def config_schema() -> dict[str, Any]:
    """Return the schema of config.yaml as it is written, with ``defaults`` still apart."""
    project = Project.model_json_schema()
    definitions = project.pop("$defs")
    described = {"Project": project, **definitions}
    for model in _subclasses(Settings):
        properties = described.get(model.__name__, {}).get("properties", {})
        for name, meaning in meanings(model).items():
            if name in properties:
                properties[name] = dict(
                    sorted({**properties[name], "description": meaning}.items())
                )
    # In the file nothing of an experiment is required: the rest comes from `defaults`.
    definitions["Experiment"].pop("required", None)
    definitions["Experiment"]["properties"] |= SWEEP
    for expanded in ("Sweep", "SweepMember"):  # made of experiments, not written
        definitions.pop(expanded)
    project["properties"].pop("sweeps")
    project["properties"]["include"] = {
        "anyOf": [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}],
        "description": "YAML files, or folders of them, with more datasets, backbones, presets and "
        "experiments; absolute or relative to the project.",
    }
    project["properties"]["presets"] = {
        "additionalProperties": {"$ref": "#/$defs/Experiment"},
        "description": "Named sets of settings that experiments start from, with `preset: NAME`.",
        "type": "object",
    }
    project["properties"]["defaults"] = {
        "$ref": "#/$defs/Experiment",
        "description": "What every experiment has in common.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "config.yaml of Mobile VLA Experiments",
        **{key: value for key, value in project.items() if key != "title"},
        "$defs": definitions,
    }


def meanings(kind: type) -> dict[str, str]:
    """Return the docstring below each attribute of a class and of those that it inherits from.

    Pydantic's ``use_attribute_docstrings`` reads them too, but whenever a model is imported, which
    took a third of the import of all settings.
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.partition(".")[0] != kind.__module__.partition(".")[0]:
            continue
        (tree,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            found.pop(field.target.id, None)  # what it inherits means something else
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[field.target.id] = inspect.cleandoc(str(text.value.value))
    return found


def _subclasses(kind: type[Settings]) -> Iterator[type[Settings]]:
    for own in kind.__subclasses__():
        yield own
        yield from _subclasses(own)


def schema(file: Path, *, check: bool = False) -> None:
    """Write the JSON schema of config.yaml, which editors complete from.

    Args:
        file: the file to write.
        check: compare the file with the settings instead of writing it.

    Raises:
        UserError: the file that was to be compared is not the schema of the settings.
    """
    text = json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"
    if not check:
        file.write_text(text, encoding="utf-8")
    elif not file.is_file() or file.read_text(encoding="utf-8") != text:
        raise UserError(f"{file}: not the schema of the settings; run `make schema`")
