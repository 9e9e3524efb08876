"""Estimate the peak memory of a training step before anything large is loaded.

It takes a second or two for a backbone of full size. Workspaces of single kernels are left out."""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mobile_vla.backbone.kosmos2 import (
    checkpoint_activations,
    encode_images,
    kept_in_float32,
    modules_before,
    remove,
    run_embedded,
    run_top_layers,
    sizes_of,
)
from mobile_vla.config.model import PolicySettings
from mobile_vla.config.training import TrainSettings
from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.errors import UserError
from mobile_vla.machine import default_device
from mobile_vla.model.adapter import leave_frozen_in_evaluation
from mobile_vla.model.encoder import base_model
from mobile_vla.model.heads.head import ActionHead
from mobile_vla.model.policy import skeleton
from mobile_vla.model.precision import DTYPES, autocast
from mobile_vla.runs.data import RunData
from mobile_vla.training.remedies import Batches, Remedies, estimated_batch
from mobile_vla.training.result import MemoryEstimate
from mobile_vla.training.worst_case import WorstCase, largest_batch, worst_case

# Python with PyTorch, transformers and PEFT imported, on a CPU. The count of a GPU has none of it.
PROCESS = {"cpu": 550_000_000, "cuda": 0}
# Freed blocks that the C library keeps among those in use, as a share of what a step allocates.
# With it estimates are within 16 % on the configurations of tests/benchmarks/memory.py. The count
# of a GPU has none of it.
KEPT = {"cpu": 0.6, "cuda": 0.0}
GB = 1e9
CPU = torch.device("cpu")  # where tensors without content lie, whatever device they stand for


def estimate(config: Any, settings: PolicySettings, case: WorstCase, device: str) -> MemoryEstimate:
    """Return the peak memory of training steps, of the second one on: the first has no moments.

    The step is run on tensors without content (PyTorch's fake tensors), so that what is alive at
    each moment is summed up as it would be, temporaries and gradients included.
    """
    with FakeTensorMode(allow_non_fake_inputs=True):
        layers = skeleton(config, settings)
        model, head = base_model(layers["backbone"]), cast(ActionHead, layers["head"])
        if not case.robots:
            remove(model, modules_before(config, case.cut, settings.adapted_layers))
        _materialise(layers, case.precision)
        layers.train()
        leave_frozen_in_evaluation(model, settings)
        if case.checkpointing:
            checkpoint_activations(model)
        token = nn.Parameter(torch.empty(sizes_of(config).width))
        parameters = [*layers.parameters(), token]
        dimensions = len(settings.actions.dimensions)
        frames = (settings.window,) if case.every_frame else ()
        targets = torch.zeros(case.windows, *frames, settings.chunk, dimensions)
        learned = torch.ones(dimensions, dtype=torch.bool)
        live = _Live(parameters)
        weights = live.now
        with live:
            for _ in range(min(case.accumulation, 2)):
                features = _features(config, case)
                with autocast(case.precision, CPU):
                    readouts = _readouts(model, token, features, case, settings.adapted_layers)
                    windows = torch.zeros(case.windows, settings.window, dtype=torch.long)
                    found = head.supervised(readouts[windows], targets, learned)
                minimised = found.outputs if found.loss is None else found.loss
                minimised.float().square().sum().backward()
                del features, readouts, windows, found, minimised
            if case.robots:
                driven = replace(case, frames=case.robots, cut="pixels")
                layers.eval()
                with torch.no_grad(), autocast(case.precision, CPU):
                    _readouts(model, token, _features(config, driven), driven, None)
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
    tokens = case.tokens if case.cut == "hidden_states" else sizes.image_tokens
    shape = (case.frames, tokens, sizes.width)
    return torch.empty(shape, dtype=DTYPES[case.precision])


def _readouts(
    model: nn.Module, token: Tensor, features: Tensor, case: WorstCase, layers: int | None
) -> Tensor:
    """Run the part of the forward pass that lies behind the cut, as ``Encoder.readouts``.

    That looks up tokens by their value, which fake tensors do not have.
    """
    if case.cut == "readout":
        return features
    if case.cut == "hidden_states":
        assert layers is not None
        last = torch.full((case.frames,), case.tokens - 1)
        return run_top_layers(model, features.float(), last, layers)
    if case.cut == "pixels":
        pixels = features.permute(0, 3, 1, 2).float() / 255
        features = encode_images(model, pixels)  # (F, L, D)
    rest = token.expand(case.frames, case.tokens - features.shape[1], -1)
    embedded = torch.cat([features.float(), rest], dim=1)  # (F, S, D)
    return run_embedded(model, embedded)


def check_memory(
    config: Any,
    settings: PolicySettings,
    case: WorstCase,
    device: str,
    limit_gb: float | None,
    batches: Batches | None = None,
) -> MemoryEstimate:
    """Estimate the peak of one process, and refuse what would not fit.

    Args:
        batches: how large a batch would be with other settings; by default it is estimated.

    Raises:
        UserError: the estimate is above the limit; says what each remedy would come to, and which
            combination of them fits.
    """
    expected = estimate(config, settings, case, device)
    each = case.processes / GB
    if limit_gb is None or expected.total * each <= limit_gb:
        return expected

    def cost(policy: PolicySettings, case: WorstCase) -> float:
        return estimate(config, policy, case, device).total * case.processes / GB

    if batches is None:
        size = case.windows * case.processes
        batches = Batches(size, case.processes, partial(estimated_batch, case, settings.window))
    remedies = Remedies(settings, case, batches, cost)
    fitting = remedies.that_fits(limit_gb)
    if fitting is not None:
        advice = f"This fits:\n    {fitting}\n"
    else:
        advice = (
            "No change of the training alone fits; the least is\n"
            f"    {remedies.least()}\nRaise memory_limit_gb, if the machine has as much, or "
            "choose a smaller backbone, head or window.\n"
        )
    options = [f"    {remedy}" for remedy in remedies.alone()]
    together = f" in {case.processes} processes" if case.processes > 1 else ""
    raise UserError(
        f"config.yaml (memory_limit_gb): a training step{together} would take about "
        f"{expected.total * each:.1f} GB at its peak, and {limit_gb:g} GB are allowed: weights "
        f"{expected.weights * each:.1f}, optimiser {expected.moments * each:.1f}, activations and "
        f"gradients {(expected.step + expected.allocator) * each:.1f} GB, "
        f"with {case.frames} distinct frames of {case.windows} windows in a batch. {advice}"
        "What each change by itself comes to:\n" + "\n".join(options)
    )


def check_run(
    settings: TrainSettings, data: RunData, steps: int | None, limit_gb: float | None
) -> MemoryEstimate:
    """Call :func:`check_memory` for a run's largest batch, on this machine's device."""
    case, device = worst_case(settings, data, steps), default_device().type
    training = settings.training

    def largest(size: int, processes: int) -> tuple[int, int]:
        times = training.batch_size // size
        update = {"batch_size": size, "accumulation": training.accumulation * times}
        if processes < case.processes:
            update["processes"] = processes
        changed = training.model_copy(update=update)
        return largest_batch(settings.model_copy(update={"training": changed}), data, steps)

    batches = Batches(training.batch_size, training.processes, largest)
    return check_memory(data.backbone.config(), settings.policy, case, device, limit_gb, batches)
