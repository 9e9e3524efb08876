"""Number formats: resolve `auto` for a machine, and compute in the result."""

from __future__ import annotations

import torch

from mobile_vla.config.features import Precision
from mobile_vla.errors import UserError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve(precision: Precision | str, device: torch.device) -> str:
    """Return ``fp32``, ``bf16`` or ``fp16``, of a setting or of a format that is resolved already.

    ``auto`` is bf16 where the hardware multiplies in it (Ampere and later; CPUs with AVX512-BF16
    or AMX), else fp32. fp16 overflows in this model unless losses are scaled, and is never chosen.
    ``fp16_on_gpu`` is fp16 on a GPU and fp32 without one.

    Raises:
        UserError: fp16 on a CPU.
    """
    if precision == "fp16" and device.type == "cpu":
        raise UserError(
            "config.yaml (training.precision): fp16 needs a GPU, and there is none; "
            "use bf16, fp32, auto or fp16_on_gpu"
        )
    if precision == "fp16_on_gpu":
        return "fp32" if device.type == "cpu" else "fp16"
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capable = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if capable else "fp32"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context in which a forward pass runs in a resolved precision."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "fp32")
