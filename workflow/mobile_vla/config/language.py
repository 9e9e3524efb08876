"""Settings of the prompt-swap test."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from mobile_vla.config.base import Settings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.run import TrainedRunSettings
from mobile_vla.config.uncertainty import Uncertainty


class Language(Settings):
    """The other prompts of the prompt-swap test, and the smallest shift that counts."""

    constant: str = "Navigate and reach the target"
    """A prompt that says nothing of the scenario, for all episodes."""
    paraphrase: str | None = None
    """A template that says the same as the prompt in other words; null leaves this out, because a
    tokenizer need not know other words."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Lateral shift between both sides' prompts below which language counts as ignored, as a share
    of the action scale."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Windows predicted at a time."""

    @field_validator("paraphrase")
    @classmethod
    def _placeholders(cls, value: str | None) -> str | None:
        if value is not None:
            Prompt(template=value)
        return value


class LanguageSettings(TrainedRunSettings):
    """What the ``language`` stage is given: one run of one experiment."""

    language: Language
    uncertainty: Uncertainty
