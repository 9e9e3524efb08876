"""Numbers that say how good a demonstration is, and when they are reported."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from PIL import Image, ImageFilter

from mobile_vla.audit.flags import flagged, inspect
from mobile_vla.audit.picture_checks import (
    LONG,
    OFFSETS,
    agreement,
    command_offsets,
    near_duplicates,
    resemblance,
)
from mobile_vla.audit.plots import EACH, POINTS, command_plots
from mobile_vla.audit.quality import (
    blurred_frames,
    brightness,
    clear_frames,
    idle_share,
    log_jerk,
    reversal_frames,
    roughness,
    sharpness,
)
from mobile_vla.audit.quality_checks import MEASURES, PEERS, far_from_peers, outlying
from mobile_vla.config.audit import CATALOGUE, Declared
from mobile_vla.ingest.image_statistics import FrameMeasures, image_motion, laplacian_variance
from mobile_vla.ingest.result import THUMBNAILS, thumbnail_step
from mobile_vla.texts import Texts
from support.clean_facts import NAMES, run, statistics, whole
from support.synthetic_datasets import changed, facts_of

RNG = np.random.default_rng(0)
SCENE = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (40, 40)).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(3)
    )
).astype(float)


def drive(*rows, name=NAMES[0]):
    return facts_of(name, len(rows), actions=[[*row, 0.0] for row in rows])


def test_the_variance_of_the_laplacian_is_that_of_the_kernel():
    grey = RNG.integers(0, 256, size=(20, 30)).astype(np.uint8)
    edges = [
        4 * int(grey[y, x])
        - sum(int(grey[y + dy, x + dx]) for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)))
        for y in range(1, 19)
        for x in range(1, 29)
    ]
    assert laplacian_variance(grey) == pytest.approx(np.var(edges), rel=1e-12)
    assert laplacian_variance(np.full((9, 9), 200, np.uint8)) == 0


@pytest.mark.parametrize("pixels", [-1, 0, 1])
def test_a_shift_of_the_picture_is_its_pan(pixels):
    before, after = SCENE[10:26, 10:26], SCENE[10:26, 10 - pixels : 26 - pixels]
    pan, zoom, change = image_motion(before, after)
    assert pan == pytest.approx(pixels / 16, abs=0.02)
    assert abs(zoom) < 0.03
    assert (change > 0) == (pixels != 0)


def test_growth_is_zoom_and_an_even_picture_does_not_move():
    at = (np.arange(16) - 7.5) / 1.1 + 17.5  # seen 1.1 times as large
    rows = [np.interp(at, np.arange(40), row) for row in SCENE]
    after = np.stack([np.interp(at, np.arange(40), column) for column in np.array(rows).T], axis=1)
    before = SCENE[10:26, 10:26]
    pan, zoom, _ = image_motion(before, after)
    assert zoom == pytest.approx(0.1, abs=0.03) and abs(pan) < 0.01
    assert image_motion(np.full((16, 16), 7.0), np.full((16, 16), 9.0)) == (0, 0, 2)


def test_frames_are_measured_in_one_pass_and_thumbnails_are_bounded():
    measures = FrameMeasures(70)
    for index in range(70):
        measures.add(index, np.full((224, 224, 3), (index, 2, 255), np.uint8))
    found = measures.result([])
    assert thumbnail_step(70) == 3 and thumbnail_step(1) == thumbnail_step(32) == 1
    small = found.small_pictures()
    assert len(small) == 24 <= THUMBNAILS and small.shape[1:] == (8, 8)
    grey = [np.asarray(Image.new("RGB", (1, 1), (at, 2, 255)).convert("L")) for at in range(70)]
    np.testing.assert_array_equal(small[:, 0, 0], np.ravel(grey)[::3])
    assert found.dark == [0.0] * 70 and len(found.pan) == 70
    shades = FrameMeasures(1)
    half = np.zeros((224, 224, 3), np.uint8)
    half[:56] = 255
    shades.add(0, half)
    assert (shades.result([]).dark, shades.result([]).bright) == ([0.75], [0.25])


def test_idle_frames_are_counted_after_the_first():
    assert idle_share(drive((0, 0), (1, 0), (0, 0), (1, 1), (0, 0))) == 0.5
    assert idle_share(drive((0, 0), (0, 0))) is None
    assert idle_share(drive((1, 0))) is None


def test_a_reversal_is_a_sign_that_changed_since_the_last_one():
    facts = drive((0, 0), (1, 0), (1, 1), (0, 0), (1, -1), (-1, -1), (0.04, 1))
    assert reversal_frames(facts) == [4, 5, 6]  # y; x; y, and x is too small to have a direction
    assert reversal_frames(drive((0, 0))) == []


def test_the_jerk_has_no_unit_and_grows_with_tremor():
    ramp = np.stack([np.array([0.0, 1, 2, 1, 0]), np.zeros(5)], axis=1)
    # second differences 0, -2, 0; duration 4; largest speed 2
    assert log_jerk(ramp) == pytest.approx(np.log(4**3 * 4 / 2**2))
    assert log_jerk(3 * ramp) == pytest.approx(log_jerk(ramp))
    smooth = np.sin(np.linspace(0, np.pi, 40))[:, None]
    shaken = smooth + 0.05 * (-1.0) ** np.arange(40)[:, None]
    assert log_jerk(shaken) > log_jerk(smooth) + 3


def test_commands_that_change_evenly_have_none():
    assert log_jerk(np.arange(18.0)[:, None] / 16) is None
    ramp = drive(*((step / 16, 0.0) for step in range(18)))
    assert roughness(ramp) is None
    list(inspect([ramp], Declared()))


def test_key_presses_have_no_jerk():
    assert roughness(facts_of(NAMES[0])) is None
    sine = [(float(value), 0.0) for value in np.sin(np.linspace(0, 3, 30))]
    assert roughness(drive(*sine)) == pytest.approx(log_jerk(np.array(sine)))


def test_sharpness_does_not_depend_on_brightness():
    bright = facts_of(NAMES[0], image_statistics=statistics(frame_mean=[128.0] * 18))
    dark = statistics(frame_mean=[64.0] * 18, sharpness=[100.0] * 18)
    assert sharpness(bright) == pytest.approx(400)
    assert sharpness(facts_of(NAMES[0], image_statistics=dark)) == pytest.approx(400)


def test_blurred_frames_are_compared_with_clear_ones_around_them():
    levels = [400.0] * 18
    levels[0] = levels[7] = levels[8] = levels[17] = 60.0
    means = [110.0] * 18
    means[8] = 1.0  # black
    facts = facts_of(NAMES[0], image_statistics=statistics(sharpness=levels, frame_mean=means))
    assert blurred_frames(facts) == [0, 7, 17]
    assert 8 not in clear_frames(facts)
    assert blurred_frames(facts_of(NAMES[0], 2)) == []
    black = facts_of(NAMES[0], image_statistics=statistics(frame_mean=[1.0] * 10 + [110.0] * 8))
    assert sharpness(black) is brightness(black) is None and blurred_frames(black) == []


def test_few_peers_say_nothing():
    (length,) = [measure for measure in MEASURES if measure.code == "other_length"]
    check = far_from_peers(length)
    every = [facts_of(NAMES[0], 9), *(facts_of(name) for name in NAMES[1 : PEERS + 1])]
    (finding,) = check(every, Declared())
    assert (str(finding.found), str(finding.expected)) == (
        "9 frames",
        f"18 frames, as in 80 % of {PEERS} other episodes",
    )
    assert list(check(every[:-1], Declared())) == []


def test_a_length_is_compared_within_its_scenario_where_there_are_enough():
    (length,) = [measure for measure in MEASURES if measure.code == "other_length"]
    name = "episode_20251103_09{:04}_1box_hori_{}_core_close".format
    left = [facts_of(name(index, "left"), 18) for index in range(9)]
    right = [facts_of(name(index, "right"), 40) for index in range(100, 109)]
    odd = facts_of(name(200, "right"), 18)
    (finding,) = far_from_peers(length)([*left, *right, odd], Declared())
    assert finding.episode == odd.episode
    assert str(finding.expected) == "40 frames, as in 80 % of 9 episodes of its scenario"


def test_spread_among_peers_widens_what_is_ordinary():
    brightness_, idle = (
        next(one for one in MEASURES if one.code == code)
        for code in ("other_brightness", "much_idle")
    )
    assert outlying(40.0, np.full(12, 110.0), brightness_)
    assert not outlying(40.0, np.linspace(30, 220, 12), brightness_)
    assert outlying(0.31, np.full(12, 0.1), idle)
    assert not outlying(0.0, np.full(12, 0.9), idle)  # of less idle time nothing is said


def filmed(name, pictures, **changes):
    """Return facts whose thumbnails are these pictures, (18, 8, 8)."""
    content = np.clip(np.rint(pictures), 0, 255).astype(np.uint8).tobytes()
    shown = statistics(name, thumbnails=base64.b64encode(content).decode())
    actions = facts_of(NAMES[0]).actions
    return facts_of(name, actions=actions, image_statistics=shown, **changes)


def test_a_drive_that_is_stored_twice_changes_in_the_same_way():
    pictures = RNG.uniform(60, 180, size=(18, 8, 8))
    noise = RNG.normal(0, 0.3, size=pictures.shape)
    first, twin = filmed(NAMES[0], pictures), filmed(NAMES[3], 1.02 * pictures + 5 + noise)
    (finding,) = near_duplicates([first, twin], Declared())
    assert (finding.code, finding.episode) == ("near_duplicate", NAMES[3])
    assert re.search(rf"{NAMES[0]}, and pictures of which 0.0\d% of the change", str(finding.found))
    exact = changed(twin, frame_file=first.frame_file)
    other = filmed(NAMES[3], 0.9 * pictures + 0.1 * RNG.uniform(60, 180, size=pictures.shape))
    still = filmed(NAMES[3], pictures[:1].repeat(18, axis=0))
    for second in (exact, other, facts_of(NAMES[3])):
        assert list(near_duplicates([first, second], Declared())) == []
    assert list(near_duplicates([still, changed(still, episode="b")], Declared())) == []


def test_two_odd_pictures_do_not_vouch_for_each_other():
    usual, odd = RNG.normal(size=(2, 64))
    usual, odd = ((one - one.mean()) / one.std() for one in (usual, odd))
    alike = resemblance(np.stack([usual] * 9 + [odd] * 2))
    assert (alike[:9] > 0.99).all() and (alike[9:] < 0.5).all()


def moved(name, offset, frames=24):
    """Return facts in which pictures move as commands say, so many frames after them."""
    rng = np.random.default_rng(int(re.sub(r"\D", "", name)[8:14]))
    keys = 1.15 * rng.integers(-1, 2, size=(frames, 2))
    keys[0] = 0
    shown = np.roll(keys, offset, axis=0) / 1.15
    motion = {
        "pan": (0.03 * shown[:, 1]).tolist(),
        "zoom": (0.1 * shown[:, 0]).tolist(),
        "change": (5.0 * shown.any(axis=1)).tolist(),
    }
    return facts_of(
        name,
        frames,
        actions=[[*map(float, row), 0.0] for row in keys],
        event_types=None,
        image_statistics=statistics(name, frames, **motion),
    )


@pytest.mark.parametrize("offset", OFFSETS)
def test_the_time_of_motion_is_that_with_the_most_agreement(offset):
    found = agreement(moved(NAMES[0], offset))
    assert OFFSETS[int(found.argmax())] == offset and found.max() > 2.5
    assert (agreement(moved(NAMES[0], offset, frames=LONG)) == 0).all()


def test_motion_is_compared_with_that_of_the_others_and_with_what_is_right():
    every = [moved(name, 1) for name in NAMES[:12]]
    assert list(command_offsets(every, Declared())) == []
    (finding,) = command_offsets([moved(NAMES[0], 0), *every[1:]], Declared())
    assert (finding.code, finding.episode) == ("other_command_offset", NAMES[0])
    assert "in the frame of a command (agreement" in str(finding.found)
    assert str(finding.expected) == "1 frame after a command, as in 11 of 12 episodes"
    (finding,) = command_offsets([moved(name, 0) for name in NAMES[:12]], Declared())
    assert (finding.code, finding.episode) == ("command_offset", None)
    assert "`target: next`" in str(finding.remedy)
    still = [facts_of(name) for name in NAMES[:12]]
    assert list(command_offsets(still, Declared())) == []


def test_remarks_leave_out_no_episode():
    """What the manifest reads with `on_warning: quarantine` are warnings."""
    every = [changed(whole()[0], actions=[[0.0] * 3] * 14 + whole()[0].actions[-4:]), *whole()[1:]]
    findings = list(inspect(every, Declared()))
    assert {one.code for one in findings if one.severity == "info"} == {"much_idle"}
    assert "much_idle" not in str(flagged(findings, ()))
    kinds = {code: kind.severity for code, kind in CATALOGUE.items()}
    assert all(kinds[measure.code] in ("warning", "info") for measure in MEASURES)


def test_the_page_draws_the_commands_of_what_is_found(tmp_path):
    idle = changed(
        whole()[0],
        actions=[[0.0] * 3] * 14 + whole()[0].actions[-4:],
        event_types=["episode_start"] + ["stop_action"] * 13 + ["start_action"] * 4,
    )
    _, page = run(tmp_path, [idle, *whole()[1:]], frames=[NAMES[0]])
    label = f"Commands of {NAMES[0]}: no command in 76% of the frames"
    assert page.count("<svg ") == 1 and f'aria-label="{label}"' in page
    assert page.count('class="mark"') == 13
    assert 'class="linear_x" d="M4,28.0H' in page and 'class="angular_z" d=' not in page


def test_plots_are_bounded():
    name = "episode_{}".format
    many = {name(index): changed(facts_of(NAMES[0]), episode=name(index)) for index in range(40)}
    long = np.random.default_rng(0).normal(size=(5000, 3)).tolist()
    many[name(0)] = facts_of(name(0), 5000, actions=long)
    (finding,) = command_offsets(
        [moved(NAMES[0], 0), *(moved(one, 1) for one in NAMES[1:12])], Declared()
    )
    findings = [finding.model_copy(update={"episode": one}) for one in many]
    (plots,) = command_plots(findings, many, Texts.of("en")).values()
    assert len(plots) == EACH
    assert max(path.count("V") for path in plots[0].lines.values()) <= POINTS
