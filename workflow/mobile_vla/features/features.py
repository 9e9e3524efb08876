"""The stage ``features``: run the frozen prefix over every frame of a dataset, once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
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
from mobile_vla.features.kept import Known, keep, open_kept
from mobile_vla.features.result import FeatureDescription
from mobile_vla.features.store import seen
from mobile_vla.files import atomic_path, digest_of
from mobile_vla.layout import FeatureFiles
from mobile_vla.machine import default_device, device_name, use_threads
from mobile_vla.model.encoder import (
    READOUT_TOKEN_SEED,
    Encoder,
    PromptTokens,
    initial_action_token,
)
from mobile_vla.model.precision import DTYPES, autocast, resolve
from mobile_vla.progress import Progress
from mobile_vla.provenance.code import code_of, versions
from mobile_vla.provenance.packages import ENCODING
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
    """Compute a dataset's features at a cut; the description is written last.

    Episodes whose rows the last run has computed from the same frames, prompt, backbone, settings
    and code are copied. Batches never hold frames of two episodes, so that a copied row has the
    bits of a computed one.
    """
    use_threads(settings.compute.threads, threads, "features.threads")
    dataset = Dataset.load(inputs.manifest, inputs.actions)
    checkpoint = Checkpoint.read(inputs.backbone, inputs.checkpoint)
    device = default_device()
    precision = resolve(settings.key.precision, device)
    prompts = _prompts(settings.key, dataset)
    origin = _origin(settings, checkpoint, precision, device)
    contents = [
        digest_of([episode.frames_sha256, prompts.texts[prompt]])
        for episode, prompt in zip(dataset.episodes, prompts.of_episode, strict=True)
    ]
    known = open_kept(outputs.kept, origin)
    new = [n for n, content in enumerate(contents) if known is None or content not in known.first]
    title = f"features of {settings.dataset} at {settings.key.cut}"
    log.info("%s: %d of %d episodes are computed", title, len(new), len(dataset))
    progress = Progress(title, int(dataset.lengths[new].sum()), "frames")
    extraction = Extraction(settings, dataset, checkpoint, prompts, precision, device, progress)

    outputs.description.unlink(missing_ok=True)  # while it is absent, nothing reads the features
    with atomic_path(outputs.features) as temporary:
        shape = _write(temporary, dataset.rows, _blocks(extraction, known, contents))
    progress.close()
    digest = FileDigest.of(outputs.features)
    dtype = extraction.dtype if known is None or new else known.dtype
    FeatureDescription(
        cut=settings.key.cut,
        key=settings.key,
        precision=precision,
        dtype=dtype,
        shape=shape,
        **digest.model_dump(),
        manifest=dataset.digest,
        backbone=checkpoint.digest,
    ).write(outputs.description)
    keep(outputs, origin, dict(zip(contents, dataset.offsets.tolist(), strict=True)), dtype, digest)


def _blocks(
    extraction: Extraction, known: Known | None, contents: list[str]
) -> Iterator[np.ndarray]:
    """Yield blocks of rows (n, …) in the dataset's order: what is known, and what is computed."""
    for episode, content in enumerate(contents):
        if known is None or content not in known.first:
            blocks = extraction.blocks(episode)
        else:
            blocks = iter([known.rows(content, int(extraction.dataset.lengths[episode]))])
        for block in blocks:
            yield block if block.ndim < 3 else padded(block, extraction.tokens_stored)


def padded(block: np.ndarray, count: int) -> np.ndarray:
    """Return rows (n, S, D) with ``count`` tokens: zeros behind them, or without padding."""
    block = block[:, :count]
    missing = count - block.shape[1]
    return np.pad(block, ((0, 0), (0, missing), (0, 0))) if missing else block


