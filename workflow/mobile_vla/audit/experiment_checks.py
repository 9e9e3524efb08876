"""Check that the data give each experiment windows, and prompts that say where to go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from mobile_vla.audit.coverage import CELL_KEYS
from mobile_vla.audit.findings import of_dataset, some
from mobile_vla.audit.result import Finding, WindowYield
from mobile_vla.config.audit import AuditedExperiment
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Windows
from mobile_vla.data.prompts import lacks, needs, prompt_values, render, sides_with_same_prompt
from mobile_vla.ingest.result import EpisodeFacts


def window_yields(
    every: Sequence[EpisodeFacts], experiments: Iterable[AuditedExperiment]
) -> list[WindowYield]:
    """Count the windows for each distinct way of cutting them, in the order of config.yaml.

    Args:
        every: facts of the episodes that are used.
        experiments: the experiments that use the dataset.
    """
    names: dict[Windows, list[str]] = defaultdict(list)
    for experiment in experiments:
        names[experiment.windows].append(experiment.name)
    counted = []
    for windows, users in names.items():
        counts = [windows.count(facts.frames) for facts in every]
        too_short = [facts.episode for facts, n in zip(every, counts, strict=True) if not n]
        counted.append(
            WindowYield(
                experiments=tuple(users),
                **windows.model_dump(),
                frames_needed=windows.frames_needed,
                windows=sum(counts),
                episodes=len(every) - len(too_short),
                too_short=tuple(too_short),
            )
        )
    return counted


def short_episodes(
    every: Sequence[EpisodeFacts], counted: Iterable[WindowYield]
) -> Iterator[Finding]:
    """Episodes are long enough for the experiments' window and chunk."""
    for windows in counted:
        if not windows.too_short:
            continue
        place = _place(windows.experiments)
        longest = max(facts.frames for facts in every)
        expected = (
            f"{windows.frames_needed} frames for window {windows.window} and chunk {windows.chunk} "
            f"(target: {windows.target}, tail: {windows.tail})"
        )
        remedy = f"lower window or chunk (the longest episode has {longest} frames)" + (
            ", or say `tail: mask`" if windows.tail == "drop" else ""
        )
        if not windows.episodes:
            yield of_dataset(
                "no_windows",
                place,
                found=f"0 windows: all {len(every)} episodes are too short",
                expected=expected,
                remedy=remedy,
            )
            continue
        too_short = set(windows.too_short)
        names = [
            f"{facts.episode} ({facts.frames})" for facts in every if facts.episode in too_short
        ]
        yield of_dataset(
            "too_short",
            place,
            found=f"{len(names)} of {len(every)} episodes give no window, {windows.episodes} give "
            f"{windows.windows}: {some(names)}",
            expected=expected,
            remedy=remedy,
        )
        yield from _lost_cells(every, windows)


def _lost_cells(every: Sequence[EpisodeFacts], windows: WindowYield) -> Iterator[Finding]:
    cells: dict[bool, set[str]] = {True: set(), False: set()}  # of short episodes and of others
    names = set(windows.too_short)
    for facts in every:
        cell = " ".join(facts.scenario[key] or "unknown" for key in CELL_KEYS)
        cells[facts.episode in names].add(cell)
    for cell in sorted(cells[True] - cells[False]):
        yield of_dataset(
            "cell_too_short",
            f"{_place(windows.experiments)}, {cell}",
            found="all its episodes are too short",
            expected="episodes of each combination that was recorded",
            remedy="lower window or chunk: else nothing is learnt of this combination, and "
            "nothing said about it",
        )


def prompts(
    every: Sequence[EpisodeFacts], experiments: Iterable[AuditedExperiment]
) -> Iterator[Finding]:
    """Prompts can be made for all episodes, and differ where the sides do."""
    names: dict[str, list[str]] = defaultdict(list)
    prompts: dict[str, Prompt] = {}
    for experiment in experiments:
        names[experiment.prompt.canonical()].append(experiment.name)
        prompts[experiment.prompt.canonical()] = experiment.prompt
    values = [prompt_values(facts) for facts in every]
    for text, prompt in prompts.items():
        place = f"{_place(names[text])}, prompt"
        without = [
            facts.episode
            for facts, value in zip(every, values, strict=True)
            if lacks(prompt, value)
        ]
        if without:
            yield of_dataset(
                "prompt_incomplete",
                place,
                found=f"{len(without)} of {len(every)} episodes do not say their "
                f"{' and '.join(needs(prompt))}: {some(without)}",
                expected=f"names, or files' own instructions, that fill in {prompt.template!r}",
                remedy="rename the files, change the template, or, where the side is missing, "
                "leave them out with `on_warning: quarantine`",
            )
            continue
        texts = [render(prompt, value) for value in values]
        sides = sides_with_same_prompt(texts, values)
        if sides is not None:
            yield of_dataset(
                "same_prompt",
                place,
                found=f"{render(prompt, values[0])!r} for all episodes, although they pass on "
                f"the {sides}",
                expected="prompts that differ where the sides do, or language cannot be learnt",
                remedy="put {side} into `prompt.template`",
            )


def _place(experiments: Sequence[str]) -> str:
    return f"experiment{'s' if len(experiments) > 1 else ''} {some(experiments, 5)}"
