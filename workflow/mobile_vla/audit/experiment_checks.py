"""What the experiments ask of the data: windows enough, and prompts that say where to go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mobile_vla.audit.coverage import CELL_KEYS
from mobile_vla.audit.findings import Facts, Finding, of_dataset, some
from mobile_vla.config.audit import AuditedExperiment
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Windows
from mobile_vla.data.prompts import lacks, needs, one_for_all, prompt_values, render


@dataclass(frozen=True)
class Cut:
    """What one way of cutting windows leaves of a dataset.

    Args:
        experiments: the experiments that cut so.
        windows: W, C, stride, target and tail.
        count: number of windows.
        used: episodes that give one or more.
        too_short: those that give none.
    """

    experiments: tuple[str, ...]
    windows: Windows
    count: int
    used: tuple[Facts, ...]
    too_short: tuple[Facts, ...]

    def record(self) -> dict[str, Any]:
        """Return the numbers as audit.json holds them."""
        return {
            "experiments": list(self.experiments),
            **self.windows.model_dump(mode="json"),
            "frames_needed": self.windows.frames_needed,
            "windows": self.count,
            "episodes": len(self.used),
            "too_short": [facts["episode"] for facts in self.too_short],
        }


def yields(every: Sequence[Facts], experiments: Iterable[AuditedExperiment]) -> list[Cut]:
    """Return what each distinct way of cutting windows leaves, in the order of config.yaml.

    Args:
        every: facts of the episodes that are used.
        experiments: the experiments that use the dataset.
    """
    names: dict[Windows, list[str]] = defaultdict(list)
    for experiment in experiments:
        names[experiment.windows].append(experiment.name)
    found = []
    for windows, users in names.items():
        counts = [windows.count(facts["frames"]) for facts in every]
        pairs = list(zip(every, counts, strict=True))
        found.append(
            Cut(
                tuple(users),
                windows,
                sum(counts),
                tuple(facts for facts, count in pairs if count),
                tuple(facts for facts, count in pairs if not count),
            )
        )
    return found


def short_episodes(every: Sequence[Facts], cuts: Iterable[Cut]) -> Iterator[Finding]:
    """Episodes are long enough for the experiments' window and chunk."""
    for cut in cuts:
        if not cut.too_short:
            continue
        windows = cut.windows
        place = _place(cut.experiments)
        longest = max(facts["frames"] for facts in every)
        expected = (
            f"{windows.frames_needed} frames for window {windows.window} and chunk {windows.chunk} "
            f"(target: {windows.target}, tail: {windows.tail})"
        )
        remedy = f"lower window or chunk (the longest episode has {longest} frames)" + (
            ", or say `tail: mask`" if windows.tail == "drop" else ""
        )
        if not cut.used:
            yield of_dataset(
                "no_windows",
                place,
                found=f"0 windows: all {len(every)} episodes are too short",
                expected=expected,
                remedy=remedy,
            )
            continue
        names = [f"{facts['episode']} ({facts['frames']})" for facts in cut.too_short]
        yield of_dataset(
            "too_short",
            place,
            found=f"{len(names)} of {len(every)} episodes give no window, {len(cut.used)} give "
            f"{cut.count}: {some(names)}",
            expected=expected,
            remedy=remedy,
        )
        yield from _lost_cells(cut)


def _lost_cells(cut: Cut) -> Iterator[Finding]:
    def cells(episodes: Iterable[Facts]) -> set[str]:
        return {
            " ".join(one["scenario"][key] or "unknown" for key in CELL_KEYS) for one in episodes
        }

    for cell in sorted(cells(cut.too_short) - cells(cut.used)):
        yield of_dataset(
            "cell_too_short",
            f"{_place(cut.experiments)}, {cell}",
            found="all its episodes are too short",
            expected="episodes of each combination that was recorded",
            remedy="lower window or chunk: else nothing is learnt of this combination, and "
            "nothing said about it",
        )


def prompts(every: Sequence[Facts], experiments: Iterable[AuditedExperiment]) -> Iterator[Finding]:
    """Prompts can be made for all episodes, and differ where the sides do."""
    names: dict[str, list[str]] = defaultdict(list)
    prompts: dict[str, Prompt] = {}
    for experiment in experiments:
        names[experiment.prompt.canonical()].append(experiment.name)
        prompts[experiment.prompt.canonical()] = experiment.prompt
    values = [prompt_values(facts["scenario"], facts["instruction"]) for facts in every]
    for text, prompt in prompts.items():
        place = f"{_place(names[text])}, prompt"
        without = [
            facts["episode"] for facts, one in zip(every, values, strict=True) if lacks(prompt, one)
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
        sides = one_for_all([render(prompt, one) for one in values], values)
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
