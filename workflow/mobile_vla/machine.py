"""The machine that a job computes on: threads now, and the device."""

from __future__ import annotations

import torch

from mobile_vla.errors import UserError


def use_threads(wanted: int, given: int, setting: str) -> None:
    """Compute with an experiment's number of threads, or refuse.

    Results depend on that number in their last bits, so fewer threads would give other results.

    Args:
        wanted: threads that config.yaml asks for.
        given: cores that the job was given.
        setting: where in config.yaml the number stands.

    Raises:
        UserError: there are fewer cores than threads.
    """
    if given < wanted:
        raise UserError(
            f"config.yaml ({setting}): computes with {wanted} threads, and the job was given "
            f"{given} core{'s' if given != 1 else ''}; run snakemake with --cores {wanted} or "
            f"more, or lower {setting} (which changes results in their last bits)"
        )
    torch.set_num_threads(wanted)


def default_device() -> torch.device:
    """Return the first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
