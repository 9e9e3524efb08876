"""Controls: the windows under the prompts of other episodes, and predictions without images."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mobile_vla.config.features import Cut
from mobile_vla.data.frames import open_frames
from mobile_vla.features.store import FrameRows
from mobile_vla.model.policy import Policy
from mobile_vla.runs.predict import inference
from mobile_vla.runs.samples import Samples

SEEN = 1000
"""Training frames that the image's stand-in is the mean of, at most; evenly spaced."""


def shuffled_prompts(samples: Samples, seed: int) -> Samples | None:
    """Return the same windows, each episode under the prompt of another that has another one.

    Where the cut lies behind the prompt, the frames are read in place of features.

    Args:
        samples: the scored windows.
        seed: which other episode it is.

    Returns:
        The windows, or None where all episodes have the same prompt.
    """
    owners, first = np.unique(samples.table.episode, return_index=True)
    prompts = samples.prompt_of_row[torch.from_numpy(samples.table.frames[first, 0])].numpy()
    if len(np.unique(prompts)) < 2:
        return None
    rng = np.random.default_rng(seed)
    shuffled = samples.prompt_of_row.clone()
    dataset = samples.dataset
    for owner, prompt in zip(owners.tolist(), prompts.tolist(), strict=True):
        start = int(dataset.offsets[owner])
        shuffled[start : start + int(dataset.lengths[owner])] = int(
            rng.choice(prompts[prompts != prompt])
        )
    other = copy.copy(samples)
    other.prompt_of_row = shuffled
    return other


def from_frames(samples: Samples) -> Samples:
    """Return the same windows, with the frames themselves in place of stored features."""
    other = copy.copy(samples)
    other.rows = FrameRows(open_frames(samples.dataset), "plain")
    return other


def without_images(
    policy: Policy, samples: Samples, learnt: Samples, train_rows: np.ndarray, precision: str
) -> np.ndarray:
    """Predict every window with the mean training image in place of each of its own.

    At the cut ``readout`` the features hold the prompt too, so there is a mean for each prompt.
    All windows of a prompt then look alike, and are predicted once.

    Args:
        policy: the policy.
        samples: the scored windows.
        learnt: the training windows, whose features the mean is of.
        train_rows: (R,) rows of the training frames.
        precision: resolved number format of the forward pass.

    Returns:
        (N, C, A) float32 in raw command units.
    """
    prompt_of_window = samples.prompt_of_row[torch.from_numpy(samples.table.frames[:, -1])]
    prompts, place = torch.unique(prompt_of_window, return_inverse=True)
    blank = torch.stack(_means(learnt, train_rows, prompts.tolist(), policy.settings.cut))
    windows = torch.arange(len(prompts))[:, None].expand(-1, samples.table.frames.shape[1])
    with inference(precision, policy.device):
        inputs = (tensor.to(policy.device) for tensor in (blank, prompts, windows))
        normalised = policy(*inputs).float()
        predicted: np.ndarray = policy.denormalise(normalised).cpu().numpy()  # (P, C, A)
    return predicted[place.numpy()]


def _means(learnt: Samples, rows: np.ndarray, prompts: Sequence[int], cut: Cut) -> list[Tensor]:
    """Return the mean feature for each prompt, in the features' own number format."""
    if cut != "readout":
        return [_mean(learnt, rows)] * len(prompts)
    own = learnt.prompt_of_row[torch.from_numpy(rows)].numpy()
    return [
        _mean(learnt, rows[own == prompt] if (own == prompt).any() else rows) for prompt in prompts
    ]


def _mean(learnt: Samples, rows: np.ndarray) -> Tensor:
    rows = rows[np.linspace(0, len(rows) - 1, min(SEEN, len(rows))).round().astype(np.int64)]
    total: Tensor | None = None
    for start in range(0, len(rows), 64):
        features = learnt.rows[rows[start : start + 64]]
        summed = features.double().sum(dim=0)
        total = summed if total is None else total + summed
    assert total is not None
    mean = total / len(rows)
    return (mean.round() if features.dtype == torch.uint8 else mean).to(features.dtype)
