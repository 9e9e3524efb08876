from __future__ import annotations

import json
import logging
import re

import numpy as np
import pytest

from mobile_vla.audit.audit import audit, find
from mobile_vla.audit.findings import in_order, spans
from mobile_vla.config.audit import AuditSettings
from mobile_vla.config.windows import Actions
from mobile_vla.files import digest_of, read_json
from support.made import facts_of, write_facts

NAMES = [
    f"episode_20251103_09{index:02}{half:02}_1box_hori_{side}_{style}_{distance}"
    for index, distance in enumerate(["close", "medium", "far"])
    for style in ("core", "variant")
    for side in ("left", "right")
    for half in range(3)
]
DECLARED = Actions()


def whole(**changes):
    """Return facts of a faultless set, the first episode changed."""
    every = [facts_of(name) for name in NAMES]
    every[0] = {**every[0], **changes}
    return every


def found(every, declared=DECLARED):
    return [
        (finding.code, finding.severity, finding.episode, finding.place)
        for finding in find(every, declared)
    ]


def statistics(**changes):
    return {**facts_of(NAMES[0])["image_statistics"], **changes}


def first(**changes):
    """Return the facts' actions of the first episode, some rows changed."""
    actions = [list(action) for action in facts_of(NAMES[0])["actions"]]
    for row, action in changes.items():
        actions[int(row[1:])] = action
    return actions


def test_a_faultless_set_gives_no_finding():
    assert found(whole()) == []


FRAMES = 18
MEAN = [110.0] * FRAMES
LIKE_OTHER = facts_of(NAMES[1])


@pytest.mark.parametrize(
    ("changes", "code", "severity", "place"),
    [
        (
            {"scenario": {**facts_of(NAMES[0])["scenario"], "layout": None}},
            "scenario_incomplete", "info", "name",
        ),
        (
            {"attributes": {"num_frames": 17}}, "num_frames_differs", "warning",
            "attribute num_frames",
        ),
        (
            {"attributes": {"episode_name": "other"}}, "episode_name_differs", "warning",
            "attribute episode_name",
        ),
        (
            {"instruction": "reach the bottle on the right"}, "instruction_contradicts_name",
            "warning", "language_instruction",
        ),
        (
            {"instruction": "가장 오른쪽 외곽으로 돌아 컵까지 가세요"},
            "instruction_contradicts_name", "warning", "language_instruction",
        ),
        ({"event_types": None}, "no_event_types", "info", "action_event_types"),
        (
            {"event_types": ["episode_start"] + ["start_action"] * 16 + ["stop_action"]},
            "events_disagree", "warning", "action_event_types, row 17",
        ),
        (
            {"actions": first(r0=[1.15, 0.0, 0.0]), "event_types": ["start_action"] * FRAMES},
            "first_action_not_zero", "warning", "actions, row 0",
        ),
        (
            {"actions": first(r5=[1.2, 0.0, 0.0])}, "actions_beyond_scale", "warning",
            "actions, row 5, linear_x",
        ),
        (
            {
                "actions": [[0.0, 0.0, 0.0]] * FRAMES,
                "event_types": ["episode_start"] + ["stop_action"] * (FRAMES - 1),
            },
            "actions_all_zero", "warning", "actions",
        ),
        (
            {"actions": [[x, -y, z] for x, y, z in facts_of(NAMES[0])["actions"]]},
            "side_sign", "warning", "actions, linear_y",
        ),
        (
            {"image_statistics": statistics(frame_mean=[1.0, 2.0, *MEAN[3:], 0.0])},
            "black_frames", "warning", "images, frames 0-1, 17",
        ),
        (
            {"image_statistics": statistics(frame_mean=[*MEAN[1:], 254.0])},
            "white_frames", "warning", "images, frame 17",
        ),
        (
            {"image_statistics": statistics(frame_std=[40.0] * 17 + [0.5])},
            "flat_frames", "warning", "images, frame 17",
        ),
        (
            {"image_statistics": statistics(repeats=[1, 4, 5])},
            "frozen_frames", "warning", "images, frames 4-5",
        ),
        ({"raw_shape": [480, 640, 3]}, "other_image_size", "warning", "images"),
    ],
)  # fmt: skip
def test_what_is_odd_about_an_episode_is_found(changes, code, severity, place):
    assert found(whole(**changes)) == [(code, severity, NAMES[0], place)]


def test_an_episode_in_a_subfolder_keeps_its_name():
    facts = facts_of(NAMES[0])
    assert found(whole(episode=f"day1--{NAMES[0]}", attributes=facts["attributes"])) == []


def test_a_side_that_no_name_tells_is_a_warning():
    every = [*whole(), facts_of("episode_20251103_091241")]
    assert found(every) == [
        ("scenario_incomplete", "warning", "episode_20251103_091241", "name"),
        ("thin_cells", "info", None, "coverage"),
    ]


def test_a_return_behind_the_box_does_not_change_the_side():
    """Passing left and coming back farther than one went: the first swerve decides."""
    actions = first(r8=[1.15, -1.15, 0.0], r9=[1.15, -1.15, 0.0], r10=[1.15, -1.15, 0.0])
    actions[11] = [1.15, -1.15, 0.0]
    assert np.mean(actions, axis=0)[1] < 0
    assert found(whole(actions=actions)) == []


def test_exactly_the_scale_as_float32_is_not_beyond_it():
    assert found(whole(actions=first(r5=[float(np.float32(1.15)), 0.0, 0.0]))) == []
    barely = Actions(scale=float(np.float32(1.15)))
    assert found(whole(), barely) == []


def test_errors_of_ingest_are_findings():
    error = {"code": "truncated", "place": "file", "found": "a", "expected": "b", "remedy": "c"}
    every = [*whole(), facts_of("broken", frames=0, actions=[], errors=[error])]
    assert found(every) == [("truncated", "error", "broken", "file")]


