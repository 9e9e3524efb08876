"""The stage ``features``: run the frozen prefix over every frame of a dataset, once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.kosmos2 import sizes_of
from mobile_vla.config.features import ExtractSettings, FeatureKey
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.frames import open_frames
from mobile_vla.data.mirror import mirrored_values
from mobile_vla.data.prompts import PromptTable, prompt_values
from mobile_vla.features.result import FeatureDescription
from mobile_vla.features.store import seen
from mobile_vla.files import atomic_path
from mobile_vla.layout import FeatureFiles
from mobile_vla.machine import default_device, use_threads
from mobile_vla.model.encoder import (
    READOUT_TOKEN_SEED,
    Encoder,
    PromptTokens,
    initial_action_token,
)
from mobile_vla.model.precision import DTYPES, autocast, resolve
from mobile_vla.progress import Progress
from mobile_vla.result import FileDigest

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FeatureInputs:
    """A dataset and a backbone."""

    manifest: Path
    """The dataset's ``manifest.json``; the frames lie in ``episodes/`` beside it."""
    actions: Path
    """The dataset's ``actions.npy``."""
    backbone: Path
    """The ``backbone.json``."""
    checkpoint: Path | None = None
    """The folder of a local checkpoint, as it lies now."""


def features(
    settings: ExtractSettings, inputs: FeatureInputs, outputs: FeatureFiles, *, threads: int
) -> None:
    """Compute a dataset's features at a cut; the description is written last."""
    use_threads(settings.compute.threads, threads, "features.threads")
    dataset = Dataset.load(inputs.manifest, inputs.actions)
    store = open_frames(dataset)
    checkpoint = Checkpoint.read(inputs.backbone, inputs.checkpoint)
    device = default_device()
    precision = resolve(settings.key.precision, device)
    encoder, prompts = _encoder(settings.key, dataset, checkpoint, precision)
    encoder.to(device)

    outputs.description.unlink(missing_ok=True)  # while it is absent, nothing reads the features
    size = settings.compute.batch_size
    progress = Progress(f"features at {settings.key.cut}", len(store), "frames")
    with (
        atomic_path(outputs.features) as temporary,
        torch.inference_mode(),
        autocast(precision, device),
    ):
        array = None
        for start in range(0, len(store), size):
            rows = np.arange(start, min(start + size, len(store)))
            frames = seen(store[rows], settings.key.view)
            batch = torch.from_numpy(frames).to(device)  # (n, 224, 224, 3)
            computed = encoder.image_embeds(batch)  # (n, L, D)
            if settings.key.cut == "readout":
                computed = encoder.language(computed, prompts[rows].to(device))  # (n, D)
            dtype = str(computed.dtype).removeprefix("torch.")
            if array is None:
                array = np.lib.format.open_memmap(
                    temporary,
                    mode="w+",
                    dtype=np.uint16 if dtype == "bfloat16" else dtype,
                    shape=(len(store), *computed.shape[1:]),
                )
            bits = computed.view(torch.uint16) if dtype == "bfloat16" else computed
            array[rows] = bits.cpu().numpy()
            progress.update(len(rows))
        assert array is not None  # a manifest without episodes is refused when it is made
        array.flush()
        shape = array.shape
    progress.close()
    FeatureDescription(
        cut=settings.key.cut,
        key=settings.key,
        precision=precision,
        dtype=dtype,
        shape=shape,
        **FileDigest.of(outputs.features).model_dump(),
        manifest=dataset.digest,
        backbone=checkpoint.digest,
    ).write(outputs.description)


def _encoder(
    key: FeatureKey, dataset: Dataset, checkpoint: Checkpoint, precision: str
) -> tuple[Encoder, torch.Tensor]:
    """Return the frozen encoder, and the prompt of each row; at ``image_embeds`` an empty one."""
    model = checkpoint.model(DTYPES[precision])
    processor = checkpoint.processor()
    texts: tuple[str, ...] = ("",)
    of_row = torch.zeros(dataset.rows, dtype=torch.long)
    if key.prompt is not None:
        values = [prompt_values(episode) for episode in dataset.episodes]
        if key.view == "mirrored":
            values = [mirrored_values(value) for value in values]
        table = PromptTable.of(key.prompt, values, [episode.name for episode in dataset.episodes])
        texts = table.texts
        of_row = torch.from_numpy(np.repeat(table.of_episode, dataset.lengths))
    tokens = PromptTokens.of(texts, processor, sizes_of(model.config).image_tokens)
    token = initial_action_token(model, READOUT_TOKEN_SEED)
    return Encoder(model, processor, tokens, token, learned=False).eval(), of_row
