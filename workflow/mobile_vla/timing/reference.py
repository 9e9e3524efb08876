"""The plain way to train on windows (RoboVLMs, Li et al. 2024, arXiv:2412.14058), to compare with.

Each sample runs every frame of its window through the whole model; loss and gradients are equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mobile_vla.config.features import View
from mobile_vla.config.ingest import Images
from mobile_vla.data.dataset import Dataset
from mobile_vla.errors import UserError
from mobile_vla.features.store import Rows, seen
from mobile_vla.ingest.encoded import read_image
from mobile_vla.ingest.machine import MachineError
from mobile_vla.ingest.rawfile import Rejected, open_raw
from mobile_vla.ingest.resize import to_frame
from mobile_vla.ingest.result import EpisodeFacts, VideoFrames
from mobile_vla.lerobot.packages import INSTALL
from mobile_vla.runs.samples import Batch, Samples


class PerWindow(Samples):
    """The windows of some samples, each with its own copy of every frame it holds.

    ``rows`` is what is read of each frame: raw images made frames, frames, or features.
    """

    def __init__(self, samples: Samples, rows: Rows):
        vars(self).update(vars(samples))
        self.rows = rows

    def batch(self, indices: np.ndarray, key: tuple[int, ...] | None = None) -> Batch:
        """Gather the windows with the given indices (B,): B·W frames, however many are the same.

        Pictures stay as recorded, whatever ``key`` says: what random changes cost, both ways pay.
        """
        frames = self.table.frames[indices]  # (B, W)
        rows = frames.ravel()  # (B · W,)
        return Batch(
            features=self.rows[rows],
            prompts=self.prompt_of_row[rows],
            windows=torch.arange(len(rows)).view(frames.shape),
            targets=self.actions[self.table.targets[indices]],
            mask=torch.from_numpy(self.table.mask[indices]),
        )


class RawRows:
    """A dataset's frames by row, read from the raw files and resized at each call.

    The episodes' facts, which name the raw files, lie beside the dataset; ``raw_folder`` is the
    folder that the names of recorded files are relative to.
    """

    def __init__(
        self, dataset: Dataset, images: Images, view: View, raw_folder: Path | None = None
    ):
        self.dataset, self.images, self.view = dataset, images, view
        self.raw_folder = Path() if raw_folder is None else raw_folder
        self.ends = np.cumsum(dataset.lengths)

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """Return the frames of rows (n,) as (n, 224, 224, 3) uint8.

        Raises:
            UserError: a raw file is not where it was when it was ingested.
        """
        owners = np.searchsorted(self.ends, rows, side="right")  # (n,)
        frames: list[np.ndarray] = []
        # Neighbours of one episode are read with its file open, as a window's frames are.
        starts = [0, *(np.flatnonzero(np.diff(owners)) + 1).tolist()]
        for part in np.split(rows, starts[1:]):
            owner = int(owners[len(frames)])
            frames += self._read(owner, part - self.dataset.offsets[owner])
        return torch.from_numpy(seen(np.stack(frames), self.view))

    def _read(self, episode: int, wanted: np.ndarray) -> list[np.ndarray]:
        facts = EpisodeFacts.read(self.dataset.episode_file(episode, ".json"))
        path = self.raw_folder / facts.file
        try:
            if facts.video is not None:
                return self._decoded(path, facts.video, wanted)
            with open_raw(path) as file:
                stored = file[facts.image_place]
                return [to_frame(read_image(stored, row), self.images) for row in wanted.tolist()]
        except (OSError, KeyError, MachineError, Rejected):
            raise UserError(
                "config.yaml (timing.ablation): the plain way of training begins with the raw "
                f"images, and {path} cannot be read any more; bring it back, or say "
                "`ablation: false`"
            ) from None

    def _decoded(self, path: Path, stored: VideoFrames, wanted: np.ndarray) -> list[np.ndarray]:
        """Return frames of a video file, decoded from the keyframe before them on."""
        try:
            from mobile_vla.lerobot.video import Video  # PyAV, which other datasets need not have
        except ModuleNotFoundError as error:
            raise UserError(
                "config.yaml (timing.ablation): the plain way of training decodes videos, for "
                f"which the package {error.name!r} is missing; install it with\n    {INSTALL}"
            ) from None
        rows, of_wanted = np.unique(wanted, return_inverse=True)  # a start that repeats its frame
        times = [stored.times[row] for row in rows]
        with Video(path) as video:
            images = video.frames(times, stored.tolerance, gaps=True)
            frames = [to_frame(image, self.images) for image in images]
        return [frames[index] for index in of_wanted]