def test_duplicates_are_found_by_bytes_and_by_content():
    same_bytes = whole(sha256=LIKE_OTHER["sha256"])
    assert found(same_bytes) == [("duplicate_file", "warning", NAMES[1], "file")]
    same_content = whole(frame_file=LIKE_OTHER["frame_file"], actions=LIKE_OTHER["actions"])
    assert found(same_content) == [("duplicate_content", "warning", NAMES[1], "file")]


def test_constant_and_unused_dimensions_are_found():
    both = Actions(dimensions=("linear_x", "linear_y", "angular_z"))
    place = "actions, angular_z"
    assert found(whole(), both) == [("constant_dimension", "warning", None, place)]
    turning = whole(actions=first(r5=[1.15, 0.0, 0.25]))
    assert found(turning) == [("unused_dimension", "warning", None, place)]
    assert found(turning, both) == []


def test_one_sequence_for_all_is_found():
    usual = {side: facts_of(f"x_{side}")["actions"] for side in ("left", "right")}
    every = [
        {**facts, "actions": usual[facts["scenario"]["side"]]}
        if facts["scenario"]["side"] == "left"
        else facts
        for facts in whole()
    ]
    assert found(every) == [("same_sequence", "warning", None, "actions, side left")]


def test_empty_cells_and_missing_scenarios_are_found():
    left = [facts for facts in whole() if facts["scenario"]["side"] == "left"]
    assert found(left) == [("missing_scenario", "warning", None, "coverage, side")]
    holed = [
        facts
        for facts in whole()
        if not facts["episode"].endswith(("right_core_far", "left_variant_far"))
    ]
    assert found(holed) == [
        ("empty_cell", "warning", None, "coverage, left far variant"),
        ("empty_cell", "warning", None, "coverage, right far core"),
    ]
    assert found(whole()[1:]) == [("thin_cells", "info", None, "coverage")]


def test_no_usable_episode_is_an_error():
    assert found([]) == [("no_episodes", "error", None, "dataset")]


@pytest.mark.parametrize(
    ("indices", "text"),
    [([4], "frame 4"), ([0, 1, 2, 7], "frames 0-2, 7"), ([1, 3], "frames 1, 3")],
)
def test_spans_are_short(indices, text):
    assert spans(indices) == text


def run(folder, every):
    audit(
        AuditSettings(dataset="made", actions=DECLARED),
        facts=write_facts(folder, every),
        report=folder / "audit.json",
        page=folder / "audit.html",
    )
    return read_json(folder / "audit.json"), (folder / "audit.html").read_text()


def spoilt():
    every = whole(attributes={"num_frames": 3})
    error = {"code": "truncated", "place": "file", "found": "a", "expected": "b", "remedy": "c"}
    hostile = "<script>alert(1)</script>"
    every.append(facts_of("z", frames=0, actions=[], errors=[{**error, "found": hostile}]))
    every.append(facts_of("a", frames=0, actions=[], errors=[error]))
    every[4]["event_types"] = None
    return every


def test_findings_are_ordered_by_severity_then_episode(tmp_path):
    report, _ = run(tmp_path, spoilt())
    assert [(one["severity"], one["episode"]) for one in report["findings"]] == [
        ("error", "a"),
        ("error", "z"),
        ("warning", NAMES[0]),
        ("info", NAMES[4]),
    ]
    assert report["findings"][2] == {
        "code": "num_frames_differs",
        "severity": "warning",
        "episode": NAMES[0],
        "file": f"raw/{NAMES[0]}.h5",
        "place": "attribute num_frames",
        "found": "3",
        "expected": "18, the number of images",
        "remedy": "check that the recording was not cut short",
    }
    assert in_order([]) == []


def test_coverage_and_statistics_count_usable_episodes(tmp_path):
    report, _ = run(tmp_path, spoilt())
    assert report["episodes"] == 38
    assert len(report["coverage"]) == 12
    assert all(entry["episodes"] == 3 for entry in report["coverage"])
    assert report["coverage"][0]["cell"] == {"side": "left", "distance": "close", "style": "core"}
    numbers = report["statistics"]
    assert (numbers["usable"], numbers["rejected"], numbers["frames"]) == (36, 2, 648)
    assert numbers["lengths"] == {"min": 18, "median": 18.0, "max": 18}
    assert sum(numbers["motions"].values()) == 648
    assert numbers["motions"]["standing"] == 36
    assert numbers["actions"]["linear_x"]["nonzero"] == pytest.approx(17 / 18, abs=1e-6)
    assert numbers["image_mean"] == [120.0, 110.0, 100.0]


def test_the_page_is_whole_and_escapes_what_it_shows(tmp_path):
    _, page = run(tmp_path, spoilt())
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page
    assert not re.search(r"(src|href|url)\s*[=(]", page)
    assert "num_frames_differs" in page and NAMES[0] in page
    assert "Nothing to report" in run(tmp_path / "good", whole())[1]
    assert "no_episodes" in run(tmp_path / "none", [])[1]


def test_the_page_gives_each_finding_its_own_remedy(tmp_path):
    error = {"code": "permission_denied", "place": "file", "found": "no", "expected": "yes"}
    every = whole() + [
        facts_of(name, frames=0, actions=[], errors=[{**error, "remedy": f"chmod +r {name}"}])
        for name in ("x", "y")
    ]
    _, page = run(tmp_path, every)
    assert "<b>Expected:</b> yes" in page
    assert "<td>chmod +r x</td>" in page and "<td>chmod +r y</td>" in page


def test_the_table_in_the_terminal_is_bounded(tmp_path, caplog):
    every = [{**facts, "event_types": None} for facts in whole()]
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
