"""The JSON schema of config.yaml, generated from the typed settings: editors complete from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    # In the file nothing of an experiment is required: the rest comes from `defaults`.
    definitions["Experiment"].pop("required", None)
    definitions["Experiment"]["properties"] |= SWEEP
    for expanded in ("Sweep", "Member"):  # made of experiments, not written
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
