"""The state of a run on disk: saved whole, verified when read, and gone when the run is done.

With other settings, code or data the fingerprint, the folder's name, is another: a fresh start."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from safetensors.torch import load_file

from mobile_vla.errors import UserError
from mobile_vla.files import read_json, write_json
from mobile_vla.locks import lock
from mobile_vla.model.folder import Tensors, write_tensors
from mobile_vla.result import FileDigest
from mobile_vla.training.loop import Position
from mobile_vla.training.result import Epoch
from mobile_vla.training.trainer import Trainer, flattened, nested

log = logging.getLogger(__name__)

KEPT = 2  # states: the last, and the one before in case the last is damaged
PATIENCE = 10.0  # seconds that an orphan of a killed Snakemake may take to end


class RunState:
    """The states of one run, in ``…/.work/FINGERPRINT/``."""

    def __init__(self, work: Path, fingerprint: str):
        self.work = work
        self.folder = work / fingerprint

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the run, and remove states of other settings.

        Raises:
            UserError: another process holds the lock, which ends with that process.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        with (self.work / "lock").open("a+") as file:
            _acquire(file)
            file.truncate(0)
            file.write(_holder())
            file.flush()
            for other in self.work.iterdir():
                if other.is_dir() and other != self.folder:
                    shutil.rmtree(other)
            self.folder.mkdir(exist_ok=True)
            yield

    def save(self, trainer: Trainer, position: Position, best: Path | None) -> None:
        """Save the state, then remove all but the last ones.

        Raises:
            UserError: the disk is full; the earlier state is still there.
        """
        tensors, scaler = trainer.state()
        path = self.folder / f"state-{position.step:08d}.safetensors"
        write_tensors(path, tensors)
        history = [epoch.model_dump() for epoch in position.history]
        content = {
            "file": FileDigest.of(path).model_dump(),
            "position": {**vars(position), "history": history},
            "scaler": scaler,
            "best": best and {"name": best.name, "file": FileDigest.of(best).model_dump()},
        }
        write_json(path.with_suffix(".json"), content)
        states = sorted(self.folder.glob("state-*.json"), reverse=True)
        kept = {name for state in states[:KEPT] for name in _files_of(state)}
        for file in self.folder.iterdir():
            if file.name not in kept:
                file.unlink()

    def save_best(self, trained: Tensors, step: int) -> Path:
        """Save the tensors of the best policy so far, and return their file."""
        path = self.folder / f"best-{step:08d}.safetensors"
        write_tensors(path, flattened("", trained))
        return path

    def load_best(self, best: Path) -> Tensors:
        """Read what :meth:`save_best` wrote."""
        return nested("", load_file(best))

    def restore(self, trainer: Trainer) -> tuple[Position, Path | None]:
        """Load the last state that is whole; without one, begin at the beginning."""
        for description in sorted(self.folder.glob("state-*.json"), reverse=True):
            try:
                return self._restore(description, trainer)
            except (UserError, KeyError, TypeError) as error:
                log.warning("%s: damaged, going back to the one before: %s", description, error)
        return Position(), None

    def restore_at(self, step: int, trainer: Trainer) -> tuple[Position, Path | None]:
        """Load the state after a step, which another process found whole by :meth:`restore`."""
        return self._restore(self.folder / f"state-{step:08d}.json", trainer)

    def _restore(self, description: Path, trainer: Trainer) -> tuple[Position, Path | None]:
        saved = read_json(description)
        file = description.with_suffix(".safetensors")
        FileDigest.checked(description, saved["file"]).verify(file)
        best = None
        if saved["best"] is not None:
            best = self.folder / saved["best"]["name"]
            FileDigest.checked(description, saved["best"]["file"]).verify(best)
        history = [Epoch.checked(description, epoch) for epoch in saved["position"]["history"]]
        position = Position(**{**saved["position"], "history": history})
        trainer.load_state(load_file(file), saved["scaler"])
        return position, best


def _files_of(description: Path) -> set[str]:
    """Return the names of the files that a state consists of."""
    names = {description.name, description.with_suffix(".safetensors").name}
    try:
        best = json.loads(description.read_text(encoding="utf-8"))["best"]
    except (OSError, ValueError, KeyError):
        return names
    return names | ({best["name"]} if best else set())


def _holder() -> str:
    """Return who this process is, for the message of a process that waits for the lock."""
    job = os.environ.get("SLURM_JOB_ID")
    of_job = f" (Slurm job {job}: scancel {job})" if job else ""
    return f"process {os.getpid()} on {socket.gethostname()}{of_job}"


def _acquire(file: TextIO) -> None:
    """Take the lock, waiting for a process whose Snakemake was killed to notice and end.

    On a file system without locks a warning is logged.
    """
    until = time.monotonic() + PATIENCE
    while not (held := lock(file.fileno())):
        if held is None:
            log.warning(
                "%s: this file system has no locks, so nothing keeps another process from "
                "training the same run: see that no job of an earlier snakemake is left",
                file.name,
            )
            return
        if time.monotonic() > until:
            file.seek(0)
            raise UserError(
                f"{file.name}: {file.read() or 'another process'} trains this run already; "
                "wait until it is done, or stop it"
            )
        time.sleep(0.2)
