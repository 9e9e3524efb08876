"""The same windows under other prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from mobile_vla.config.language import Language
from mobile_vla.config.prompt import Prompt
from mobile_vla.data.mirror import mirrored_values
from mobile_vla.data.prompts import prompt_values, render
from mobile_vla.data.result import Episode
from mobile_vla.machine import default_device
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import autocast
from mobile_vla.runs.samples import Samples

RIGHT = "right"
OPPOSITE = "opposite"


def prompts_of(
    episodes: Sequence[Episode], prompt: Prompt, language: Language
) -> dict[str, list[str]]:
    """Return the prompts that each episode is asked with, by kind.

    Args:
        episodes: the E episodes.
        prompt: how they were asked in training.
        language: the other prompts.

    Returns:
        E texts each: ``right``, as in training; ``opposite``, with left and right exchanged;
        ``constant``; and ``paraphrase``, if there is one.
    """
    values = [prompt_values(episode) for episode in episodes]
    found = {
        RIGHT: [render(prompt, one) for one in values],
        OPPOSITE: [render(prompt, mirrored_values(one)) for one in values],
        "constant": [language.constant] * len(values),
    }
    if language.paraphrase is not None:
        other = prompt.model_copy(update={"template": language.paraphrase})
        found["paraphrase"] = [render(other, one) for one in values]
    return found


def ask(
    policy: Policy,
    samples: Samples,
    prompt_of_row: Mapping[str, np.ndarray],
    precision: str,
    batch_size: int,
) -> dict[str, np.ndarray]:
    """Predict all windows under each kind of prompt; every frame's image is encoded once a batch.

    Args:
        policy: the policy, with the prompts' texts in its table.
        samples: the windows. Their rows are frames, or features at the cut ``image_embeds``: those
            at ``readout`` have read their prompt already.
        prompt_of_row: by kind, (rows,) the index of each row's prompt.
        precision: resolved number format.
        batch_size: windows at a time.

    Returns:
        By kind, (N, C, A) float32 in raw command units.
    """
    device = default_device()
    policy.to(device)
    chunks: dict[str, list[np.ndarray]] = {kind: [] for kind in prompt_of_row}
    with torch.inference_mode(), autocast(precision, device):
        for start in range(0, len(samples), batch_size):
            frames = samples.table.frames[start : start + batch_size]  # (B, W)
            distinct, places = np.unique(frames, return_inverse=True)  # (F,)
            windows = torch.from_numpy(places.reshape(frames.shape)).to(device)
            images = samples.rows[distinct].to(device)
            if images.dtype == torch.uint8:
                images = policy.encoder.image_embeds(images)  # (F, L, D)
            for kind, prompts in prompt_of_row.items():
                asked = torch.from_numpy(prompts[distinct]).to(device)
                normalised = policy(images, asked, windows, "image_embeds").float()
                chunks[kind].append(policy.denormalise(normalised).cpu().numpy())
    return {kind: np.concatenate(own) for kind, own in chunks.items()}
