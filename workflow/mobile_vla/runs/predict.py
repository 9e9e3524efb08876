"""Predict windows: the one loop that runs a policy without training it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mobile_vla.config.features import Cut
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import autocast
from mobile_vla.progress import Progress
from mobile_vla.runs.samples import Batch, Samples

Forward = Callable[[np.ndarray, Batch], Tensor]
"""Makes the normalised outputs of a batch of windows, given their indices too."""


def predict(
    policy: Policy,
    samples: Samples,
    batch_size: int,
    precision: str,
    label: str,
    cut: Cut | None = None,
) -> np.ndarray:
    """Predict the chunk of every window, (N, C, A) float32 in command units.

    Only a batch of features is in memory at a time. ``cut`` is where the samples' features were
    taken, by default the policy's cut.
    """

    def forward(_: np.ndarray, batch: Batch) -> Any:
        return policy(batch.features, batch.prompts, batch.windows, cut)

    progress = Progress(label, len(samples), "windows")
    chunks = []
    batches = samples.in_order(batch_size)
    for indices, _, outputs in predict_batches(policy, batches, precision, forward):
        chunks.append(policy.denormalise(outputs).cpu().numpy())
        progress.update(len(indices))
    progress.close()
    return np.concatenate(chunks)


def predict_under_prompts(
    policy: Policy,
    samples: Samples,
    prompt_of_row: Mapping[str, np.ndarray],
    batch_size: int,
    precision: str,
) -> dict[str, np.ndarray]:
    """Predict every window under several prompts; each image is encoded once a batch.

    Args:
        policy: with the prompts' texts in its table.
        samples: their rows are frames, or features at the cut ``image_embeds``: those at later
            cuts have read their prompt already.
        prompt_of_row: by kind of prompt, (rows,) the index of each row's prompt.

    Returns:
        By kind of prompt, (N, C, A) float32 in command units.
    """

    def forward(indices: np.ndarray, batch: Batch) -> Tensor:
        images = batch.features
        if images.dtype == torch.uint8:
            images = policy.encoder.image_embeds(images)  # (F, L, D)
        rows, _ = samples.distinct_frames(indices)
        outputs = []
        for prompts in prompt_of_row.values():
            of_frame = torch.from_numpy(prompts[rows]).to(policy.device)  # (F,)
            outputs.append(policy(images, of_frame, batch.windows, "image_embeds"))
        return torch.stack(outputs)  # (K, B, C, A)

    batches = samples.in_order(batch_size)
    chunks = [
        policy.denormalise(outputs).cpu().numpy()
        for _, _, outputs in predict_batches(policy, batches, precision, forward)
    ]
    return dict(zip(prompt_of_row, np.concatenate(chunks, axis=1), strict=True))


def predict_batches(
    policy: Policy,
    batches: Iterable[tuple[np.ndarray, Batch]],
    precision: str,
    forward: Forward,
) -> Iterator[tuple[np.ndarray, Batch, Tensor]]:
    """Run a policy on batches, as :meth:`Samples.in_order` yields them, without gradients.

    Yields:
        Indices, the batch and its outputs in float32, the latter two on the policy's device.
    """
    for indices, batch in batches:
        batch = batch.to(policy.device)
        # Left before each yield: in a generator the consumer's code would run in these modes, too.
        with inference(precision, policy.device):
            outputs = forward(indices, batch).float()
        yield indices, batch, outputs


@contextmanager
def inference(precision: str, device: torch.device) -> Iterator[None]:
    """Compute without gradients in a resolved number format."""
    with torch.inference_mode(), autocast(precision, device):
        yield
