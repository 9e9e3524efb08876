"""Frames decoded and resized at each read, as without a frame cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mobile_vla.config.features import View
from mobile_vla.config.ingest import Images
from mobile_vla.data.dataset import Dataset
from mobile_vla.errors import UserError
from mobile_vla.features.store import seen
from mobile_vla.ingest.rawfile import IMAGES, Rejected, open_raw
from mobile_vla.ingest.resize import to_frame
from mobile_vla.ingest.result import EpisodeFacts


class RawRows:
    """A dataset's frames by row, read from the raw HDF5 files and resized at each call.

    Args:
        dataset: the dataset; its episodes' facts, which name the raw files, lie beside it.
        images: how raw images become frames.
        view: as recorded, or flipped left to right.
    """

    def __init__(self, dataset: Dataset, images: Images, view: View):
        self.dataset = dataset
        self.images = images
        self.view = view
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
        name = self.dataset.episodes[episode].name
        facts = EpisodeFacts.read(self.dataset.folder / "episodes" / f"{name}.json")
        path = Path(facts.file)
        try:
            with open_raw(path) as file:
                place = next(place for place in IMAGES if place in file)
                return [to_frame(file[place][index], self.images) for index in wanted.tolist()]
        except (OSError, Rejected):
            raise UserError(
                "config.yaml (timing.ablation): the plain way of training begins with the raw "
                f"images, and {path} cannot be read any more; bring it back, or say "
                "`ablation: false`"
            ) from None
