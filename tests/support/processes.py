"""One training in several processes, started by torchrun as the rule does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil
from safetensors.numpy import load_file

from mobile_vla.config.training import TrainSettings
from support.project import ROOT
from support.training_run import OUTPUTS, Inputs

NAMES = ("policy", "last", "metrics", "results")  # of OUTPUTS


def start(
    inputs: Inputs,
    folder: Path,
    settings: TrainSettings,
    save_every: int = 2,
    python: str = sys.executable,
) -> subprocess.Popen[str]:
    """Start as many processes as the settings say, interpreters or what stands for them."""
    options = {
        "settings": settings.model_dump_json(),
        "manifest": inputs.manifest,
        "actions": inputs.manifest.with_name("actions.npy"),
        "split": inputs.split,
        "backbone": inputs.backbone,
        "features": inputs.features[0],
        "threads": settings.training.processes * settings.training.threads,
        "save-every": save_every,
        "log": folder / "log",
        "record": folder / "provenance.json",
        **dict(zip(NAMES, map(folder.joinpath, OUTPUTS), strict=True)),
    }
    count = settings.training.processes
    torchrun = f"-m torch.distributed.run --standalone --nproc-per-node={count}"
    return subprocess.Popen(
        [
            *(sys.executable, *torchrun.split(), "-m", "--", "mobile_vla", "train"),
            *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "workflow"),
            "OMP_NUM_THREADS": "1",
            "PYTHON_EXEC": python,  # read by torchrun
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 180) -> str:
    """Wait for the end, which must come in time; return what was printed."""
    try:
        return process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def members(process: subprocess.Popen[str]) -> dict[int, psutil.Process]:
    """Return the processes that train, by their rank."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            rank = child.environ().get("RANK")
        except psutil.Error:
            continue  # it has just ended
        if rank is not None:
            found[int(rank)] = child
    return found


def weights(folder: Path) -> Mapping[str, np.ndarray]:
    """Return the weights of a policy's folder."""
    return {
        f"{file.stem}: {name}": value
        for file in sorted(folder.glob("*.safetensors"))
        for name, value in load_file(file).items()
    }


def difference(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> float:
    """Return the largest difference of two policies' tensors, relative to each tensor's norm."""
    assert one.keys() == other.keys()
    return max(
        float(np.linalg.norm(one[name] - other[name]) / max(np.linalg.norm(one[name]), 1e-12))
        for name in one
    )
