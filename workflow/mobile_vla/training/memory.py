"""Estimate the peak memory of a training step before anything large is loaded.

It takes a second or two for a backbone of full size. Workspaces of single kernels are left out."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mobile_vla.backbone.kosmos2 import (
    checkpoint_activations,
    encode_images,
    kept_in_float32,
    remove_before,
    run_embedded,
    sizes_of,
)
from mobile_vla.config.features import Cut
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.config.training import TrainSettings
from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.data.windows import WindowTable
from mobile_vla.errors import UserError
from mobile_vla.machine import default_device
from mobile_vla.model.adapter import leave_frozen_in_evaluation
from mobile_vla.model.encoder import PromptTokens, base_model
from mobile_vla.model.policy import skeleton
from mobile_vla.model.precision import DTYPES
from mobile_vla.ranks import local_processes
from mobile_vla.runs.data import RunData
from mobile_vla.training.batches import epoch_steps, steps_per_epoch
from mobile_vla.training.result import MemoryEstimate

# Python with PyTorch, transformers and PEFT imported, on a CPU. The count of a GPU has none of it.
PROCESS = {"cpu": 550_000_000, "cuda": 0}
# Freed blocks that the C library keeps among those in use, as a share of what a step allocates:
# 0.3 to 0.6 on the configurations of tests/benchmarks/memory.py. The count of a GPU has none of it.
KEPT = {"cpu": 0.6, "cuda": 0.0}
GB = 1e9


@dataclass(frozen=True)
class WorstCase:
    """The largest batch of a run's steps, and what else decides how much a step holds."""

    frames: int  # F, most distinct frames of a batch
    windows: int  # B, windows of a batch
    tokens: int  # S, length of the longest prompt with image and action token
    accumulation: int  # batches to a step
    precision: str  # resolved number format
    checkpointing: bool  # whether only the layers' inputs are kept for the backward pass
    cut: Cut  # where the features are taken that the step reads
    processes: int = 1  # that share the memory, each with such a batch


def estimate(config: Any, settings: PolicySettings, case: WorstCase, device: str) -> MemoryEstimate:
    """Return the peak memory of training steps, of the second one on: the first has no moments.

    The step is run on tensors without content (PyTorch's fake tensors), so that what is alive at
    each moment is summed up as it would be, temporaries and gradients included.
    """
    with FakeTensorMode(allow_non_fake_inputs=True):
        layers = skeleton(config, settings)
        model = base_model(layers["backbone"])
        remove_before(model, case.cut)
        _materialise(layers, case.precision)
        layers.train()
        leave_frozen_in_evaluation(model, settings)
        if case.checkpointing:
            checkpoint_activations(model)
        token = nn.Parameter(torch.empty(sizes_of(config).width))
        parameters = [*layers.parameters(), token]
        live = _Live(parameters)
        weights = live.now
        with live:
            for _ in range(min(case.accumulation, 2)):
                features = _features(config, case)
                with torch.autocast(
                    "cpu", dtype=DTYPES[case.precision], enabled=case.precision != "fp32"
                ):
                    readouts = _readouts(model, token, features, case)
                    windows = torch.zeros(case.windows, settings.window, dtype=torch.long)
                    predicted = layers["head"](readouts[windows])
                predicted.float().square().sum().backward()
                del features, readouts, windows, predicted
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    step = live.peak - weights
    parts = {
        "process": PROCESS[device],
        "weights": weights,
        "moments": 8 * trained,
        "step": step,
        "allocator": round(KEPT[device] * step),
    }
    return MemoryEstimate(**parts, total=sum(parts.values()))


class _Live(TorchDispatchMode):
    """Sums up the bytes of the tensors that are alive, views once with what they look at."""

    def __init__(self, known: list[Any]):
        super().__init__()
        self.now = self.peak = 0
        self.seen: weakref.WeakSet[Any] = weakref.WeakSet()
        for tensor in known:
            self._note(tensor)

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self.seen:
            return
        self.seen.add(storage)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, count: int) -> None:
        self.now -= count

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        return out


def _materialise(layers: nn.Module, precision: str) -> None:
    """Give a skeleton's tensors the format that they will be held in, and fake content."""
    for prefix, module in layers.named_modules():
        for name, old in list(module._parameters.items()):
            if old is None:
                continue
            whole = old.requires_grad or kept_in_float32(f"{prefix}.{name}")
            dtype = torch.float32 if whole else DTYPES[precision]
            new = nn.Parameter(torch.empty(old.shape, dtype=dtype), requires_grad=old.requires_grad)
            module._parameters[name] = new
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)


def _features(config: Any, case: WorstCase) -> Tensor:
    """Return a batch's features, without content, in the format that they are stored in."""
    sizes = sizes_of(config)
    if case.cut == "pixels":
        return torch.empty(case.frames, FRAME_SIZE, FRAME_SIZE, 3, dtype=torch.uint8)
    if case.cut == "readout":
        return torch.empty(case.frames, sizes.width)
    shape = (case.frames, sizes.image_tokens, sizes.width)
    return torch.empty(shape, dtype=DTYPES[case.precision])


