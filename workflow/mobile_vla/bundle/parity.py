"""Compare a bundle's answers with those of PyTorch in fp32, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mobile_vla.bundle import runtime
from mobile_vla.bundle.result import Parity
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.data.frames import open_frames
from mobile_vla.model.policy import Policy
from mobile_vla.model.streaming import Stream
from mobile_vla.progress import Progress
from mobile_vla.runs.data import RunData
from mobile_vla.statistics.proportions import paired_mean

NO_NUMBER = 1e9
"""Stands for a difference that is none, beyond every limit."""


@dataclass(frozen=True, eq=False)
class _Compared:
    """An episode's T frames."""

    difference: np.ndarray  # (T, C, A) of both answers, without sign, in command units
    error: np.ndarray  # (S, A) of PyTorch, at the S steps that exist
    bundle_error: np.ndarray  # (S, A)


def compare(
    policy: Policy, bundle: runtime.Bundle, data: RunData, uncertainty: Uncertainty, label: str
) -> Parity:
    """Compare at each frame of the validation episodes, and each prompt on one of them.

    Args:
        policy: the policy that was exported, with its adapters, in fp32.
        bundle: its bundle.
        data: the run's.
        uncertainty: of the interval of the change of the error.
        label: of the progress.
    """
    episodes = list(_episodes(policy, bundle, data, label))
    row = int(data.samples["val"].table.frames[0, -1])
    frame = np.array(open_frames(data.dataset)[np.array([row])])  # (1, 224, 224, 3)
    prompts = [
        _apart(
            Stream(policy, [prompt]).step(frame)[0] / bundle.units,
            runtime.BundleStream(bundle, prompt).step(frame[0]) / bundle.units,
        )
        for prompt in range(len(policy.texts))
    ]
    differences = np.concatenate([one.difference for one in episodes])
    changes = [(one.bundle_error - one.error).mean() for one in episodes]
    return Parity(
        episodes=len(episodes),
        frames=len(differences),
        max_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        prompts=len(prompts),
        max_prompt_difference=float(np.max(prompts)),
        mae=float(np.concatenate([one.error for one in episodes]).mean()),
        bundle_mae=float(np.concatenate([one.bundle_error for one in episodes]).mean()),
        mae_change=paired_mean(changes, uncertainty),
    )


def _episodes(
    policy: Policy, bundle: runtime.Bundle, data: RunData, label: str
) -> Iterator[_Compared]:
    dataset, samples, frames = data.dataset, data.samples["val"], open_frames(data.dataset)
    ahead = np.array(bundle.described["ahead"])  # (C,)
    chosen = data.roles.of["val"]
    progress = Progress(label, int(sum(dataset.lengths[episode] for episode in chosen)), "frames")
    for episode in chosen:
        first, length = int(dataset.offsets[episode]), int(dataset.lengths[episode])
        prompt = int(samples.prompt_of_row[first])
        streams = Stream(policy, [prompt]), runtime.BundleStream(bundle, prompt)
        answers = []
        for row in range(first, first + length):
            frame = np.array(frames[np.array([row])])
            answers.append((streams[0].step(frame)[0], streams[1].step(frame[0])))
        torch, here = np.swapaxes(np.array(answers), 0, 1) / bundle.units  # each (T, C, A)
        steps = np.arange(length)[:, None] + ahead  # (T, C)
        there = steps < length
        truth = samples.commands[first + steps[there]]  # (S, A)
        yield _Compared(
            _apart(here, torch), _apart(torch[there], truth), _apart(here[there], truth)
        )
        progress.update(length)
    progress.close()


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return differences without their sign."""
    return np.nan_to_num(np.abs(one - other), nan=NO_NUMBER, posinf=NO_NUMBER)
