from __future__ import annotations

import itertools
from collections import Counter

import h5py
import numpy as np
import pytest
from PIL import Image

from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.simulator import Simulation, World, simulated_episodes
from mobile_vla.files import read_json
from mobile_vla.ingest.ingest import ingest
from mobile_vla.layout import EpisodeFiles, RawFiles
from mobile_vla.result import FileDigest
from mobile_vla.simulator.camera import render
from mobile_vla.simulator.driver import drive
from mobile_vla.simulator.simulate import event_types, simulate, time_period
from mobile_vla.simulator.world import (
    START,
    STEP,
    Cuboid,
    Pose,
    Robot,
    make_scene,
    passed_side,
    reached,
    touches_box,
)


@pytest.fixture(scope="module")
def drives():
    episodes = simulated_episodes(Simulation(scenes=60))
    return {name: (settings, drive(settings)) for name, settings in episodes.items()}


@pytest.fixture(scope="module")
def scene():
    return make_scene(World(variation=0), 0, "medium", "hori")


def exact(scene):
    return Robot(scene, np.random.default_rng(0), slip=0.0)


def test_commands_are_keys_and_the_first_is_none(drives):
    for _, driven in drives.values():
        assert driven.actions.shape == (20, 3) and driven.actions.dtype == np.float32
        assert set(np.unique(driven.actions)) <= {np.float32(-1.15), 0.0, np.float32(1.15)}
        assert not driven.actions[0].any()
        assert not driven.actions[:, 2].any()


def test_the_driver_nearly_always_succeeds_and_then_stands(drives):
    assert np.mean([driven.succeeded for _, driven in drives.values()]) > 0.9
    for settings, driven in drives.values():
        if driven.succeeded:
            assert driven.arrival is not None
            pressed = driven.actions.any(axis=1)
            stop = int(pressed.sum()) + 1  # nothing is pressed at frame 0
            assert pressed[1:stop].all() and not pressed[stop:].any()
            # It parks a little nearer than would do.
            assert driven.arrival <= stop <= driven.arrival + 2
            assert passed_side(driven.scene, driven.poses) == settings.side


@pytest.mark.parametrize("distance", ["close", "medium", "far"])
def test_the_target_is_reached_shortly_before_the_end(drives, distance):
    arrivals = [
        driven.arrival if driven.arrival is not None else 99
        for settings, driven in drives.values()
        if settings.distance == distance
    ]
    assert 16 <= np.median(arrivals) <= 18


def test_both_sides_of_a_scene_look_the_same(drives):
    by_scene = {}
    for settings, driven in drives.values():
        by_scene.setdefault(settings.scene, []).append(driven)
    for left, right in by_scene.values():
        assert left.scene == right.scene
    assert len({both[0].scene for both in by_scene.values()}) == 60
    left, right = by_scene[0]
    np.testing.assert_array_equal(render(left.scene, START), render(right.scene, START))


def test_a_growing_dataset_keeps_its_episodes():
    few = simulated_episodes(Simulation(scenes=4))
    many = simulated_episodes(Simulation(scenes=8))
    for name, settings in few.items():
        np.testing.assert_array_equal(drive(settings).actions, drive(many[name]).actions)


def test_sides_and_distances_are_balanced(drives):
    counts = Counter((settings.side, settings.distance) for settings, _ in drives.values())
    assert set(counts.values()) == {20}


def test_replaying_the_usual_keys_does_not_suffice(drives):
    """Scenes differ: the median keys by side and frame are off by a fifth of the scale."""
    actions = {side: [] for side in ("left", "right")}
    for settings, driven in drives.values():
        actions[settings.side].append(driven.actions[:, :2] / 1.15)
    errors = []
    for sequences in map(np.stack, actions.values()):
        train, test = sequences[::2], sequences[1::2]
        errors.append(np.abs(test - np.median(train, axis=0)).mean())
    assert np.mean(errors) > 0.18


def test_a_still_world_is_the_same_for_every_scene():
    world = World(variation=0, slip=0)
    one, other = (make_scene(world, number, "far", "vert") for number in (1, 2))
    assert (one.box.x, one.box.y, one.target.x) == (other.box.x, other.box.y, other.target.x)
    assert one.wall != other.wall


def test_an_exact_step_moves_by_the_command(scene):
    robot = exact(scene)
    robot.step((1.15, -1.15))
    assert robot.pose == pytest.approx((STEP, -STEP))
    robot.step((0.575, 0.0, 9.9))
    assert robot.pose == pytest.approx((1.5 * STEP, -STEP))
    robot.step((-100.0, 0.0))
    assert robot.pose == pytest.approx((0.5 * STEP, -STEP))
    assert len(robot.trail) == 4 and robot.trail[0] == START


def test_the_box_stops_the_robot(scene):
    robot = exact(scene)
    for _ in range(30):
        robot.step((1.15, 0.0))
    front = scene.box.x - scene.box.depth / 2 - 0.15
    assert front - STEP / 4 <= robot.pose.x <= front
    assert robot.touched and not touches_box(scene, robot.pose)
    assert not robot.succeeded("left") and not robot.succeeded("right")


def test_success_means_the_told_side(scene):
    robot = exact(scene)
    for _ in range(4):
        robot.step((0.0, 1.15))
    while robot.pose.x < scene.target.x:
        robot.step((1.15, 0.0))
    for _ in range(3):
        robot.step((0.0, -1.15))
    assert robot.reached and not robot.touched
    assert robot.succeeded("left") and not robot.succeeded("right")


