"""Lack of memory: recognise it among a library's errors, and say what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

# Parts of messages, because the libraries have no common type for it. A size that cannot even be
# counted is a lack of memory too.
_MESSAGES = (
    "DefaultCPUAllocator",
    "allocate memory",
    "out of memory",
    "ALLOC_FAILED",  # cuBLAS and cuDNN
    "Storage size calculation overflowed",
    "Overflow when unpacking long",
    "array is too big",
    "Maximum allowed dimension exceeded",
)
# Settings that decide how much is held at a time, by their last name.
_SIZES = (
    "action_dim",
    "batch_size",
    "chunk",
    "ffn",
    "hidden_size",
    "image_tokens",
    "layers",
    "mlp",
    "r",
    "vocabulary",
    "window",
)
_SHOWN = 6


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, of this machine or of its GPU.

    This module imports no torch, so ``torch.OutOfMemoryError`` is recognised by its message.
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    kinds = RuntimeError, TypeError, ValueError
    return isinstance(error, kinds) and any(part in str(error) for part in _MESSAGES)


def remedy(error: BaseException, settings: dict[str, Any]) -> str:
    """Return what ran out, and what to do: with the sizes in a command's settings, largest first.

    Args:
        settings: of the command, as plain values; empty for a tool.
    """
    asked = f" ({lines[-1].strip()})" if (lines := str(error).splitlines()) else ""
    # In rising order, so that of a list's members the largest stays.
    largest = dict(sorted(_sizes(settings), key=lambda size: size[1]))
    sizes = sorted(largest.items(), key=lambda size: (-size[1], size[0]))
    if not sizes:
        return (
            f"out of memory{asked}; end other programs, or use a machine with more memory or a "
            "smaller policy"
        )
    listed = ", ".join(f"{name}: {value}" for name, value in sizes[:_SHOWN])
    return (
        f"out of memory{asked}. How much it takes depends on these settings, the largest first: "
        f"{listed}. Lower what is larger than you meant, first of all the batch size; or choose a "
        "smaller backbone, end other programs, or use a machine with more memory"
    )


def _sizes(value: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Yield the place and the value of each setting that is a size."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _sizes(member, (*names, name))
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _sizes(member, names)
    elif isinstance(value, int) and names and names[-1] in _SIZES:
        # These levels are the command's, and not config.yaml's.
        shown = [name for name in names if name not in ("run", "policy", "windows")]
        yield ".".join(shown), value
