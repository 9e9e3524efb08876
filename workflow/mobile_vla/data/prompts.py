"""Prompts: one text for a scenario, whatever the model.

Apart from their tokens, because the audit looks at prompts before any model is loaded.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mobile_vla.config.prompt import Prompt
from mobile_vla.errors import Problem, Problems, UserError

Scenario = Mapping[str, str | None]


def needs(prompt: Prompt) -> list[str]:
    """Return the parts of the scenario that a prompt is made of."""
    return [name for _, name, _, _ in string.Formatter().parse(prompt.template) if name]


def lacks(prompt: Prompt, scenario: Scenario) -> list[str]:
    """Return the parts that a prompt needs and a name does not say."""
    return [key for key in needs(prompt) if scenario.get(key) is None]


def render(prompt: Prompt, scenario: Scenario) -> str:
    """Return the instruction of an episode: a function of its scenario alone."""
    values: dict[str, str] = {}
    for key in needs(prompt):
        value = scenario[key] or ""
        words: Mapping[str, str] = prompt.words.get(key, {})  # type: ignore[call-overload]
        values[key] = words.get(value, value)
    return prompt.template.format_map(values)


def one_for_all(texts: Sequence[str], scenarios: Sequence[Scenario]) -> str | None:
    """Return the sides that a single prompt is given for, such as ``left and the right``.

    Args:
        texts: each episode's prompt.
        scenarios: the same episodes' scenarios.

    Returns:
        None where prompts differ, or there is one side only.
    """
    sides = sorted({side for one in scenarios if (side := one.get("side")) is not None})
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
    def of(cls, prompt: Prompt, scenarios: Sequence[Scenario], names: Sequence[str]) -> PromptTable:
        """Render the prompts of all episodes.

        Raises:
            UserError: names of episodes do not say what the prompt needs; or episodes pass on
                different sides, but their prompts are all the same, so that language could never
                be learnt.
        """
        _complete(prompt, scenarios, names)
        rendered = [render(prompt, scenario) for scenario in scenarios]
        texts = tuple(sorted(set(rendered)))
        sides = one_for_all(rendered, scenarios)
        if sides is not None:
            raise UserError(
                f"the prompt is {texts[0]!r} for all episodes, although they pass on the {sides}; "
                "put {side} into `prompt.template` in config.yaml, or language cannot be learnt"
            )
        return cls(texts, tuple(texts.index(text) for text in rendered))


def _complete(prompt: Prompt, scenarios: Sequence[Scenario], names: Sequence[str]) -> None:
    """Refuse a dataset in which episodes do not say what their prompt needs: all of them at once.

    Raises:
        Problems: such episodes.
    """
    problems = []
    for scenario, name in zip(scenarios, names, strict=True):
        missing = lacks(prompt, scenario)
        if missing:
            problems.append(Problem(name, f"its name does not say its {' and '.join(missing)}"))
    if problems:
        raise Problems(
            f"the prompt {prompt.template!r} needs what some episodes' names do not say; rename "
            "them by the scheme, keep them out by the dataset's `pattern`, or change the template",
            problems,
        )
