"""The same windows under other prompts."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.config.language import Language
from mobile_vla.config.prompt import Prompt
from mobile_vla.data.dataset import Episode
from mobile_vla.data.mirror import mirrored_values
from mobile_vla.data.prompts import render

RIGHT = "right"
OPPOSITE = "opposite"


def prompts_of(
    episodes: Sequence[Episode], prompt: Prompt, language: Language
) -> dict[str, list[str]]:
    """Return the prompts that each episode is asked with, by kind.

    Args:
        episodes: the E episodes.
        prompt: how they were asked in training.
        language: the other prompts.

    Returns:
        E texts each: ``right``, as in training; ``opposite``, with left and right exchanged;
        ``constant``; and ``paraphrase``, if there is one.
    """
    values = [episode.prompt_values for episode in episodes]
    found = {
        RIGHT: [render(prompt, one) for one in values],
        OPPOSITE: [render(prompt, mirrored_values(one)) for one in values],
        "constant": [language.constant] * len(values),
    }
    if language.paraphrase is not None:
        other = prompt.model_copy(update={"template": language.paraphrase})
        found["paraphrase"] = [render(other, one) for one in values]
    return found