def _write(path: Path, rows: int, blocks: Iterator[np.ndarray]) -> tuple[int, ...]:
    """Write blocks of rows (n, …), which follow each other, as one array; return its shape."""
    first = next(blocks)  # a manifest without episodes is refused when it is made
    array = np.lib.format.open_memmap(path, "w+", first.dtype, (rows, *first.shape[1:]))
    start = 0
    for block in chain([first], blocks):
        array[start : start + len(block)] = block
        start += len(block)
    array.flush()
    return array.shape


class Extraction:
    """Computes the rows of episodes; the model is loaded for the first one."""

    def __init__(
        self,
        settings: ExtractSettings,
        dataset: Dataset,
        checkpoint: Checkpoint,
        prompts: PromptTable,
        precision: str,
        device: torch.device,
        progress: Progress,
    ):
        self.settings, self.dataset, self.prompts = settings, dataset, prompts
        self.checkpoint, self.precision, self.device = checkpoint, precision, device
        self.frames, self.progress = open_frames(dataset), progress
        self.dtype = ""
        """Number format of the rows, once some are computed."""

    @cached_property
    def tokens(self) -> PromptTokens:
        """The prompts as the language model reads them."""
        image_tokens = sizes_of(self.checkpoint.config()).image_tokens
        return PromptTokens.of(self.prompts.texts, self.checkpoint.processor(), image_tokens)

    @cached_property
    def tokens_stored(self) -> int:
        """Tokens of a row: an image's, or those of the longest prompt at ``hidden_states``."""
        if self.settings.key.cut == "image_embeds":
            return sizes_of(self.checkpoint.config()).image_tokens
        return int(self.tokens.action.max()) + 1

    @cached_property
    def encoder(self) -> Encoder:
        """The frozen encoder."""
        model = self.checkpoint.model(DTYPES[self.precision])
        processor = self.checkpoint.processor()
        token = initial_action_token(model, READOUT_TOKEN_SEED)
        layers = self.settings.key.layers
        encoder = Encoder(model, processor, self.tokens, token, learned=False, layers=layers)
        return encoder.eval().to(self.device)

    def blocks(self, episode: int) -> Iterator[np.ndarray]:
        """Yield an episode's rows (n, …), a batch at a time; bfloat16 as its 16 bits."""
        first, key = int(self.dataset.offsets[episode]), self.settings.key
        end, size = first + int(self.dataset.lengths[episode]), self.settings.compute.batch_size
        for start in range(first, end, size):
            rows = np.arange(start, min(start + size, end))
            batch = torch.from_numpy(seen(self.frames[rows], key.view)).to(self.device)
            with torch.inference_mode(), autocast(self.precision, self.device):
                computed = self.encoder.image_embeds(batch)  # (n, L, D)
                prompt = self.prompts.of_episode[episode]
                prompts = torch.full((len(rows),), prompt, device=self.device)
                if key.cut == "hidden_states":
                    computed = self.encoder.hidden_states(computed, prompts)  # (n, S, D)
                elif key.cut == "readout":
                    computed = self.encoder.language(computed, prompts)  # (n, D)
            self.dtype = str(computed.dtype).removeprefix("torch.")
            bits = computed.view(torch.uint16) if self.dtype == "bfloat16" else computed
            yield bits.cpu().numpy()
            self.progress.update(len(rows))


def _prompts(key: FeatureKey, dataset: Dataset) -> PromptTable:
    """Return the prompts of the episodes; an empty one where the features read none."""
    if key.prompt is None:
        return PromptTable(("",), (0,) * len(dataset))
    values = [prompt_values(episode) for episode in dataset.episodes]
    if key.view == "mirrored":
        values = [mirrored_values(value) for value in values]
    return PromptTable.of(key.prompt, values, [episode.name for episode in dataset.episodes])


def _origin(
    settings: ExtractSettings, checkpoint: Checkpoint, precision: str, device: torch.device
) -> str:
    """Return a digest of all that a row depends on, besides its frame and prompt."""
    given = settings.model_dump(mode="json", exclude={"dataset"})
    code = [code_of(__name__), versions(ENCODING)]
    return digest_of([given, checkpoint.digest, precision, device_name(device), code])
