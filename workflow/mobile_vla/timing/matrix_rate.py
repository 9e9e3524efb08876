"""The rate at which this machine multiplies matrices: the limit of what a step can reach."""

from __future__ import annotations

import time

import torch

from mobile_vla.model.precision import DTYPES

SQUARES = {"cpu": (1024,), "cuda": (4096, 8192)}
SECONDS = 0.2  # of measuring each product; its best repetition counts
REPETITIONS = 3  # at least


def matrix_rate(
    precision: str, device: torch.device, shapes: tuple[tuple[int, int, int], ...] = ()
) -> float:
    """Measure the fastest of some plain matrix products, warm, in operations a second.

    The threads are those that PyTorch is set to. Nothing is cast on the way: both factors are in
    the number format, as the step's frozen matrices and its activations are.

    Args:
        precision: resolved number format.
        device: where to compute.
        shapes: (m, k, n) of products (m, k) · (k, n) to try besides large square ones, such as
            those of the step.
    """
    squares = tuple((side, side, side) for side in SQUARES[device.type])
    return max(_rate(shape, DTYPES[precision], device) for shape in (*squares, *shapes))


def _rate(shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> float:
    m, k, n = shape
    left = torch.randn(m, k, device=device).to(dtype)
    right = torch.randn(n, k, device=device).to(dtype).t()  # as a linear layer keeps its weight
    out = left @ right
    best, taken, repetition = float("inf"), 0.0, 0
    while taken < SECONDS or repetition < REPETITIONS:
        synchronise(device)
        started = time.perf_counter()
        torch.mm(left, right, out=out)
        synchronise(device)
        seconds = time.perf_counter() - started
        best, taken, repetition = min(best, seconds), taken + seconds, repetition + 1
    return 2 * m * k * n / best


def synchronise(device: torch.device) -> None:
    """Wait for a GPU's queue, or work would seem to take no time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