def test_a_trail_that_never_passes_has_no_side(scene):
    assert passed_side(scene, [START, Pose(0.5, 0.0)]) is None
    assert not reached(scene, START)


def test_slips_are_the_seeds(scene):
    def trail(seed):
        robot = Robot(scene, np.random.default_rng(seed), slip=0.5)
        return [robot.step((1.15, 0.0)) for _ in range(5)]

    assert trail(1) == trail(1) != trail(2)
    still = Robot(scene, np.random.default_rng(0), slip=1.0)
    assert still.step((0.0, 0.0)) == START


def seen(image, colour):
    """Return the columns in which a colour stands."""
    return np.flatnonzero((image == np.array(colour)).all(axis=2).any(axis=0))


def test_the_camera_sees_left_on_the_left(scene):
    image = render(scene, START)
    assert image.shape == (720, 1280, 3) and image.dtype == np.uint8
    box = seen(image, scene.box.colour)
    # 0.55 m wide, at its front 1.675 m away, through a lens of 700 pixels.
    assert len(box) == pytest.approx(700 * 0.55 / (scene.box.x - 0.175), abs=2)
    assert box.mean() == pytest.approx(640, abs=1)
    moved = seen(render(scene, Pose(0.0, 0.3)), scene.box.colour)
    assert moved.mean() - 640 == pytest.approx(700 * 0.3 / (scene.box.x - 0.175), abs=2)
    assert len(seen(render(scene, Pose(0.6, 0.0)), scene.box.colour)) > 1.3 * len(box)


def test_what_is_near_covers_what_is_far(scene):
    assert len(seen(render(scene, START), scene.target.colour)) == 0
    assert len(seen(render(scene, Pose(0.0, 0.9)), scene.target.colour)) > 10


def test_a_box_beside_the_lens_is_cut_at_the_near_plane(scene):
    beside = Pose(scene.box.x, scene.box.y + 0.4)  # its front corner is behind the lens
    right_of_it = render(scene, beside)[:, 1279]
    shaded = np.array([int(value * 0.7) for value in scene.box.colour])
    assert (right_of_it == shaded).all(axis=1).sum() > 50
    assert render(scene, Pose(scene.target.x + 1, 0.0)).shape == (720, 1280, 3)


def test_cuboids_do_not_float():
    assert Cuboid(0, 0, 1, 1, 1, (0, 0, 0)).base == 0.0


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    name, settings = next(iter(simulated_episodes(Simulation(scenes=1)).items()))
    for copy in ("one", "two"):
        raw = folder / copy / f"{name}.h5"
        simulate(settings, RawFiles(raw, raw.with_suffix(".json")))
    return settings, folder / "one" / f"{name}.h5", folder / "two" / f"{name}.h5"


def test_the_same_settings_give_the_same_bytes(written):
    _, one, two = written
    assert one.read_bytes() == two.read_bytes()
    assert FileDigest.read(one.with_suffix(".json")) == FileDigest.of(one)


def test_the_file_is_in_the_users_format(written):
    settings, path, _ = written
    driven = drive(settings)
    with h5py.File(path) as file:
        assert set(file) == {"images", "actions", "action_event_types", "language_instruction"}
        images = file["images"]
        assert images.shape == (20, 720, 1280, 3) and images.dtype == np.uint8
        assert images.chunks == (1, 720, 1280, 3) and images.compression == "gzip"
        np.testing.assert_array_equal(images[5], render(driven.scene, driven.poses[5]))
        np.testing.assert_array_equal(file["actions"][()], driven.actions)
        assert file["actions"].dtype == np.float32
        assert h5py.check_string_dtype(file["action_event_types"].dtype).length is None
        assert file["action_event_types"].asstr()[:2].tolist() == ["episode_start", "start_action"]
        assert file["language_instruction"].dtype == np.dtype("S256")
        assert file["language_instruction"][0].endswith(b"beverage bottle on the left")
        assert dict(file.attrs) == {
            "episode_name": path.stem,
            "total_duration": 40.0,
            "num_frames": 20,
            "action_chunk_size": 10,
            "obstacle_layout_type": "hori",
            "time_period": "dawn",
            "collection_datetime": "2025-11-01T06:30:00",
            "collection_hour": 6,
            "collection_minute": 30,
            "scene": "scene-0",
        }


def test_a_simulated_episode_passes_ingest(written, tmp_path):
    settings, path, _ = written
    ingest(
        IngestSettings(dataset="demo", episode=path.stem, images=Images()),
        EpisodeFiles(tmp_path / "facts.json", tmp_path / "frames.npy"),
        raw=path,
    )
    facts = read_json(tmp_path / "facts.json")
    assert facts["errors"] == []
    assert facts["group"] == "scene-0"
    assert facts["scenario"] == {
        "obstacles": "1box",
        "layout": "hori",
        "side": "left",
        "style": "core",
        "distance": "close",
    }
    driven = drive(settings)
    frame = Image.fromarray(render(driven.scene, driven.poses[7])).resize((224, 224), 3)
    np.testing.assert_array_equal(np.load(tmp_path / "frames.npy")[7], np.asarray(frame))


def test_events_and_hours_have_the_collectors_names():
    actions = np.array([[0, 0, 0], [1.15, 0, 0], [0, 0, 0]])
    assert event_types(actions) == ["episode_start", "start_action", "stop_action"]
    hours = [(hour, time_period(hour)) for hour in range(24)]
    runs = [(name, len(list(run))) for name, run in itertools.groupby(hours, lambda one: one[1])]
    assert runs == [("night", 5), ("dawn", 4), ("morning", 4), ("evening", 8), ("night", 3)]
