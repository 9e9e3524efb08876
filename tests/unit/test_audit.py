from __future__ import annotations

import base64
import json
import logging
import re
from collections import Counter
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobile_vla.audit.audit import audit, look
from mobile_vla.audit.findings import LISTED, in_order, spans
from mobile_vla.audit.thumbnails import CODE, fair
from mobile_vla.config.audit import AuditedExperiment, AuditSettings, Declared
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.errors import UserError
from mobile_vla.files import digest_of, read_json
from support.made import facts_of, write_facts

NAMES = [
    f"episode_20251103_09{index:02}{half:02}_1box_hori_{side}_{style}_{distance}"
    for index, distance in enumerate(["close", "medium", "far"])
    for style in ("core", "variant")
    for side in ("left", "right")
    for half in range(3)
]
USUAL = AuditedExperiment(
    name="usual", windows=Windows(window=8, chunk=10), prompt=Prompt(template="pass on the {side}")
)


def whole(**changes):
    """Return facts of a faultless set, the first episode changed."""
    every = [facts_of(name) for name in NAMES]
    every[0] = {**every[0], **changes}
    return every


def settings(**changes):
    return AuditSettings(**{"dataset": "made", "experiments": (USUAL,), **changes})


def found(every, actions=None, **changes):
    declared = Declared(actions=actions or Actions())
    return [
        (finding.code, finding.severity, finding.episode, finding.place)
        for finding in look(every, settings(declared=declared, **changes)).findings
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
            {"file": "raw/left_core_close.h5", "attributes": {}}, "name_outside_scheme", "info",
            "name",
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
        ("prompt_incomplete", "error", None, "experiment usual, prompt"),
        ("scenario_incomplete", "warning", "episode_20251103_091241", "name"),
        ("thin_cells", "info", None, "coverage"),
    ]
    assert found(every, on_warning="quarantine") == [
        ("scenario_incomplete", "warning", "episode_20251103_091241", "name")
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
    assert found(left) == [("missing_side", "warning", None, "coverage, side")]
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


def run(folder, every, frames=(), **changes):
    audit(
        settings(**changes),
        facts=write_facts(folder, every, frames=frames),
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
        "frames": [],
        "found": "3",
        "expected": "18, the number of images",
        "remedy": "check that the recording was not cut short",
        "accepted": None,
    }
    assert report["totals"] == {"error": 2, "warning": 1, "info": 1, "accepted": 0}
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
    assert not re.search(r"(src|href|url)\s*[=(](?!\"data:image/jpeg;base64,)", page)
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


def test_accepted_findings_keep_their_place_and_count_apart(tmp_path, caplog):
    reason = "the collector's counter began at 1; <b>harmless</b>"
    with caplog.at_level(logging.INFO):
        report, page = run(tmp_path, spoilt(), accept={"num_frames_differs": reason})
    assert report["totals"] == {"error": 2, "warning": 0, "info": 1, "accepted": 1}
    last = report["findings"][-1]
    assert (last["code"], last["accepted"]) == ("num_frames_differs", reason)
    assert "harmless&lt;/b&gt;" in page and "1 accepted" in page
    assert "3 findings about 38 episodes, and 1 accepted" in caplog.text
    assert f"(accepted: {reason})" in caplog.text


def test_an_audit_in_which_all_is_accepted_is_no_warning(tmp_path, caplog):
    every = whole(attributes={"num_frames": 17})
    with caplog.at_level(logging.INFO):
        run(tmp_path, every, accept={"num_frames_differs": "known"})
    assert {record.levelno for record in caplog.records} == {logging.INFO}


def test_episodes_left_out_for_warnings_count_nowhere(tmp_path):
    every = [*whole(), facts_of("episode_20251103_101500_1box_hori_left_core_close", frames=9)]
    every[-1]["attributes"]["num_frames"] = 8
    kept, _ = run(tmp_path / "kept", every)
    assert [one["code"] for one in kept["findings"]] == ["too_short", "num_frames_differs"]
    assert kept["statistics"]["lengths"]["min"] == 9 and kept["statistics"]["flagged"] == 0
    out, page = run(tmp_path / "out", every, on_warning="quarantine")
    assert [one["code"] for one in out["findings"]] == ["num_frames_differs"]
    assert out["statistics"]["lengths"]["min"] == 18 and out["statistics"]["flagged"] == 1
    assert "1 left out for their warnings" in page
    accept = {"num_frames_differs": "known"}
    same, _ = run(tmp_path / "same", every, on_warning="quarantine", accept=accept)
    assert [one["code"] for one in same["findings"]] == ["too_short", "num_frames_differs"]


def mixed(lengths):
    return [facts_of(name, length) for name, length in zip(NAMES, lengths, strict=True)]


def test_each_experiment_is_told_what_its_window_and_chunk_leave():
    def experiment(name, **changes):
        return USUAL.model_copy(update={"name": name, "windows": Windows(**changes)})

    experiments = (
        USUAL,
        experiment("twin", window=8, chunk=10),
        experiment("small", window=4, chunk=10, stride=2),
        experiment("masked", window=8, chunk=10, tail="mask"),
        experiment("long", window=16, chunk=10),
    )
    # the six episodes of the last two cells are short, and two of the first one
    looked = look(mixed([14, 14] + [18] * 28 + [12] * 6), settings(experiments=experiments))
    numbers = {cut.experiments: cut.record() for cut in looked.cuts}
    usual = numbers["usual", "twin"]
    assert (usual["frames_needed"], usual["windows"], usual["episodes"]) == (18, 28, 28)
    assert usual["too_short"] == sorted(NAMES[:2] + NAMES[30:], key=NAMES.index)
    small = numbers[("small",)]
    assert (small["windows"], small["episodes"], len(small["too_short"])) == (28 * 3 + 2, 30, 6)
    masked = numbers[("masked",)]
    assert (masked["windows"], masked["too_short"]) == (28 * 10 + 2 * 6 + 6 * 4, [])
    assert [(one.code, one.place) for one in looked.findings] == [
        ("no_windows", "experiment long"),
        ("cell_too_short", "experiment small, left far variant"),
        ("cell_too_short", "experiment small, right far variant"),
        ("cell_too_short", "experiments usual, twin, left far variant"),
        ("cell_too_short", "experiments usual, twin, right far variant"),
        ("too_short", "experiment small"),
        ("too_short", "experiments usual, twin"),
    ]
    (usual_words,) = [one for one in looked.findings if one.place.endswith("usual, twin")]
    assert usual_words.found.startswith("8 of 36 episodes give no window, 28 give 28: ")
    assert f"{NAMES[0]} (14)" in usual_words.found
    assert usual_words.expected.startswith("18 frames for window 8 and chunk 10")


def test_prompts_must_differ_where_the_sides_do():
    constant = USUAL.model_copy(update={"name": "constant", "prompt": Prompt(template="go")})
    words = Prompt(template="{side}", words={"side": {"left": "on", "right": "on"}})
    mapped = USUAL.model_copy(update={"name": "mapped", "prompt": words})
    looked = look(whole(), settings(experiments=(USUAL, constant, mapped)))
    assert [(one.code, one.severity, one.place) for one in looked.findings] == [
        ("same_prompt", "error", "experiment constant, prompt"),
        ("same_prompt", "error", "experiment mapped, prompt"),
    ]
    left = [facts for facts in whole() if facts["scenario"]["side"] == "left"]
    assert found(left, experiments=(constant,)) == [
        ("missing_side", "warning", None, "coverage, side")
    ]


def colours(red, blue):
    return statistics(strong={"red": red, "blue": blue})


def test_the_order_of_colours_is_judged_by_clearly_coloured_things():
    cool = [{**facts, "image_statistics": colours(0.01, 0.2)} for facts in whole()]
    grey = [{**facts, "image_statistics": colours(0.001, 0.004)} for facts in whole()]
    even = [{**facts, "image_statistics": colours(0.1, 0.15)} for facts in whole()]
    assert found(cool) == [("probable_bgr", "warning", None, "images")]
    settled = Declared(color_settled=True)
    assert not look(cool, settings(declared=settled)).findings
    assert found(grey) == found(even) == []
    one = whole(image_statistics=colours(0.001, 0.2))
    expected = [("other_color_order", "warning", NAMES[0], "images")]
    assert found(one) == expected
    assert [finding.code for finding in look(one, settings(declared=settled)).findings] == [
        "other_color_order"
    ]
    assert found([cool[0], *whole()[1:]]) == expected
    assert found([whole()[0], *cool[1:]])[1:] == expected


def test_normalised_actions_are_found_in_one_episode_and_in_all():
    def divided(facts):
        return {**facts, "actions": [[x / 1.15, y / 1.15, z] for x, y, z in facts["actions"]]}

    one = [divided(facts) if facts["episode"] == NAMES[0] else facts for facts in whole()]
    assert found(one) == [("actions_normalised", "warning", NAMES[0], "actions")]
    every = [divided(facts) for facts in whole()]
    assert found(every) == [("actions_normalised", "warning", None, "actions")]
    assert found(every, Actions(scale=1)) == []


def test_normalised_images_are_not_called_black_as_well():
    dim = statistics(max=1, frame_mean=[0.4] * FRAMES, frame_std=[0.5] * FRAMES)
    assert found(whole(image_statistics=dim)) == [
        ("images_normalised", "warning", NAMES[0], "images")
    ]


def test_thumbnails_show_the_frames_and_are_bounded(tmp_path):
    names = sorted(NAMES)
    every = sorted(whole(), key=lambda facts: facts["episode"])
    for index, (changes, actions) in enumerate(
        [
            ({"frame_mean": [1.0] * FRAMES}, None),
            ({"frame_mean": [1.0] * 2 + MEAN[2:]}, [[1.15, 0.0, 0.0]]),
            ({"frame_mean": [*MEAN[1:], 1.0], "frame_std": [0.5] * 9 + [40.0] * 9}, None),
            ({"frame_mean": [254.0, *MEAN[1:]]}, None),
        ]
        * 2
    ):
        every[index]["image_statistics"] = statistics(**changes)
        if actions:
            every[index].update(actions=actions + every[index]["actions"][1:], event_types=None)
    report, page = run(tmp_path / "1", every, frames=names[:8])
    pictures = report["thumbnails"]
    assert Counter(picture["code"] for picture in pictures) == {
        "black_frames": CODE,
        "flat_frames": 6,
        "white_frames": 2,
        "first_action_not_zero": 2,
    }
    black = [(one["episode"], one["frame"]) for one in pictures if one["code"] == "black_frames"]
    assert black == [
        (names[half + index], frame)
        for half in (0, 4)
        for index, frames in ((0, (0, 8, 17)), (1, (0, 1)), (2, (17,)))
        for frame in frames
    ]
    first = next(one for one in pictures if one["code"] == "black_frames")
    assert first["alt"] == f"Frame 0 of {names[0]}: frames that are black"
    image = Image.open(BytesIO(base64.b64decode(first["image"].partition(",")[2])))
    assert image.size == (112, 112) and image.format == "JPEG"
    assert page.count("<img ") == len(pictures) and first["image"] in page
    again, _ = run(tmp_path / "2", every, frames=names[:8])
    assert again["thumbnails"] == pictures


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
    every = [{**facts, "image_statistics": colours(0.01, 0.2)} for facts in whole()]
    report, page = run(tmp_path, every, frames=sorted(NAMES)[:2])
    assert [one["swapped"] for one in report["thumbnails"]] == [False, True] * 2
    assert "red and blue swapped</figcaption>" in page


def test_frames_that_are_not_there_are_named(tmp_path):
    every = whole(image_statistics=statistics(frame_mean=[1.0] * FRAMES))
    with pytest.raises(UserError, match=f"{NAMES[0]}.npy: not readable as frames"):
        run(tmp_path, every)


def test_lists_of_frames_are_bounded():
    odd = [index % 2 == 0 for index in range(400)]
    facts = facts_of(NAMES[0], 400)
    facts["image_statistics"]["frame_mean"] = [1.0 if one else 100.0 for one in odd]
    (finding,) = [one for one in look([facts], settings()).findings if one.code == "black_frames"]
    assert len(finding.frames) == LISTED
    assert finding.place.endswith("96, 98 and so on, 200 in all")


def test_the_statistics_hold_dates_and_the_commonest_sequence(tmp_path):
    every = whole(
        attributes={**facts_of(NAMES[0])["attributes"], "collection_datetime": "2025-12-24T09"}
    )
    every[1]["actions"] = every[2]["actions"]
    every[1]["scenario"] = every[2]["scenario"]
    report, page = run(tmp_path, every)
    assert report["statistics"]["dates"] == {"2025-11-03": 35, "2025-12-24": 1}
    shared = report["statistics"]["same_sequence"]
    assert set(shared) == {"left", "right"} and shared["left"]["episodes"] >= 2
    assert shared["left"]["share"] == pytest.approx(
        shared["left"]["episodes"] / shared["left"]["of"], abs=1e-6
    )
    assert "Episodes, 2025-12-24" in page
