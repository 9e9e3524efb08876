"""Settings of the prompt-swap test."""

from __future__ import annotations

from pydantic import field_validator

from mobile_vla.config.base import Count, Settings, Share, Text
from mobile_vla.config.model import TrainedRunSettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.uncertainty import Uncertainty


class Language(Settings):
    """The other prompts of the prompt-swap test, and the smallest shift that counts."""

    constant: Text = "Navigate and reach the target"
    """A prompt that says nothing of the scenario, for all episodes."""
    paraphrase: Text | None = None
    """A template that says the same in other words; null where the tokenizer does not know them."""
    threshold: Share = 0.05
    """Lateral shift between both sides' prompts below which language counts as ignored, as a share
    of the action scale."""
    batch_size: Count = 64
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
