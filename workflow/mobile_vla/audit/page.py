"""Make the audit for people: a self-contained HTML page, and small pictures of frames for it."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mobile_vla.audit.plots import HEIGHT, WIDTH, command_plots
from mobile_vla.audit.result import Audit, Finding, Thumbnail
from mobile_vla.config.audit import CATALOGUE, SEVERITIES
from mobile_vla.ingest.frame_file import open_frame_file
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.templates import rendered
from mobile_vla.texts import Texts

SHOWN = 50  # findings of one kind on the page; audit.json lists all

SIZE = 112  # pixels, both ways
QUALITY = 80
TOTAL = 48  # of a dataset; each takes about 4 KB
CODE = 12  # of one code
EACH = 3  # of one finding
EXAMPLES = 2  # episodes shown for a doubt about the colours of all

Place = tuple[str, int, bool]
"""Episode, frame, and whether red and blue are swapped."""


def render_page(report: Audit, every: Sequence[EpisodeFacts], t: Texts) -> str:
    """Return the page of an audit, with plots of the commands of usable episodes."""
    plots = command_plots(report.findings, {facts.episode: facts for facts in every}, t)
    groups: dict[tuple[bool, str], list[Finding]] = defaultdict(list)
    for finding in report.findings:
        groups[finding.accepted is not None, finding.code].append(finding)
    return rendered(
        "audit",
        t=t,
        **dict(report),
        severities=SEVERITIES,
        groups=[
            {
                "severity": members[0].severity,
                "code": code,
                "meaning": t.translated(CATALOGUE[code].meaning),
                "members": members,
                "pictures": [picture for picture in report.thumbnails if picture.code == code],
                "plots": plots.get(code, []),
                # What all members share stands above their table, what differs in a column.
                "varied": [
                    key
                    for key in ("expected", "remedy")
                    if len({getattr(member, key) for member in members}) > 1
                ],
            }
            for (_, code), members in groups.items()
        ],
        shown=SHOWN,
        size=(WIDTH, HEIGHT),
    )


def thumbnails(
    findings: Sequence[Finding],
    every: Sequence[EpisodeFacts],
    frames: Mapping[str, tuple[Path, int]],
) -> list[Thumbnail]:
    """Return pictures for findings, fairly shared among the codes: at most :data:`TOTAL`.

    Args:
        findings: in the order in which they are shown, which is that of the pictures' codes.
        every: facts of the episodes that are used.
        frames: the ``.npy`` of each episode, (T, 224, 224, 3) uint8, and its T.

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
            shown: Sequence[int] = finding.frames
            if len(shown) > EACH:  # the first, the last and one between
                shown = [shown[round(at * (len(shown) - 1) / (EACH - 1))] for at in range(EACH)]
            wanted[finding.code].append([(finding.episode, frame, False) for frame in shown])
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


def fair(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Share a number of pictures among the codes, in turns, until all are given out."""
    given = dict.fromkeys(counts, 0)
    for _ in range(min(total, sum(counts.values()))):
        waiting = [code for code in counts if given[code] < counts[code]]
        given[min(waiting, key=given.__getitem__)] += 1
    return given


def _picture(
    code: str, episode: str, frame: int, swapped: bool, frames: Mapping[str, tuple[Path, int]]
) -> Thumbnail:
    picture: np.ndarray = open_frame_file(*frames[episode])[frame]  # (224, 224, 3)
    if swapped:
        picture = np.ascontiguousarray(picture[..., ::-1])
    small = Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Thumbnail(code=code, episode=episode, frame=frame, swapped=swapped, image=uri)
