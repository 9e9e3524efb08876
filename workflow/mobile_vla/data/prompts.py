"""Prompts: one text for an episode, whatever the model.

Apart from their tokens, because the audit looks at prompts before any model is loaded.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mobile_vla.config.prompt import INSTRUCTION, Prompt
from mobile_vla.errors import Problem, Problems, UserError

Values = Mapping[str, str | None]
"""What an episode's prompt is made of: the scenario's keys, and the file's own text."""


def prompt_values(scenario: Values, instruction: str | None) -> dict[str, str | None]:
    """Return what an episode's prompt is made of."""
    return {**scenario, INSTRUCTION: instruction}


def needs(prompt: Prompt) -> list[str]:
    """Return the keys that a prompt is made of."""
    return [name for _, name, _, _ in string.Formatter().parse(prompt.template) if name]


def lacks(prompt: Prompt, values: Values) -> list[str]:
    """Return the keys that a prompt needs and an episode does not say."""
    return [key for key in needs(prompt) if values.get(key) is None]


def render(prompt: Prompt, values: Values) -> str:
    """Return an episode's prompt: a function of its scenario and its file's text alone."""
    filled: dict[str, str] = {}
    for key in needs(prompt):
        value = values[key] or ""
        words: Mapping[str, str] = prompt.words.get(key, {})  # type: ignore[call-overload]
        filled[key] = words.get(value, value)
    return prompt.template.format_map(filled)


def one_for_all(texts: Sequence[str], values: Sequence[Values]) -> str | None:
    """Return the sides that a single prompt is given for, such as ``left and the right``.

    Args:
        texts: each episode's prompt.
        values: what the same episodes' prompts are made of.

    Returns:
        None where prompts differ, or there is one side only.
    """
    sides = sorted({side for one in values if (side := one.get("side")) is not None})
    return " and the ".join(sides) if len(set(texts)) == 1 and len(sides) > 1 else None


@dataclass(frozen=True)
class PromptTable:
    """The distinct prompts of a dataset, and which one each episode has.

    Args:
        texts: P distinct prompts, sorted.
        of_episode: for each episode its index in ``texts``.
    """

    texts: tuple[str, ...]
    of_episode: tuple[int, ...]

    @classmethod
    def of(cls, prompt: Prompt, values: Sequence[Values], names: Sequence[str]) -> PromptTable:
        """Render the prompts of all episodes.

        Args:
            prompt: the template.
            values: what each episode's prompt is made of.
            names: the same episodes' names.

        Raises:
            UserError: episodes do not say what the prompt needs; or they pass on different sides,
                but their prompts are all the same, so that language could never be learnt.
        """
        _complete(prompt, values, names)
        rendered = [render(prompt, one) for one in values]
        texts = tuple(sorted(set(rendered)))
        sides = one_for_all(rendered, values)
        if sides is not None:
            raise UserError(
                f"the prompt is {texts[0]!r} for all episodes, although they pass on the {sides}; "
                "put {side} into `prompt.template` in config.yaml, or language cannot be learnt"
            )
        return cls(texts, tuple(texts.index(text) for text in rendered))


def _complete(prompt: Prompt, values: Sequence[Values], names: Sequence[str]) -> None:
    """Refuse a dataset in which episodes do not say what their prompt needs: all of them at once.

    Raises:
        Problems: such episodes.
    """
    problems = []
    for one, name in zip(values, names, strict=True):
        missing = lacks(prompt, one)
        if missing:
            problems.append(Problem(name, "; ".join(map(lacking, missing))))
    if problems:
        raise Problems(
            f"the prompt {prompt.template!r} needs what some episodes do not say; rename them by "
            "the scheme, leave them out with `on_warning: quarantine`, or change the template",
            problems,
        )


def lacking(key: str) -> str:
    """Return in words that an episode does not say a key."""
    if key == INSTRUCTION:
        return "it has no language_instruction"
    return f"its name does not say its {key}"
