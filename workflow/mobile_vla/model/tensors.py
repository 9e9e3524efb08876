"""Tensors on disk: safetensors, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mobile_vla.errors import UserError
from mobile_vla.files import DISK_FULL, atomic_path


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to a safetensors file.

    Raises:
        UserError: the disk is full; a file that was there before is still there.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with atomic_path(path) as temporary:
            save_file(contiguous, temporary, metadata={"format": "pt"})
    except (OSError, SafetensorError) as error:
        # safetensors wraps the system's error and keeps its number in the text alone
        wrapped = any(f"os error {number}" in str(error) for number in DISK_FULL)
        if not wrapped and getattr(error, "errno", None) not in DISK_FULL:
            raise
        needed = sum(tensor.numel() * tensor.element_size() for tensor in contiguous.values())
        free = shutil.disk_usage(path.parent).free
        raise UserError(
            f"{path}: the disk is full: {needed / 1e6:.3g} MB are needed, {free / 1e6:.3g} MB are "
            "free. What was saved before is whole: make room and run snakemake again, it goes on "
            "from there"
        ) from None
