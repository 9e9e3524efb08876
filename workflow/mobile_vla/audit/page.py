"""Make the audit for people: a self-contained HTML page, and small pictures of frames for it."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from mobile_vla.audit.result import Audit, Finding, Thumbnail
from mobile_vla.config.audit import CATALOGUE, SEVERITIES
from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.errors import UserError
from mobile_vla.ingest.result import EpisodeFacts

SHOWN = 50  # findings of one kind on the page; audit.json lists all

SIZE = 112  # pixels, both ways
QUALITY = 80
TOTAL = 48  # of a dataset; each takes about 4 KB
CODE = 12  # of one code
EACH = 3  # of one finding
EXAMPLES = 2  # episodes shown for a doubt about the colours of all

Place = tuple[str, int, bool]
"""Episode, frame, and whether red and blue are swapped."""

# In this module, so that an edit writes the page again: a stage is tracked by its Python modules.
TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Audit of {{ dataset }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; background: #fff;
       max-width: 68rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.lead { color: #5a6775; margin-top: .2rem; }
details p { margin: .3rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0;
         border-bottom: 1px solid #e3e8ee; overflow-wrap: anywhere; }
th { color: #5a6775; font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
table.narrow { width: auto; min-width: 26rem; }
details { border: 1px solid #e3e8ee; border-radius: 6px; padding: .5rem .8rem; margin: .5rem 0; }
summary { cursor: pointer; }
.tag { display: inline-block; min-width: 4.4rem; text-align: center; border-radius: 4px;
       font-size: .8rem; font-weight: 600; padding: .05rem .4rem; margin-right: .5rem; }
.error { background: #fbdcdc; color: #8c1d1d; } .warning { background: #fdeecb; color: #714c00; }
.info { background: #dfeaf7; color: #1f4a7c; } .accepted { background: #e2efe2; color: #27562a; }
.pictures { display: flex; flex-wrap: wrap; gap: .6rem; margin: .6rem 0; padding: 0; }
figure { margin: 0; width: 112px; } figure img { display: block; border-radius: 4px; }
figcaption { font-size: .75rem; color: #5a6775; overflow-wrap: anywhere; }
code { font-size: .92em; } .count { color: #5a6775; } .empty { color: #8c1d1d; font-weight: 600; }
</style>
</head>
<body>
<h1>Audit of {{ dataset }}</h1>
<p class="lead">{{ episodes }} episodes, {{ statistics.usable }} used
{%- if statistics.rejected %}, {{ statistics.rejected }} broken{% endif %}
{%- if statistics.flagged %}, {{ statistics.flagged }} left out for their warnings{% endif %}
{%- if statistics.frames %}, {{ statistics.frames }} frames{% endif %}.
{% for severity in severities %}<span class="tag {{ severity }}">{{ totals[severity] }}
{{ severity }}{{ "s" if severity != "info" and totals[severity] != 1 }}</span>{% endfor %}
{% if totals.accepted %}<span class="tag accepted">{{ totals.accepted }} accepted</span>{% endif %}
</p>

<h2>Findings</h2>
{% for group in groups %}
<details{% if group.severity == "error" %} open{% endif %}>
{% set first = group.members[0] %}
<summary><span class="tag {{ group.severity }}">{{ group.severity }}</span>
{%- if first.accepted is not none %}<span class="tag accepted">accepted</span>{% endif %}
<code>{{ group.code }}</code> <span class="count">{{ group.members | length }}×</span>
{{ first.found }}</summary>
<p>{{ group.meaning[0] | upper }}{{ group.meaning[1:] }}.</p>
{% if first.accepted is not none %}<p><b>Accepted:</b> {{ first.accepted }}</p>{% endif %}
{% if group.pictures %}
<div class="pictures">
{% for picture in group.pictures %}
<figure><img src="{{ picture.image }}" width="112" height="112" alt="{{ picture.alt }}">
<figcaption>{{ picture.episode }}, frame {{ picture.frame }}
{%- if picture.swapped %}, red and blue swapped{% endif %}</figcaption></figure>
{% endfor %}
</div>
{% endif %}
{% for key, label in (("expected", "Expected"), ("remedy", "To do")) %}
{% if key not in group.varied %}
<p><b>{{ label }}:</b> {{ first[key] }}</p>
{% endif %}
{% endfor %}
<table>
<tr><th>Episode</th><th>Place</th><th>Found</th>
{%- if "expected" in group.varied %}<th>Expected</th>{% endif %}
{%- if "remedy" in group.varied %}<th>To do</th>{% endif %}</tr>
{% for finding in group.members[:shown] %}
<tr><td>{{ finding.episode or "the dataset" }}</td><td>{{ finding.place }}</td>
<td>{{ finding.found }}</td>
{%- for key in group.varied %}<td>{{ finding[key] }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% if group.members | length > shown %}<p class="count">… and {{ group.members | length - shown }}
more; audit.json lists them all.</p>{% endif %}
</details>
{% else %}
<p>Nothing to report.</p>
{% endfor %}

{% if windows %}
<h2>Windows</h2>
<table class="narrow">
<tr><th>Experiments</th><th class="number">Window</th><th class="number">Chunk</th><th>Target</th>
<th>Tail</th><th class="number">Frames needed</th><th class="number">Windows</th>
<th class="number">Episodes</th><th class="number">Too short</th></tr>
{% for row in windows %}
<tr><td>{{ row.experiments | join(", ") }}</td><td class="number">{{ row.window }}</td>
<td class="number">{{ row.chunk }}</td><td>{{ row.target }}</td><td>{{ row.tail }}</td>
<td class="number">{{ row.frames_needed }}</td>
<td class="number{% if not row.windows %} empty{% endif %}">{{ row.windows }}</td>
<td class="number">{{ row.episodes }}</td>
<td class="number{% if row.too_short %} empty{% endif %}">{{ row.too_short | length }}</td></tr>
{% endfor %}
</table>
{% endif %}

<h2>Coverage</h2>
<table class="narrow">
<tr>{% for key in coverage[0].cell %}<th>{{ key }}</th>{% endfor %}
<th class="number">Episodes</th></tr>
{% for entry in coverage %}
<tr>{% for value in entry.cell.values() %}<td>{{ value }}</td>{% endfor %}
<td class="number{% if not entry.episodes %} empty{% endif %}">{{ entry.episodes }}</td></tr>
{% endfor %}
</table>

{% if statistics.frames %}
<h2>Actions</h2>
<table class="narrow">
<tr><th>Dimension</th>{% for key in ("mean", "std", "min", "max", "nonzero") %}
<th class="number">{{ key }}</th>{% endfor %}</tr>
{% for name, row in statistics.actions.items() %}
<tr><td>{{ name }}</td>{% for key in ("mean", "std", "min", "max", "nonzero") %}
<td class="number">{{ "%.3f" | format(row[key]) }}</td>{% endfor %}</tr>
{% endfor %}
</table>
<h2>Motions</h2>
<table class="narrow">
<tr><th>Motion</th><th class="number">Frames</th><th class="number">Share</th></tr>
{% for name, count in statistics.motions.items() %}
<tr><td>{{ name }}</td><td class="number">{{ count }}</td>
<td class="number">{{ "%.1f" | format(100 * count / statistics.frames) }} %</td></tr>
{% endfor %}
</table>
<h2>Recordings</h2>
<table class="narrow">
<tr><td>Frames per episode</td><td class="number">{{ statistics.lengths.min }} to
{{ statistics.lengths.max }}, median {{ "%g" | format(statistics.lengths.median) }}</td></tr>
{% for side, shared in statistics.same_sequence.items() %}
<tr><td>Episodes with the commonest sequence of actions, side {{ side }}</td>
<td class="number">{{ shared.episodes }} of {{ shared.of }}
({{ "%.0f" | format(100 * shared.share) }} %)</td></tr>
{% endfor %}
{% for name, count in statistics.time_periods.items() %}
<tr><td>Episodes, {{ name }}</td><td class="number">{{ count }}</td></tr>
{% endfor %}
{% for name, count in statistics.dates.items() %}
<tr><td>Episodes, {{ name }}</td><td class="number">{{ count }}</td></tr>
{% endfor %}
</table>
{% endif %}
</body>
</html>
"""


