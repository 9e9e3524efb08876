"""Make small pictures of the frames that findings are about."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mobile_vla.audit.result import Finding, Thumbnail
from mobile_vla.config.audit import CATALOGUE
from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.errors import UserError
from mobile_vla.ingest.result import EpisodeFacts

SIZE = 112  # pixels, both ways
QUALITY = 80
TOTAL = 48  # of a dataset; each takes about 4 KB
CODE = 12  # of one code
EACH = 3  # of one finding
EXAMPLES = 2  # episodes shown for a doubt about the colours of all

Place = tuple[str, int, bool]
"""Episode, frame, and whether red and blue are swapped."""


def thumbnails(
    findings: Sequence[Finding], every: Sequence[EpisodeFacts], frames: Mapping[str, Path]
) -> list[Thumbnail]:
    """Return pictures for findings, fairly shared among the codes.

    Args:
        findings: in the order in which they are shown.
        every: facts of the episodes that are used.
        frames: the ``.npy`` of each episode, (T, 224, 224, 3) uint8.

    Returns:
        At most :data:`TOTAL`, by code in the order of the findings. The same frames give the same
        bytes.

    Raises:
        UserError: a file of frames is missing or is not one.
    """
    wanted: dict[str, list[list[Place]]] = defaultdict(list)  # code → finding → places
    for finding in findings:
        if finding.code == "probable_bgr":
            wanted[finding.code] += [
                [(facts.episode, 0, False), (facts.episode, 0, True)] for facts in every[:EXAMPLES]
            ]
        elif finding.episode is not None:
            places: list[Place] = [(finding.episode, frame, False) for frame in _spread(finding)]
            wanted[finding.code].append(places)
    counts = {code: min(CODE, sum(map(len, places))) for code, places in wanted.items()}
    given = fair(counts, TOTAL)
    return [
        _picture(code, *place, frames)
        for code, places in wanted.items()
        for place in _in_turns(places, given[code])
    ]


def _in_turns(places: Sequence[Sequence[Place]], count: int) -> list[Place]:
    """Select places, the first of every finding before the second of any; keep their order."""
    turns = sorted(
        (rank, index) for index, listed in enumerate(places) for rank in range(len(listed))
    )
    return [places[index][rank] for index, rank in sorted((i, r) for r, i in turns[:count])]


def _spread(finding: Finding) -> list[int]:
    """Return a few of a finding's frames: the first, the last and one between."""
    frames = finding.frames
    if len(frames) <= EACH:
        return list(frames)
    return [frames[round(index * (len(frames) - 1) / (EACH - 1))] for index in range(EACH)]


def fair(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Share a number of pictures among the codes, in turns, until all are given out."""
    given = dict.fromkeys(counts, 0)
    while total:
        waiting = [code for code in counts if given[code] < counts[code]]
        if not waiting:
            break
        for code in waiting[:total]:
            given[code] += 1
        total -= min(total, len(waiting))
    return given


def _picture(
    code: str, episode: str, frame: int, swapped: bool, frames: Mapping[str, Path]
) -> Thumbnail:
    picture = _frame(frames[episode], frame)  # (224, 224, 3)
    if swapped:
        picture = np.ascontiguousarray(picture[..., ::-1])
    small = Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    text = f"Frame {frame} of {episode}" + (", red and blue swapped" if swapped else "")
    return Thumbnail(
        code=code,
        episode=episode,
        frame=frame,
        swapped=swapped,
        alt=f"{text}: {CATALOGUE[code].meaning}" if not swapped else text,
        image=uri,
    )


def _frame(path: Path, index: int) -> np.ndarray:
    try:
        frames: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: not readable as frames ({error}); remove it and run snakemake again"
        ) from None
    if frames.dtype != np.uint8 or frames.shape[1:] != FRAME_SHAPE or index >= len(frames):
        raise UserError(
            f"{path}: found {frames.dtype} {frames.shape}, expected uint8 frames of its episode; "
            "remove it and run snakemake again"
        )
    return np.array(frames[index])
