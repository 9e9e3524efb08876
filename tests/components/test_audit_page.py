"""What the audit writes: the page, the JSON, the thumbnails and the table in the terminal."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections import Counter
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobile_vla.audit.findings import in_order
from mobile_vla.audit.page import CODE, fair
from mobile_vla.audit.result import FindingTotals, Lengths
from mobile_vla.config.audit import CATALOGUE
from mobile_vla.errors import UserError
from mobile_vla.files import digest_of, read_json
from support.clean_facts import FRAMES, MEAN, NAMES, colours, run, statistics, whole
from support.codes import PAGE, renewed
from support.sentences import defect
from support.synthetic_datasets import changed, facts_of


def spoilt():
    every = whole(attributes={"num_frames": 3})
    hostile = defect("truncated", found="<script>alert(1)</script>")
    every.append(facts_of("z", frames=0, actions=[], errors=[hostile]))
    every.append(facts_of("a", frames=0, actions=[], errors=[defect("truncated")]))
    every[4] = changed(every[4], event_types=None)
    return every


def test_findings_are_ordered_by_severity_then_episode(tmp_path):
    report, _ = run(tmp_path, spoilt())
    assert [(finding.severity, finding.episode) for finding in report.findings] == [
        ("error", "a"),
        ("error", "z"),
        ("warning", NAMES[0]),
        ("info", NAMES[4]),
    ]
    assert report.findings[2].model_dump(mode="json") == {
        "code": "num_frames_differs",
        "severity": "warning",
        "episode": NAMES[0],
        "file": f"raw/{NAMES[0]}.h5",
        "place": "attribute num_frames",
        "frames": [],
        "found": {"text": "{value}", "values": {"value": "3"}},
        "expected": {"text": "{frames}, the number of images", "values": {"frames": 18}},
        "remedy": {"text": "check that the recording was not cut short", "values": {}},
        "accepted": None,
    }
    assert report.totals == FindingTotals(error=2, warning=1, info=1, accepted=0)
    assert in_order([]) == []


def test_coverage_and_statistics_count_usable_episodes(tmp_path):
    report, _ = run(tmp_path, spoilt())
    assert report.episodes == 38
    assert len(report.coverage) == 12
    assert all(covered.episodes == 3 for covered in report.coverage)
    assert report.coverage[0].cell == {"side": "left", "distance": "close", "style": "core"}
    numbers = report.statistics
    assert (numbers.usable, numbers.rejected, numbers.frames) == (36, 2, 648)
    assert numbers.lengths == Lengths(min=18, median=18.0, max=18)
    assert sum(numbers.motions.values()) == 648
    assert numbers.motions["standing"] == 36
    assert numbers.actions["linear_x"].nonzero == pytest.approx(17 / 18, abs=1e-6)
    assert numbers.image_mean == [120.0, 110.0, 100.0]


def test_the_page_is_whole_and_escapes_what_it_shows(tmp_path):
    _, page = run(tmp_path, spoilt())
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page
    assert not re.search(r"(src|href|url)\s*[=(](?!\"data:image/jpeg;base64,)", page)
    assert "num_frames_differs" in page and NAMES[0] in page
    assert "<p>The file is shorter than it says itself.</p>" in page
    assert "Nothing to report" in run(tmp_path / "good", whole())[1]
    assert "no_episodes" in run(tmp_path / "none", [])[1]


def test_the_page_gives_each_finding_its_own_remedy(tmp_path):
    every = whole()
    for name in ("x", "y"):
        error = defect("permission_denied", expected="yes", remedy=f"chmod +r {name}")
        every.append(facts_of(name, frames=0, actions=[], errors=[error]))
    _, page = run(tmp_path, every)
    assert "<b>expected:</b> yes" in page
    assert "<td>chmod +r x</td>" in page and "<td>chmod +r y</td>" in page


def test_the_table_in_the_terminal_is_bounded(tmp_path, caplog):
    every = [changed(facts, event_types=None) for facts in whole()]
    with caplog.at_level(logging.INFO):
        run(tmp_path, every)
    assert "36 findings about 36 episodes" in caplog.text
    assert "(and 35 more)" in caplog.text
    assert len(caplog.text.splitlines()) == 2


def test_bytes_do_not_depend_on_the_order_of_facts(tmp_path):
    run(tmp_path / "1", spoilt())
    run(tmp_path / "2", spoilt()[::-1])
    for name in ("audit.json", "audit.html"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    json.loads((tmp_path / "1" / "audit.json").read_text())
    assert digest_of(read_json(tmp_path / "1" / "audit.json"))


def test_accepted_findings_keep_their_place_and_count_apart(tmp_path, caplog):
    reason = "the collector's counter began at 1; <b>harmless</b>"
    with caplog.at_level(logging.INFO):
        report, page = run(tmp_path, spoilt(), accept={"num_frames_differs": reason})
    assert report.totals == FindingTotals(error=2, warning=0, info=1, accepted=1)
    last = report.findings[-1]
    assert (last.code, last.accepted) == ("num_frames_differs", reason)
    assert "harmless&lt;/b&gt;" in page and "1 accepted" in page
    assert "3 findings about 38 episodes, and 1 accepted" in caplog.text
    assert f"(accepted: {reason})" in caplog.text


def test_an_audit_in_which_all_is_accepted_is_no_warning(tmp_path, caplog):
    every = whole(attributes={"num_frames": 17})
    with caplog.at_level(logging.INFO):
        run(tmp_path, every, accept={"num_frames_differs": "known"})
    assert {record.levelno for record in caplog.records} == {logging.INFO}


def test_episodes_left_out_for_warnings_count_nowhere(tmp_path):
    name = "episode_20251103_101500_1box_hori_left_core_close"
    attributes = {**facts_of(name).attributes, "num_frames": 8}
    every = [*whole(), facts_of(name, frames=9, attributes=attributes)]
    about_it = ["num_frames_differs", "other_length"]
    kept, _ = run(tmp_path / "kept", every, frames=[name])
    assert [finding.code for finding in kept.findings] == ["too_short", *about_it]
    assert kept.statistics.lengths.min == 9 and kept.statistics.flagged == 0
    out, page = run(tmp_path / "out", every, frames=[name], on_warning="quarantine")
    assert [finding.code for finding in out.findings] == about_it
    assert out.statistics.lengths.min == 18 and out.statistics.flagged == 1
    assert "1 left out for their warnings" in page
    changes = {"on_warning": "quarantine", "accept": {"num_frames_differs": "known"}}
    same, _ = run(tmp_path / "same", every, frames=[name], **changes)
    assert [finding.code for finding in same.findings] == ["too_short", *about_it[::-1]]


def test_thumbnails_show_the_frames_and_are_bounded(tmp_path):
    names = sorted(NAMES)
    every = sorted(whole(), key=lambda facts: facts.episode)
    for index, (changes, actions) in enumerate(
        [
            ({"frame_mean": [1.0] * FRAMES}, None),
            ({"frame_mean": [1.0] * 2 + MEAN[2:]}, [[1.15, 0.0, 0.0]]),
            ({"frame_mean": [*MEAN[1:], 1.0], "frame_std": [0.5] * 9 + [40.0] * 9}, None),
            ({"frame_mean": [254.0, *MEAN[1:]]}, None),
        ]
        * 2
    ):
        every[index] = changed(every[index], image_statistics=statistics(**changes))
        if actions:
            moved = actions + every[index].actions[1:]
            every[index] = changed(every[index], actions=moved, event_types=None)
    report, page = run(tmp_path / "1", every, frames=names[:8])
    pictures = report.thumbnails
    assert Counter(picture.code for picture in pictures) == {
        "black_frames": CODE,
        "flat_frames": 6,
        "white_frames": 2,
        "first_action_not_zero": 2,
    }
    black = [
        (picture.episode, picture.frame) for picture in pictures if picture.code == "black_frames"
    ]
    assert black == [
        (names[half + index], frame)
        for half in (0, 4)
        for index, frames in ((0, (0, 8, 17)), (1, (0, 1)), (2, (17,)))
        for frame in frames
    ]
    first = next(picture for picture in pictures if picture.code == "black_frames")
    assert (first.episode, first.frame) == (names[0], 0)
    image = Image.open(BytesIO(base64.b64decode(first.image.partition(",")[2])))
    assert image.size == (112, 112) and image.format == "JPEG"
    assert page.count("<img ") == len(pictures) and first.image in page
    again, _ = run(tmp_path / "2", every, frames=names[:8])
    assert again.thumbnails == pictures


@given(
    st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 30), max_size=30),
    st.integers(0, 60),
)
def test_pictures_are_shared_fairly(counts, total):
    given_ = fair(counts, total)
    assert sum(given_.values()) == min(total, sum(counts.values()))
    assert all(given_[code] <= counts[code] for code in counts)
    least = min((given_[code] for code in counts if given_[code] < counts[code]), default=None)
    assert least is None or max(given_.values()) <= least + 1


def test_doubtful_colours_are_shown_both_ways(tmp_path):
    every = [
        changed(facts, image_statistics=colours(0.01, 0.2, facts.episode)) for facts in whole()
    ]
    report, page = run(tmp_path, every, frames=sorted(NAMES)[:2])
    assert [picture.swapped for picture in report.thumbnails] == [False, True] * 2
    assert "red and blue swapped</figcaption>" in page


def test_frames_that_are_not_there_are_named(tmp_path):
    every = whole(image_statistics=statistics(frame_mean=[1.0] * FRAMES))
    with pytest.raises(UserError, match=f"{NAMES[0]}.npy: not readable as frames"):
        run(tmp_path, every)


def test_the_statistics_hold_dates_and_the_most_frequent_sequence(tmp_path):
    every = whole(
        attributes={**facts_of(NAMES[0]).attributes, "collection_datetime": "2025-12-24T09"}
    )
    every[1] = changed(every[1], actions=every[2].actions, scenario=every[2].scenario)
    report, page = run(tmp_path, every)
    assert report.statistics.dates == {"2025-11-03": 35, "2025-12-24": 1}
    shared = report.statistics.same_sequence
    assert set(shared) == {"left", "right"} and shared["left"].episodes >= 2
    assert shared["left"].share == pytest.approx(
        shared["left"].episodes / shared["left"].of, abs=1e-6
    )
    assert "episodes, 2025-12-24" in page


def test_the_table_of_codes_in_the_docs_is_that_of_the_catalogue():
    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page), "run `make docs`"
    for code in CATALOGUE:
        assert f"| `{code}` |" in page
