"""Changes of the settings that make a training step take less memory, and which of them suffice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.training.worst_case import WorstCase

Cost = Callable[[PolicySettings, WorstCase], float]
"""Returns the peak memory of a step (10⁹ bytes), in all processes that share it."""


@dataclass(frozen=True)
class Batches:
    """A run's batches, and those that it would have with other settings."""

    size: int  # `training.batch_size`, windows of all processes together
    processes: int  # `training.processes`; a batch has a window for each at least
    largest: Callable[[int, int], tuple[int, int]]
    """Returns the largest batch of a process, F frames and B windows, given another size and the
    number of processes that share the memory."""


@dataclass(frozen=True)
class Remedy:
    """Changes of the settings, with what a step would take."""

    changes: tuple[str, ...]  # as in config.yaml
    gb: float  # peak memory of a step in all processes, 10⁹ bytes

    def __str__(self) -> str:
        return f"{'; '.join(self.changes)}: about {self.gb:.1f} GB"


@dataclass(frozen=True)
class _Change:
    """Changes of the settings, and what a step holds with them."""

    changes: tuple[str, ...]
    settings: PolicySettings
    case: WorstCase


class Remedies:
    """The changes that are left to a run.

    Args:
        case: the worst of its steps.
        cost: peak memory of a step.
    """

    def __init__(self, settings: PolicySettings, case: WorstCase, batches: Batches, cost: Cost):
        self.start = _Change((), settings, case)
        self.batches, self.largest = batches, cache(batches.largest)
        self.known: dict[tuple[str, WorstCase], float] = {}
        self.cost = cost

    def alone(self) -> list[Remedy]:
        """Return each change by itself: the next smaller batch, and all others."""
        sizes = self._sizes(self.start)[1:2]
        changed = [self._with_batch(self.start, size) for size in sizes]
        for option in (_checkpointing, self._one_process, _bf16, *_FINETUNES):
            changed += option(self.start)
        return [self._remedy(change) for change in changed]

    def that_fits(self, limit_gb: float) -> Remedy | None:
        """Return the mildest combination that takes no more than the limit; None: there is none.

        Milder is what changes the result less: a smaller batch with as much more accumulation,
        gradient checkpointing and a single process change last bits, bf16 a little, and less
        fine-tuning is another experiment. Of several batch sizes it is the largest.
        """
        for finetuned in self._finetunings():
            combinations = list(self._combinations(finetuned))
            # The smallest step of this kind of fine-tuning decides whether the others are tried.
            if all(self._least(each).gb > limit_gb for each in combinations[-2:]):
                continue
            for each in combinations:
                if self._least(each).gb <= limit_gb:
                    return next(
                        remedy
                        for size in self._sizes(each)
                        if (remedy := self._remedy(self._with_batch(each, size))).gb <= limit_gb
                    )
        return None

    def least(self) -> Remedy:
        """Return the combination that takes the least memory."""
        found = [
            self._least(each)
            for finetuned in self._finetunings()
            for each in list(self._combinations(finetuned))[-2:]
        ]
        return min(found, key=lambda remedy: remedy.gb)

    def _finetunings(self) -> Iterator[_Change]:
        yield self.start
        for option in _FINETUNES:
            yield from option(self.start)

    def _least(self, change: _Change) -> Remedy:
        return self._remedy(self._with_batch(change, self._sizes(change)[-1]))

    def _sizes(self, change: _Change) -> list[int]:
        """Return the batch sizes that a change allows, the largest first."""
        single = change.case.processes < self.start.case.processes
        least = 1 if single else self.batches.processes
        return [size for size in _smaller(self.batches.size) if size >= least]

    def _with_batch(self, change: _Change, size: int) -> _Change:
        """Return a change with another batch size besides, and the same windows in a step."""
        if size == self.batches.size:
            return change
        frames, windows = self.largest(size, change.case.processes)
        accumulation = change.case.accumulation * (self.batches.size // size)
        case = replace(change.case, frames=frames, windows=windows, accumulation=accumulation)
        label = f"training.batch_size: {size}, and accumulation: {accumulation} for the same steps"
        return replace(change, changes=(label, *change.changes), case=case)

    def _remedy(self, change: _Change) -> Remedy:
        # the gradients of a second batch are added to those of the first, as are a third's
        case = replace(change.case, accumulation=min(change.case.accumulation, 2))
        key = change.settings.finetune, case
        if key not in self.known:
            self.known[key] = self.cost(change.settings, case)
        return Remedy(change.changes, self.known[key])

    def _combinations(self, finetuned: _Change) -> Iterator[_Change]:
        """Yield what can be combined with a kind of fine-tuning, the mildest first."""
        for precise in (finetuned, *_bf16(finetuned)):
            for shared in (precise, *self._one_process(precise)):
                yield shared
                yield from _checkpointing(shared)

    def _one_process(self, change: _Change) -> Iterator[_Change]:
        if change.case.processes > 1:
            frames, windows = self.largest(self.batches.size, 1)
            case = replace(change.case, frames=frames, windows=windows, processes=1)
            yield replace(change, changes=(*change.changes, "training.processes: 1"), case=case)


def _smaller(batch_size: int) -> list[int]:
    """Return batch sizes, each a divisor of the one before, down to 1."""
    sizes = [batch_size]
    while sizes[-1] > 1:
        divisor = next((n for n in range(2, 100) if sizes[-1] % n == 0), sizes[-1])
        sizes.append(sizes[-1] // divisor)
    return sizes


def estimated_batch(case: WorstCase, window: int, size: int, processes: int) -> tuple[int, int]:
    """Estimate the largest batch of a process, F frames and B windows, from a case's.

    With each window the same number of frames comes in, after the ``window`` frames of the first.
    """
    windows = -(-size // processes)
    more = (case.frames - window) * (windows - 1) / max(case.windows - 1, 1)
    return min(window * windows, math.ceil(window + more)), windows


def _checkpointing(change: _Change) -> Iterator[_Change]:
    if change.case.cut != "readout" and not change.case.checkpointing:
        label = "training.gradient_checkpointing: true"
        case = replace(change.case, checkpointing=True)
        yield replace(change, changes=(*change.changes, label), case=case)


def _bf16(change: _Change) -> Iterator[_Change]:
    if change.case.precision == "fp32":
        label, case = "training.precision: bf16", replace(change.case, precision="bf16")
        yield replace(change, changes=(*change.changes, label), case=case)


def _adapters(change: _Change) -> Iterator[_Change]:
    if change.settings.finetune == "full":
        settings = change.settings.model_copy(
            update={"finetune": "lora", "lora": Lora(), "full": None}
        )
        case = replace(change.case, cut=settings.cut)
        yield _Change((*change.changes, "finetune: lora"), settings, case)


def _head_alone(change: _Change) -> Iterator[_Change]:
    if change.settings.finetune != "none":
        settings = change.settings.model_copy(
            update={"finetune": "none", "lora": None, "full": None}
        )
        case = replace(change.case, cut=settings.cut)
        yield _Change((*change.changes, "finetune: none"), settings, case)


_FINETUNES = (_adapters, _head_alone)
