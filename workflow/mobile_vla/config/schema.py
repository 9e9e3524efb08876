"""The JSON schema of config.yaml, generated from the typed settings: editors complete from it.

``python -m mobile_vla.config.schema FILE`` writes it, with ``--check`` it compares.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from mobile_vla.config.experiment import Experiment
from mobile_vla.config.project import Project

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
    _, schema = models_json_schema(
        [(Project, "validation"), (Experiment, "validation")],
        schema_generator=GenerateJsonSchema,
    )
    definitions = schema["$defs"]
    project = definitions.pop("Project")
    # In the file nothing of an experiment is required: the rest comes from `defaults`.
    definitions["Experiment"].pop("required", None)
    definitions["Experiment"]["properties"] |= SWEEP
    for made in ("Sweep", "Member"):
        definitions.pop(made)
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


def main() -> int:
    """Write the schema, or compare it with the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args()
    text = json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"
    if not options.check:
        options.file.write_text(text, encoding="utf-8")
    elif options.file.read_text(encoding="utf-8") != text:
        print(f"{options.file} is not that of the settings: run `make schema`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
