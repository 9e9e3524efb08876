"""Render the prompts of a dataset: one text for each episode."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mobile_vla.config.prompt import INSTRUCTION, Prompt
from mobile_vla.data.result import Episode
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.ingest.result import EpisodeFacts

Values = Mapping[str, str | None]
"""What an episode's prompt is made of: the scenario's keys, and ``instruction``."""


def prompt_values(episode: Episode | EpisodeFacts) -> dict[str, str | None]:
    """Return what an episode's prompt is made of."""
    return {**episode.scenario, INSTRUCTION: episode.instruction}


def needs(prompt: Prompt) -> list[str]:
    """Return the keys that a prompt is made of."""
    return [name for _, name, _, _ in string.Formatter().parse(prompt.template) if name]


def lacks(prompt: Prompt, values: Values) -> list[str]:
    """Return the keys that a prompt needs and an episode lacks."""
    return [key for key in needs(prompt) if values.get(key) is None]


def render(prompt: Prompt, values: Values) -> str:
    """Return an episode's prompt: a function of its scenario and its file's text alone."""
    filled: dict[str, str] = {}
    for key in needs(prompt):
        value = values[key] or ""
        words: Mapping[str, str] = prompt.words.get(key, {})  # type: ignore[call-overload]
        filled[key] = words.get(value, value)
    return prompt.template.format_map(filled)


def sides_with_same_prompt(texts: Sequence[str], values: Sequence[Values]) -> str | None:
    """Return the sides that share a single prompt, such as ``left and the right``.

    None where the episodes' prompts differ, or there is one side only.
    """
    sides = sorted({side for value in values if (side := value.get("side")) is not None})
    return " and the ".join(sides) if len(set(texts)) == 1 and len(sides) > 1 else None


@dataclass(frozen=True)
class PromptTable:
    """The distinct prompts of a dataset, and which one each episode has."""

    texts: tuple[str, ...]
    """P distinct prompts, sorted."""
    of_episode: tuple[int, ...]
    """For each episode its index in ``texts``."""

    @classmethod
    def of(cls, prompt: Prompt, values: Sequence[Values], names: Sequence[str]) -> PromptTable:
        """Render the prompts of all episodes, given by values and names.

        Raises:
            Problems: episodes do not say what the prompt needs: all of them.
            UserError: they pass on different sides, but their prompts are all the same, so that
                language could never be learnt.
        """
        return cls.of_each([prompt] * len(values), values, names)

    @classmethod
    def of_each(
        cls, prompts: Sequence[Prompt], values: Sequence[Values], names: Sequence[str]
    ) -> PromptTable:
        """Render the prompts of episodes that need not have the same one.

        Errors are those of :meth:`of`, for each of the prompts.
        """
        rendered: list[str] = [""] * len(values)
        for prompt in _distinct(prompts):
            of_prompt = [place for place, other in enumerate(prompts) if other == prompt]
            own = [values[place] for place in of_prompt]
            texts = _rendered(prompt, own, [names[place] for place in of_prompt])
            for place, text in zip(of_prompt, texts, strict=True):
                rendered[place] = text
        texts = sorted(set(rendered))
        return cls(tuple(texts), tuple(texts.index(text) for text in rendered))


def _distinct(prompts: Sequence[Prompt]) -> list[Prompt]:
    found: list[Prompt] = []
    for prompt in prompts:
        if prompt not in found:
            found.append(prompt)
    return found


def _rendered(prompt: Prompt, values: Sequence[Values], names: Sequence[str]) -> list[str]:
    """Return the texts of episodes of one prompt; errors are those of :meth:`PromptTable.of`."""
    problems = [
        Problem(name, "; ".join(map(lacking, missing)))
        for value, name in zip(values, names, strict=True)
        if (missing := lacks(prompt, value))
    ]
    if problems:
        raise Problems(
            f"the prompt {prompt.template!r} needs what some episodes do not say; rename them "
            "by the scheme, say it in a table (`scenarios`), leave them out with `on_warning: "
            "quarantine`, or change the template",
            problems,
        )
    texts = [render(prompt, value) for value in values]
    sides = sides_with_same_prompt(texts, values)
    if sides is not None:
        raise UserError(
            f"the prompt is {texts[0]!r} for all episodes, although they pass on the {sides}; "
            "put {side} into `prompt.template` in config.yaml, or language cannot be learnt"
        )
    return texts


def lacking(key: str) -> str:
    """Return a sentence on a key that an episode lacks."""
    if key == INSTRUCTION:
        return "it has no language_instruction"
    return f"its name does not say its {key}"
