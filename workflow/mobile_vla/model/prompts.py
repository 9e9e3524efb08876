"""Prompts: one text for a scenario, and its tokens with the place of image and action token."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from mobile_vla.config.prompt import INSTRUCTION, Prompt
from mobile_vla.errors import Problem, Problems, UserError


def needs(prompt: Prompt) -> list[str]:
    """Return the scenario's keys that a prompt is made of, and ``instruction``."""
    return [name for _, name, _, _ in string.Formatter().parse(prompt.template) if name]


def render(prompt: Prompt, scenario: Mapping[str, str | None]) -> str:
    """Return an episode's prompt: a function of its scenario and its file's text alone."""
    values: dict[str, str] = {}
    for key in needs(prompt):
        value = scenario[key] or ""
        words: Mapping[str, str] = prompt.words.get(key, {})  # type: ignore[call-overload]
        values[key] = words.get(value, value)
    return prompt.template.format_map(values)


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
    def of(
        cls, prompt: Prompt, scenarios: Sequence[Mapping[str, str | None]], names: Sequence[str]
    ) -> PromptTable:
        """Render the prompts of all episodes.

        Raises:
            UserError: names of episodes do not say what the prompt needs; or episodes pass on
                different sides, but their prompts are all the same, so that language could never
                be learnt.
        """
        _complete(prompt, scenarios, names)
        rendered = [render(prompt, scenario) for scenario in scenarios]
        texts = tuple(sorted(set(rendered)))
        sides = {scenario.get("side") for scenario in scenarios} - {None}
        if len(texts) == 1 and len(sides) > 1:
            raise UserError(
                f"the prompt is {texts[0]!r} for all episodes, although they pass on the "
                f"{' and the '.join(sorted(map(str, sides)))}; put {{side}} into "
                "`prompt.template` in config.yaml, or language cannot be learnt"
            )
        return cls(texts, tuple(texts.index(text) for text in rendered))


def _complete(
    prompt: Prompt, scenarios: Sequence[Mapping[str, str | None]], names: Sequence[str]
) -> None:
    """Refuse a dataset in which episodes do not say what their prompt needs: all of them at once.

    Raises:
        Problems: such episodes.
    """
    problems = []
    for scenario, name in zip(scenarios, names, strict=True):
        missing = [key for key in needs(prompt) if scenario.get(key) is None]
        if missing:
            problems.append(Problem(name, "; ".join(map(_lacking, missing))))
    if problems:
        raise Problems(
            f"the prompt {prompt.template!r} needs what some episodes do not say; rename them by "
            "the scheme, keep them out by the dataset's `pattern`, or change the template",
            problems,
        )


def _lacking(key: str) -> str:
    if key == INSTRUCTION:
        return "it has no language_instruction"
    return f"its name does not say its {key}"


@dataclass(frozen=True)
class PromptTokens:
    """Prompts as the language model reads them: ``<s> <image> … </image> words <action>``.

    The action token stands right after the last real token and never after padding, so that what
    else is in a batch cannot move it. Its vector comes through the same door as the image's.

    Args:
        ids: (P, S) token ids, padded on the right.
        slots: (P, S) True where image embeddings and, last, the action token's vector go.
        action: (P,) position of the action token.
    """

    ids: Tensor
    slots: Tensor
    action: Tensor

    @classmethod
    def of(cls, texts: Sequence[str], processor: Any, image_tokens: int) -> PromptTokens:
        """Tokenise prompts with a backbone's processor.

        Raises:
            UserError: the tokenizer does not know a character of a prompt, so that prompts which
                differ in it would be the same to the model.
        """
        tokenizer = processor.tokenizer
        blank = Image.new("RGB", (224, 224))
        rows, slots = [], []
        for text in texts:
            unknown = [
                piece
                for piece in tokenizer.tokenize(text)
                if tokenizer.convert_tokens_to_ids(piece) == tokenizer.unk_token_id
            ]
            if unknown:
                raise UserError(
                    f"config.yaml (prompt): the backbone's tokenizer does not know "
                    f"{', '.join(map(repr, unknown))} in {text!r}; write the prompt with known "
                    "characters, or add a sentence to the backbone's `tokenizer_corpus`"
                )
            encoded = processor(text=text, images=blank, num_image_tokens=image_tokens)
            # the placeholder's id is never looked up; it must not be padding, or it has no position
            rows.append([*encoded["input_ids"], tokenizer.eos_token_id])
            slots.append([*encoded["image_embeds_position_mask"], 1])
        width = max(map(len, rows))
        padding = tokenizer.pad_token_id
        return cls(
            ids=torch.tensor([row + [padding] * (width - len(row)) for row in rows]),
            slots=torch.tensor([row + [0] * (width - len(row)) for row in slots]).bool(),
            action=torch.tensor([len(row) - 1 for row in rows]),
        )
