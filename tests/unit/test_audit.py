"""What the audit finds in the facts of episodes, and what it does not."""

from __future__ import annotations

import numpy as np
import pytest

from mobile_vla.audit.findings import LISTED, spans
from mobile_vla.config.audit import Declared
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions, Windows
from support.clean_facts import (
    FRAMES,
    LIKE_OTHER,
    MEAN,
    NAMES,
    USUAL,
    assessed,
    colours,
    first,
    found,
    settings,
    statistics,
    whole,
)
from support.sentences import defect
from support.synthetic_datasets import changed, facts_of


def note(code, place):
    return defect(code, place)


def test_a_faultless_set_gives_no_finding():
    assert found(whole()) == []


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
            {"event_types": None, "notes": [note("unclear_events", "action_event_types")]},
            "unclear_events", "warning", "action_event_types",
        ),
        (
            {"notes": [note("actions_rounded", "actions")]}, "actions_rounded", "info", "actions",
        ),
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
            {"actions": [[x, -y, z] for x, y, z in facts_of(NAMES[0]).actions]},
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
    assert found(whole(episode=f"day1--{NAMES[0]}", attributes=facts.attributes)) == []


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
    error = defect("truncated")
    every = [*whole(), facts_of("broken", frames=0, actions=[], errors=[error])]
    assert found(every) == [("truncated", "error", "broken", "file")]


def test_duplicates_are_found_by_bytes_and_by_content():
    same_bytes = whole(sha256=LIKE_OTHER.sha256)
    assert found(same_bytes) == [("duplicate_file", "warning", NAMES[1], "file")]
    same_content = whole(frame_file=LIKE_OTHER.frame_file, actions=LIKE_OTHER.actions)
    assert found(same_content) == [("duplicate_content", "warning", NAMES[1], "file")]


def test_constant_and_unused_dimensions_are_found():
    both = Actions(dimensions=("linear_x", "linear_y", "angular_z"))
    place = "actions, angular_z"
    assert found(whole(), both) == [("constant_dimension", "warning", None, place)]
    turning = whole(actions=first(r5=[1.15, 0.0, 0.25]))
    assert found(turning) == [("unused_dimension", "warning", None, place)]
    assert found(turning, both) == []


def test_one_sequence_for_all_is_found():
    actions = facts_of("x_left").actions
    every = [
        changed(facts, actions=actions) if facts.scenario["side"] == "left" else facts
        for facts in whole()
    ]
    assert found(every) == [("same_sequence", "warning", None, "actions, side left")]


def test_empty_cells_and_missing_scenarios_are_found():
    left = [facts for facts in whole() if facts.scenario["side"] == "left"]
    assert found(left) == [("missing_side", "warning", None, "coverage, side")]
    holed = [
        facts
        for facts in whole()
        if not facts.episode.endswith(("right_core_far", "left_variant_far"))
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


def mixed(lengths):
    return [facts_of(name, length) for name, length in zip(NAMES, lengths, strict=True)]


def test_windows_are_counted_for_each_experiment():
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
    every = mixed([14, 14] + [18] * 28 + [12] * 6)
    findings, yields = assessed(every, settings(experiments=experiments))
    numbers = {windows.experiments: windows for windows in yields}
    usual = numbers["usual", "twin"]
    assert (usual.frames_needed, usual.windows, usual.episodes) == (18, 28, 28)
    assert list(usual.too_short) == sorted(NAMES[:2] + NAMES[30:], key=NAMES.index)
    small = numbers[("small",)]
    assert (small.windows, small.episodes, len(small.too_short)) == (28 * 3 + 2, 30, 6)
    masked = numbers[("masked",)]
    assert (masked.windows, masked.too_short) == (28 * 10 + 2 * 6 + 6 * 4, ())
    assert [(finding.code, finding.place) for finding in findings] == [
        ("no_windows", "experiment long"),
        ("cell_too_short", "experiment small, left far variant"),
        ("cell_too_short", "experiment small, right far variant"),
        ("cell_too_short", "experiments usual, twin, left far variant"),
        ("cell_too_short", "experiments usual, twin, right far variant"),
        ("too_short", "experiment small"),
        ("too_short", "experiments usual, twin"),
    ]
    (usual_words,) = [one for one in findings if one.place.endswith("usual, twin")]
    assert str(usual_words.found).startswith("8 of 36 episodes give no window, 28 give 28: ")
    assert f"{NAMES[0]} (14)" in str(usual_words.found)
    assert str(usual_words.expected).startswith("18 frames for window 8 and chunk 10")


def test_prompts_must_differ_where_the_sides_do():
    constant = USUAL.model_copy(update={"name": "constant", "prompt": Prompt(template="go")})
    words = Prompt(template="{side}", words={"side": {"left": "on", "right": "on"}})
    mapped = USUAL.model_copy(update={"name": "mapped", "prompt": words})
    findings, _ = assessed(whole(), settings(experiments=(USUAL, constant, mapped)))
    assert [(finding.code, finding.severity, finding.place) for finding in findings] == [
        ("same_prompt", "error", "experiment constant, prompt"),
        ("same_prompt", "error", "experiment mapped, prompt"),
    ]
    left = [facts for facts in whole() if facts.scenario["side"] == "left"]
    assert found(left, experiments=(constant,)) == [
        ("missing_side", "warning", None, "coverage, side")
    ]


def test_the_order_of_colours_is_judged_by_clearly_coloured_things():
    def all_of(red, blue):
        return [
            changed(facts, image_statistics=colours(red, blue, facts.episode)) for facts in whole()
        ]

    cool, grey, even = all_of(0.01, 0.2), all_of(0.001, 0.004), all_of(0.1, 0.15)
    assert found(cool) == [("probable_bgr", "warning", None, "images")]
    settled = Declared(color_settled=True)
    assert not assessed(cool, settings(declared=settled))[0]
    assert found(grey) == found(even) == []
    one = whole(image_statistics=colours(0.001, 0.2))
    expected = [("other_color_order", "warning", NAMES[0], "images")]
    assert found(one) == expected
    (finding,), _ = assessed(one, settings(declared=settled))
    assert finding.code == "other_color_order"
    assert found([cool[0], *whole()[1:]]) == expected
    assert found([whole()[0], *cool[1:]])[1:] == expected


def test_normalised_actions_are_found_in_one_episode_and_in_all():
    def divided(facts):
        return changed(facts, actions=[[x / 1.15, y / 1.15, z] for x, y, z in facts.actions])

    one = [divided(facts) if facts.episode == NAMES[0] else facts for facts in whole()]
    assert found(one) == [("actions_normalised", "warning", NAMES[0], "actions")]
    every = [divided(facts) for facts in whole()]
    assert found(every) == [("actions_normalised", "warning", None, "actions")]
    assert found(every, Actions(scale=1)) == []


def test_normalised_images_are_not_called_black_as_well():
    dim = statistics(max=1, frame_mean=[0.4] * FRAMES, frame_std=[0.5] * FRAMES)
    assert found(whole(image_statistics=dim)) == [
        ("images_normalised", "warning", NAMES[0], "images")
    ]


def test_lists_of_frames_are_bounded():
    odd = [index % 2 == 0 for index in range(400)]
    mean, std = [1.0 if dark else 100.0 for dark in odd], [40.0] * 400
    shown = statistics(frames=400, frame_mean=mean, frame_std=std)
    facts = facts_of(NAMES[0], 400, image_statistics=shown)
    findings, _ = assessed([facts], settings())
    (finding,) = [one for one in findings if one.code == "black_frames"]
    assert len(finding.frames) == LISTED
    assert finding.place.endswith("96, 98, …")
