"""Cut episodes into windows: the observed frames, and the actions to predict from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mobile_vla.config.windows import Windows
from mobile_vla.data.dataset import Dataset
from mobile_vla.errors import UserError

log = logging.getLogger(__name__)

NAMED = 10  # too short episodes that are named in the log; the rest is counted


@dataclass(frozen=True, eq=False)
class WindowTable:
    """N training samples as places in a dataset; nothing is copied."""

    episode: np.ndarray
    """(N,) int64, index of the window's episode in ``Dataset.episodes``."""
    last_frame: np.ndarray
    """(N,) int64, index within the episode of the last observed frame."""
    frames: np.ndarray
    """(N, W) int64, rows of the observed frames, oldest first; with ``start: repeat`` the first row
    stands for those before it."""
    targets: np.ndarray
    """(N, C) int64, rows of the chunk's actions; the episode's last row where there is none.
    Supervised at every frame (N, W, C), those of the chunk that follows each."""
    mask: np.ndarray
    """As ``targets``, bool, True where the action exists and counts."""
    mirrored: np.ndarray
    """(N,) bool, True for the mirror image of a window."""
    part: np.ndarray
    """(N,) int64, index of the window's dataset in ``Dataset.parts``."""
    weights: tuple[float, ...]
    """How often an epoch of training draws each window, by part."""

    def __len__(self) -> int:
        return len(self.episode)

    def drawn(self, part: int) -> int:
        """Return how many windows of a part an epoch draws, those that it draws again included."""
        return _drawn(int((self.part == part).sum()), self.weights[part])

    @property
    def drawn_windows(self) -> int:
        """How many windows an epoch draws."""
        return sum(map(self.drawn, range(len(self.weights))))

    def weighted(self, dataset: Dataset, weights: Mapping[str, float]) -> WindowTable:
        """Return these windows, drawn as often as the weights of their datasets' names say."""
        of_parts = tuple(weights.get(part.name, 1.0) for part in dataset.parts)
        return replace(self, weights=of_parts)

    def supervised_at_every_frame(self, dataset: Dataset) -> WindowTable:
        """Return these windows with a chunk (N, W, C) to predict after each of their frames.

        A frame that stands for those before the episode has none, as it has not been seen yet.
        """
        back = np.arange(self.frames.shape[1])[::-1, None]  # (W, 1), frames before the last one
        first = dataset.offsets[self.episode] + self.mirrored * dataset.rows  # (N,)
        end = first + dataset.lengths[self.episode] - 1  # (N,)
        steps = self.targets[:, None, :1] - back + np.arange(self.targets.shape[1])  # (N, W, C)
        seen = self.last_frame[:, None, None] >= back  # (N, W, 1)
        return replace(
            self,
            targets=np.clip(steps, first[:, None, None], end[:, None, None]),
            mask=(steps <= end[:, None, None]) & seen,
        )

    def with_mirror_images(self, rows: int) -> WindowTable:
        """Return 2N windows: these, and their mirror images, at row ``rows + r`` for row r."""
        return WindowTable(
            episode=np.tile(self.episode, 2),
            last_frame=np.tile(self.last_frame, 2),
            frames=np.concatenate([self.frames, self.frames + rows]),
            targets=np.concatenate([self.targets, self.targets + rows]),
            mask=np.concatenate([self.mask, self.mask]),
            mirrored=np.repeat([False, True], len(self)),
            part=np.tile(self.part, 2),
            weights=self.weights,
        )


def _drawn(windows: int, weight: float) -> int:
    """Return how many of so many windows an epoch draws: with a weight, one at least."""
    return max(round(windows * weight), 1) if windows else 0


def make_windows(dataset: Dataset, episodes: Sequence[int], windows: Windows) -> WindowTable:
    """Cut episodes into windows and their chunks.

    Windows start at frame 0 and every ``stride`` frames after it. No window reaches over an
    episode's end; a chunk does so only with ``tail: mask``. T=18, W=4, C=10 with ``target: next``
    and ``tail: drop`` give five windows. With ``start: repeat`` the first window ends at frame 0,
    and there are three more. They stand in the order of ``episodes``, indices in
    ``dataset.episodes``.

    Raises:
        UserError: there are episodes, and none is long enough for a window.
    """
    indices = np.array(episodes, dtype=np.int64)
    counts = np.array([windows.count(int(n)) for n in dataset.lengths[indices]], dtype=np.int64)
    too_short = indices[counts == 0].tolist()
    if too_short and not counts.any():
        raise UserError(_none_long_enough(dataset, too_short, windows))
    if too_short:
        named = too_short[:NAMED]
        log.warning(
            "dataset %s: %d of %d episodes are too short and give no window: %s: %s%s",
            dataset.name,
            len(too_short),
            len(episodes),
            _settings(windows),
            ", ".join(f"{dataset.episodes[i].name} ({dataset.lengths[i]})" for i in named),
            f" and {len(too_short) - NAMED} more" if len(too_short) > NAMED else "",
        )
    episode = np.repeat(indices, counts)  # (N,)
    number = np.concatenate([np.zeros(0, dtype=np.int64), *map(np.arange, counts)])  # (N,)
    last_frame = number * windows.stride + windows.observed_needed - 1
    first = last_frame - (windows.window - 1)
    start = last_frame + (1 if windows.target == "next" else 0)
    offset, length = dataset.offsets[episode, None], dataset.lengths[episode, None]  # (N, 1)
    steps = start[:, None] + np.arange(windows.chunk)  # (N, C)
    observed = np.maximum(first[:, None] + np.arange(windows.window), 0)  # (N, W)
    return WindowTable(
        episode=episode,
        last_frame=last_frame,
        frames=offset + observed,
        targets=offset + np.minimum(steps, length - 1),  # (N, C)
        mask=steps < length,  # (N, C)
        mirrored=np.zeros(len(episode), dtype=bool),
        part=dataset.part[episode],
        weights=(1.0,) * len(dataset.parts),
    )


def _settings(windows: Windows) -> str:
    return (
        f"window {windows.window} and chunk {windows.chunk} "
        f"(target: {windows.target}, start: {windows.start}, tail: {windows.tail}) "
        f"need {windows.frames_needed} frames"
    )


def _none_long_enough(dataset: Dataset, too_short: Sequence[int], windows: Windows) -> str:
    lengths = sorted(int(dataset.lengths[index]) for index in too_short)
    spread = f"{lengths[0]}" if lengths[0] == lengths[-1] else f"{lengths[0]} to {lengths[-1]}"
    # What is left for window and chunk together in the longest episode.
    room = lengths[-1] + (1 if windows.target == "current" else 0)
    if windows.start == "repeat":
        remedy = f"lower chunk to at most {room - 1}, or say `tail: mask`"
    elif windows.tail == "drop":
        remedy = f"lower window and chunk so that their sum is at most {room}, or say `tail: mask`"
    else:
        remedy = f"lower window to at most {room - 1}"
    return (
        f"dataset {dataset.name}: no episode is long enough for a window: {_settings(windows)}, "
        f"and the {len(lengths)} episodes asked for have {spread}; {remedy}"
    )