def _readouts(model: nn.Module, token: Tensor, features: Tensor, case: WorstCase) -> Tensor:
    """Run the part of the forward pass that lies behind the cut, as ``Encoder.readouts``.

    That looks up tokens by their value, which fake tensors do not have.
    """
    if case.cut == "readout":
        return features
    if case.cut == "pixels":
        pixels = features.permute(0, 3, 1, 2).float() / 255
        features = encode_images(model, pixels)  # (F, L, D)
    rest = token.expand(case.frames, case.tokens - features.shape[1], -1)
    embedded = torch.cat([features.float(), rest], dim=1)  # (F, S, D)
    return run_embedded(model, embedded)[:, -1]


def check_memory(
    config: Any, settings: PolicySettings, case: WorstCase, device: str, limit_gb: float | None
) -> MemoryEstimate:
    """Estimate the peak of one process, and refuse what would not fit.

    Raises:
        UserError: the estimate is above the limit; says what each remedy would come to.
    """
    expected = estimate(config, settings, case, device)
    each = case.processes / GB
    if limit_gb is None or expected.total * each <= limit_gb:
        return expected
    options = [
        f"    {what}: about {estimate(config, policy, changed, device).total * each:.1f} GB"
        for what, policy, changed in _remedies(settings, case)
    ]
    together = f" in {case.processes} processes" if case.processes > 1 else ""
    raise UserError(
        f"config.yaml (memory_limit_gb): a training step{together} would take about "
        f"{expected.total * each:.1f} GB at its peak, and {limit_gb:g} GB are allowed: weights "
        f"{expected.weights * each:.1f}, optimiser {expected.moments * each:.1f}, activations and "
        f"gradients {(expected.step + expected.allocator) * each:.1f} GB, "
        f"with {case.frames} distinct frames of {case.windows} windows in a batch. What would "
        "help, each by itself:\n" + "\n".join(options)
    )


def check_run(
    settings: TrainSettings, data: RunData, steps: int | None, limit_gb: float | None
) -> MemoryEstimate:
    """Call :func:`check_memory` for a run's largest batch, on this machine's device."""
    case, device = worst_case(settings, data, steps), default_device().type
    return check_memory(data.backbone.config(), settings.policy, case, device, limit_gb)


def _remedies(
    settings: PolicySettings, case: WorstCase
) -> Iterator[tuple[str, PolicySettings, WorstCase]]:
    if case.windows > 1:
        half = replace(case, windows=case.windows // 2, frames=-(-case.frames // 2))
        half = replace(half, accumulation=2 * case.accumulation)
        both = f"batch_size: {half.windows}, and accumulation: {half.accumulation}"
        yield f"training.{both} for the same steps", settings, half
    if case.cut != "readout" and not case.checkpointing:
        changed = replace(case, checkpointing=True)
        yield "training.gradient_checkpointing: true", settings, changed
    if case.precision == "fp32":
        yield "training.precision: bf16", settings, replace(case, precision="bf16")
    if settings.finetune == "full":
        adapted = settings.model_copy(update={"finetune": "lora", "lora": Lora(), "full": None})
        yield "finetune: lora", adapted, replace(case, cut=adapted.cut)


def worst_case(settings: TrainSettings, data: RunData, steps: int | None = None) -> WorstCase:
    """Return the largest batch that one of the run's processes has to hold."""
    training, samples = settings.training, data.samples["train"]
    table, windows = samples.table, min(training.batch_size, len(samples))
    windows = -(-windows // training.processes)
    frames = windows * table.frames.shape[1]
    if samples.photometric is None:  # with it, no two windows share a picture
        frames = max(
            len(np.unique(table.frames[share]))
            for batch in _batches(settings, table, steps)
            for share in np.array_split(batch, training.processes)
        )
    return WorstCase(
        frames=frames,
        windows=windows,
        tokens=longest_prompt(data),
        accumulation=training.accumulation,
        precision=data.precision,
        checkpointing=training.gradient_checkpointing,
        cut=settings.policy.cut,
        processes=local_processes() if default_device().type == "cpu" else 1,
    )


def _batches(
    settings: TrainSettings, table: WindowTable, steps: int | None
) -> Iterator[np.ndarray]:
    """Yield the window indices of each batch of the run."""
    training = settings.training
    per_epoch = steps_per_epoch(len(table), training.batch_size, training.accumulation)
    total = per_epoch * training.epochs if steps is None else steps
    whole, rest = divmod(total, per_epoch)
    for epoch in range(math.ceil(total / per_epoch)):
        done = epoch_steps(table, training, settings.seed, epoch)
        yield from chain.from_iterable(done if epoch < whole else done[:rest])


def longest_prompt(data: RunData) -> int:
    """Return the number of tokens of the longest prompt, with image and action token."""
    image_tokens = sizes_of(data.backbone.config()).image_tokens
    prompts = PromptTokens.of(data.prompts.texts, data.backbone.processor(), image_tokens)
    return int(prompts.action.max()) + 1
