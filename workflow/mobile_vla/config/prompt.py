"""Settings of the prompts."""

from __future__ import annotations

import string
from typing import Self, get_args

from pydantic import Field, model_validator

from mobile_vla.config.base import Settings, Text
from mobile_vla.conventions import ScenarioKey

SCENARIO_KEYS = get_args(ScenarioKey)
INSTRUCTION = "instruction"


class Prompt(Settings):
    """The instruction: the same for all frames of an episode, and no function of its actions."""

    template: Text = "Navigate around the box on the {side} side and reach the target"
    """Text with placeholders such as ``{side}``, filled from the scenario. ``{instruction}`` is the
    file's own ``language_instruction``."""
    words: dict[ScenarioKey, dict[str, Text]] = Field(default_factory=dict)
    """Words to put in place of a scenario's values, for prompts in another language."""

    @model_validator(mode="after")
    def _placeholders(self) -> Self:
        try:
            parts = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise ValueError(f"not a template: {error}") from None
        for _, name, form, conversion in parts:
            if form or conversion:
                raise ValueError(f"the placeholder {{{name}}} has a form; write the name alone")
            if name is not None and name not in (*SCENARIO_KEYS, INSTRUCTION):
                known = ", ".join(f"{{{key}}}" for key in (*SCENARIO_KEYS, INSTRUCTION))
                raise ValueError(f"unknown placeholder {{{name}}}; there are {known}")
        return self
