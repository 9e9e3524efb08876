"""A Korean report is Korean throughout: names, code and units aside, no English stays in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from mobile_vla.config.reporting import FIGURES
from mobile_vla.reporting import figures
from mobile_vla.texts import Texts
from support.clean_facts import FRAMES, MEAN, run, statistics, whole
from support.report import drawn, written
from support.results import make_results
from support.sentences import defect
from support.synthetic_datasets import changed, facts_of

KOREAN = Texts.of("ko")
NAMES = {  # of baselines, controls and parts of a policy, which papers in Korean write so, too
    *("train mean", "majority action", "previous action", "nearest neighbours"),
    *("shuffled prompt", "no image", "image embeds", "action token", "text embedding"),
    *("linear x", "linear y", "angular z", "dirty tree", "git checkout", "Huber loss"),
}
SENTENCE = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]{2,}){2,}")
LABEL = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]{2,})+")
UNTRANSLATED = {"script", "style", "code", "pre"}
VOID = {"meta", "link", "img", "input", "br", "path", "line", "use"}


REASON = "the lamp failed, and the robot saw that too"  # the user's own words


class Shown(HTMLParser):
    """What a page shows and says: texts, and attributes that are read aloud."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inside: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        classes = (given.get("class") or "").split()
        code = tag in UNTRANSLATED or {"files", "name"} & set(classes)
        code = bool(code) or given.get("id") in ("provenance", "experiments")  # settings
        if tag not in VOID:
            self.inside.append((tag, code or any(own for _, own in self.inside)))
        if not code:
            self.texts += [given[name] or "" for name in ("aria-label", "alt") if name in given]

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not (self.inside and self.inside[-1][1]):
            self.texts.append(data)


def english(texts: list[str], kind: re.Pattern[str] = SENTENCE) -> set[str]:
    """Return what is English in some texts and no name."""
    found: set[str] = set()
    for text in texts:
        for name in NAMES:
            text = text.replace(name, "·")
        found |= set(kind.findall(re.sub(rf"`[^`]*`|alt of \w+|\w+ seed|{REASON}", "", text)))
    return found


def shown(page: Path) -> list[str]:
    parser = Shown()
    parser.feed(page.read_text())
    return parser.texts


@pytest.mark.parametrize(
    "options",
    [
        {
            "experiments": 3,
            "beats": [True, False, True],
            "others": ("corridor",),
            "ablation": "lora",
        },
        {"experiments": 2, "scored_on": "val", "seeds": 2, "dirty": True, "chunks": (10, 6)},
    ],
)
def test_no_english_stays_in_a_korean_page(tmp_path: Path, options: dict) -> None:
    made = make_results(tmp_path, **options)
    changed = {"language": "ko", "title": "실험"}
    made.settings = made.settings.model_copy(update=changed)
    assert english(shown(written(made))) == set()


def test_no_english_stays_in_the_page_of_an_audit(tmp_path: Path) -> None:
    every = whole(attributes={"num_frames": 3})
    spoilt = [
        {"frame_mean": [1.0] * FRAMES},
        {"frame_mean": [*MEAN[1:], 1.0], "frame_std": [0.5] * 9 + [40.0] * 9},
    ]
    for place, changes in enumerate(spoilt, start=1):
        every[place] = changed(every[place], image_statistics=statistics(**changes))
    every[4] = changed(every[4], event_types=None)
    every[5] = changed(every[5], actions=every[6].actions[::-1])
    every.append(facts_of("z", frames=0, actions=[], errors=[defect("truncated", found="–")]))
    _, page = run(tmp_path, every, frames=[facts.episode for facts in every[:6]], language="ko")
    (tmp_path / "page.html").write_text(page)
    assert '<html lang="ko">' in page and KOREAN.translated("frames that are black") in page
    assert english(shown(tmp_path / "page.html")) == set()


def test_no_english_stays_in_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written_in: dict[str, list[str]] = {}

    def read(figure: Figure, files: object, formats: object) -> None:
        texts = [str(text.get_text()) for text in figure.findobj(Text)]
        gids = [str(own.get_gid() or "") for own in figure.findobj()]
        written_in[str(len(written_in))] = [*texts, *gids]

    monkeypatch.setattr(figures, "save", read)
    monkeypatch.setattr(figures, "families_for", lambda letters: ["DejaVu Sans"])
    made = make_results(tmp_path, 3, beats=[True, False, True], ablation="lora", seeds=2)
    drawn(made, language="ko")
    assert len(written_in) == len(made.settings.figures) > len(FIGURES)
    for texts in written_in.values():
        assert english(texts, LABEL) == set()
