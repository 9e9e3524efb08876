"""The prompts of the prompt-swap test."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.config.language import Language
from mobile_vla.config.prompt import Prompt
from mobile_vla.data.mirror import mirrored_values
from mobile_vla.data.prompts import prompt_values, render
from mobile_vla.data.result import Episode

RIGHT = "right"
OPPOSITE = "opposite"


def prompts_by_kind(
    episodes: Sequence[Episode], prompt: Prompt, language: Language
) -> dict[str, list[str]]:
    """Return the texts of each kind of prompt for some episodes.

    Args:
        episodes: the E episodes.
        prompt: how their prompts were made in training.
        language: the other prompts.

    Returns:
        E texts each: ``right``, as in training; ``opposite``, with left and right exchanged;
        ``constant``; and ``paraphrase``, if there is one.
    """
    values = [prompt_values(episode) for episode in episodes]
    texts = {
        RIGHT: [render(prompt, of_episode) for of_episode in values],
        OPPOSITE: [render(prompt, mirrored_values(of_episode)) for of_episode in values],
        "constant": [language.constant] * len(values),
    }
    if language.paraphrase is not None:
        paraphrase = prompt.model_copy(update={"template": language.paraphrase})
        texts["paraphrase"] = [render(paraphrase, of_episode) for of_episode in values]
    return texts