def render_page(report: Audit) -> str:
    """Return the page of an audit."""
    groups: dict[tuple[bool, str], list[Finding]] = defaultdict(list)
    for finding in report.findings:
        groups[finding.accepted is not None, finding.code].append(finding)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(TEMPLATE).render(
        **dict(report),
        severities=SEVERITIES,
        groups=[
            {
                "severity": members[0].severity,
                "code": code,
                "meaning": CATALOGUE[code].meaning,
                "members": members,
                "pictures": [picture for picture in report.thumbnails if picture.code == code],
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
    )


def thumbnails(
    findings: Sequence[Finding], every: Sequence[EpisodeFacts], frames: Mapping[str, Path]
) -> list[Thumbnail]:
    """Return pictures for findings, fairly shared among the codes: at most :data:`TOTAL`.

    Args:
        findings: in the order in which they are shown, which is that of the pictures' codes.
        every: facts of the episodes that are used.
        frames: the ``.npy`` of each episode, (T, 224, 224, 3) uint8.

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
    code: str, episode: str, frame: int, swapped: bool, frames: Mapping[str, Path]
) -> Thumbnail:
    path = frames[episode]
    try:
        stored: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: not readable as frames ({error}); remove it and run snakemake again"
        ) from None
    if stored.dtype != np.uint8 or stored.shape[1:] != FRAME_SHAPE or frame >= len(stored):
        raise UserError(
            f"{path}: found {stored.dtype} {stored.shape}, expected uint8 frames of its episode; "
            "remove it and run snakemake again"
        )
    picture: np.ndarray = stored[frame]  # (224, 224, 3)
    text = f"Frame {frame} of {episode}"
    alt = f"{text}: {CATALOGUE[code].meaning}"
    if swapped:
        picture, alt = np.ascontiguousarray(picture[..., ::-1]), f"{text}, red and blue swapped"
    small = Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Thumbnail(code=code, episode=episode, frame=frame, swapped=swapped, alt=alt, image=uri)
