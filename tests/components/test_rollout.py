"""Closed-loop rollouts: timing as recorded, outcomes, drivers and their comparison."""

import numpy as np
import pytest

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.driving import DatasetWorld
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.model import PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.rollout import Rollout, RolloutSettings
from mobile_vla.config.simulator import Simulation, World, simulated_episodes, unseen_episodes
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.data.dataset import Dataset
from mobile_vla.driving.drivers import ExpertDriver, FrequentActions, PolicyDriver, ReplayDriver
from mobile_vla.driving.simulation import ended, frame_of, outcome_of, roll_out
from mobile_vla.ingest.ingest import ingest
from mobile_vla.layout import EpisodeFiles, RawFiles, RolloutFiles
from mobile_vla.model.policy import Policy
from mobile_vla.rollout.result import PathLengthRatio, RolloutResult
from mobile_vla.rollout.rollout import rollout
from mobile_vla.rollout.summary import compare_drivers, summarise_driver
from mobile_vla.runs.data import PolicyInputs, trained_on
from mobile_vla.simulator.driver import drive, robot_of
from mobile_vla.simulator.simulate import simulate
from mobile_vla.simulator.world import Pose
from mobile_vla.statistics.proportions import paired_mean, proportion
from support.synthetic_datasets import make_dataset, write_roles
from support.tiny import make_backbone
from support.training_run import origin_of

WORLD = World()
IMAGES = Images(color="rgb")
UNCERTAINTY = Uncertainty(draws=1000)


def rolled(episodes, driver_of, limit=30, batch_size=7):
    return roll_out(episodes, driver_of, images=IMAGES, limit=limit, batch_size=batch_size)


def unseen(count=20):
    return list(unseen_episodes(WORLD, count).values())


def test_the_expert_drives_its_recorded_episodes_again_frame_by_frame():
    episodes = list(simulated_episodes(Simulation(scenes=30)).values())
    for episode, found in zip(
        episodes, rolled(episodes, ExpertDriver, limit=WORLD.frames), strict=True
    ):
        recorded = drive(episode)
        steps = len(found.commands)
        np.testing.assert_array_equal(found.commands, recorded.actions[:steps])
        np.testing.assert_array_equal(found.poses, np.array(recorded.poses)[: steps + 1])
        assert not found.commands[0].any()
        assert (found.outcome == "success") == recorded.succeeded
        if recorded.succeeded:
            assert steps == recorded.arrival


class Recorder(ExpertDriver):
    """The expert, which keeps the frames that it was shown."""

    sees = True
    shown: list

    def commands(self, step, poses, frames):
        self.shown.append(frames.copy())
        return super().commands(step, poses, frames)


@pytest.mark.parametrize("images", [Images(), Images(resize="crop"), Images(color="bgr")])
def test_a_driver_sees_the_frames_that_ingest_makes_of_the_raw_file(tmp_path, images):
    name, episode = next(
        iter(simulated_episodes(Simulation(scenes=1, world=World(frames=4))).items())
    )
    raw = tmp_path / f"{name}.h5"
    simulate(episode, RawFiles(raw, tmp_path / "digest.json"))
    ingest(
        IngestSettings(dataset="demo", episode=name, images=images),
        EpisodeFiles(tmp_path / "facts.json", tmp_path / "frames.npy"),
        raw=raw,
    )
    Recorder.shown = []
    roll_out([episode], Recorder, images=images, limit=4, batch_size=1)
    np.testing.assert_array_equal(
        np.concatenate(Recorder.shown), np.load(tmp_path / "frames.npy")[:3]
    )


def test_unseen_scenes_are_in_no_dataset_and_grow_without_changing():
    seen = {one.scene for one in simulated_episodes(Simulation(scenes=100_000)).values()}
    few, many = unseen_episodes(WORLD, 3), unseen_episodes(WORLD, 9)
    assert not seen & {one.scene for one in many.values()}
    assert len(many) == 18 and few == {name: many[name] for name in few}
    assert {one.side for one in few.values()} == {"left", "right"}
    assert {one.distance for one in few.values()} == {"close", "medium", "far"}


def test_the_batch_does_not_change_what_happens():
    episodes = unseen(6)
    one, many = (rolled(episodes, ExpertDriver, batch_size=size) for size in (1, 5))
    for first, second in zip(one, many, strict=True):
        np.testing.assert_array_equal(first.poses, second.poses)


class Fixed:
    """Gives the same command all the time."""

    sees = False

    def __init__(self, command):
        self.command = np.array(command, dtype=np.float32)

    def commands(self, step, poses, frames):
        return np.tile(self.command, (len(poses), 1))

    def keep(self, robots):
        pass


def test_outcomes_are_told_apart():
    episodes = list(unseen_episodes(World(variation=0, slip=0), 1).values())
    straight = rolled(episodes, lambda batch: Fixed((1.15, 0, 0)))
    assert [one.outcome for one in straight] == ["collision"] * 2
    standing = rolled(episodes, lambda batch: Fixed((0, 0, 0)), limit=9)
    assert [one.outcome for one in standing] == ["timeout"] * 2
    assert [len(one.poses) for one in standing] == [9, 9]
    swapped = [
        one.model_copy(update={"side": {"left": "right", "right": "left"}[one.side]})
        for one in episodes
    ]
    wrong = rolled(
        episodes, lambda batch: ExpertDriver([swapped[episodes.index(one)] for one in batch])
    )
    assert [one.outcome for one in wrong] == ["wrong_side"] * 2
    assert [one.outcome for one in rolled(episodes, ExpertDriver)] == ["success"] * 2


def test_a_robot_that_passes_on_the_wrong_side_and_gets_lost_was_on_the_wrong_side():
    episode = next(iter(unseen_episodes(World(variation=0, slip=0), 1).values()))
    robot = robot_of(episode)
    away = -1 if episode.side == "left" else 1
    for _ in range(5):
        robot.step((0, away * 1.15))
    for _ in range(30):
        robot.step((1.15, 0))
    assert not ended(robot) and outcome_of(robot, episode) == "wrong_side"


def test_a_robot_before_the_wall_still_sees_a_frame():
    scene = robot_of(unseen(1)[0]).scene
    for x in (6.5, 6.96, 8.0):
        assert frame_of(scene, Pose(x, 0.0), IMAGES).shape == (224, 224, 3)


class Chunks:
    """Stands in for a stream: its chunk says at which frame it was made and which step it is."""

    class policy:  # noqa: N801
        class settings:  # noqa: N801
            actions = Actions(dimensions=("linear_y", "angular_z"))

    def __init__(self):
        self.frame = -1

    def step(self, frames):
        self.frame += 1
        steps = np.arange(5)
        return np.stack([np.full(5, self.frame), steps], axis=1)[None].astype(np.float32)

    def keep(self, robots):
        pass


@pytest.mark.parametrize(
    ("target", "execute", "expected"),
    [
        # (frame it was predicted at, step of the chunk) for frames 0, 1, 2 …
        ("next", 1, [(0, 0), (0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]),
        ("next", 3, [(0, 0), (0, 0), (0, 1), (0, 2), (3, 0), (3, 1)]),
        ("current", 1, [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]),
        ("current", 2, [(0, 0), (0, 1), (2, 0), (2, 1), (4, 0), (4, 1)]),
    ],
)
def test_a_chunk_is_carried_out_at_the_frames_that_it_was_trained_for(target, execute, expected):
    driver = PolicyDriver(Chunks(), target, execute)
    frame = np.zeros((1, 224, 224, 3), dtype=np.uint8)
    given = [driver.commands(step, [Pose(0, 0)], frame)[0].tolist() for step in range(6)]
    assert given == [[0.0, *map(float, one)] for one in expected]


class Late(ExpertDriver):
    """An expert in training, whose commands come two frames late once it drives by itself."""

    def __init__(self, episodes):
        super().__init__(episodes)
        self.waiting = [np.zeros((len(episodes), 3), dtype=np.float32)] * 2

    def commands(self, step, poses, frames):
        self.waiting.append(super().commands(step, poses, frames))
        return self.waiting.pop(0)

    def keep(self, robots):
        super().keep(robots)
        self.waiting = [commands[np.asarray(robots)] for commands in self.waiting]


def test_right_in_training_and_two_frames_late_in_closed_loop_is_noticed():
    recorded = list(simulated_episodes(Simulation(scenes=10)).values())
    for episode in recorded:  # frame by frame on recorded poses there is no error at all
        driven, expert = drive(episode), ExpertDriver([episode])
        predicted = [expert.commands(t, [pose], None)[0] for t, pose in enumerate(driven.poses)]
        np.testing.assert_array_equal(np.array(predicted), driven.actions)
    episodes = unseen(40)
    expert, late = rolled(episodes, ExpertDriver), rolled(episodes, Late)
    rollouts = {"policy": late, "expert": expert}
    compared = compare_drivers(episodes, rollouts, "expert", UNCERTAINTY)
    assert compared.verdict == "worse than the expert"
    of_late, of_expert = (
        summarise_driver(episodes, rollouts, expert, UNCERTAINTY) for rollouts in (late, expert)
    )
    assert of_late.success.high < of_expert.success.low
    rollouts = {"policy": expert, "expert": expert, "replay": late}
    verdicts = [
        compare_drivers(episodes, rollouts, other, UNCERTAINTY).verdict
        for other in ("expert", "replay")
    ]
    assert verdicts == ["inconclusive", "better than the replay"]
    assert of_expert.path_length_ratio == PathLengthRatio(rollouts=80, median=1.0)


def test_few_scenes_give_no_verdict():
    episodes = unseen(7)
    expert, lost = rolled(episodes, ExpertDriver), rolled(episodes, lambda batch: Fixed((0, 0, 0)))
    rollouts = {"policy": expert, "expert": lost}
    compared = compare_drivers(episodes, rollouts, "expert", UNCERTAINTY)
    assert compared.verdict == "inconclusive"


def test_the_replay_repeats_the_most_frequent_actions_of_like_episodes(tmp_path):
    names = [
        "episode_20251103_090000_1box_hori_left_core_close",
        "episode_20251103_090100_1box_hori_left_variant_close",
        "episode_20251103_090200_1box_hori_left_core_far",
    ]
    dataset = make_dataset(tmp_path, dict(zip(names, (6, 6, 5), strict=True)))
    frequent = FrequentActions(dataset, [0, 1, 2])
    first, second = dataset.actions[:12].reshape(2, 6, 3)
    close = frequent.sequence({"side": "left", "distance": "close", "layout": "hori"})
    agreed = (first == second).all(axis=1)
    np.testing.assert_array_equal(close[agreed], first[agreed])
    far = frequent.sequence({"side": "left", "distance": "far", "layout": "vert"})
    np.testing.assert_array_equal(far, dataset.actions[12:])
    right = frequent.sequence({"side": "right", "distance": "far", "layout": "vert"})
    assert right.shape == (6, 3)  # nothing is known of the right: all episodes count


def test_the_replay_stands_when_its_episodes_are_over(tmp_path):
    name = "episode_20251103_090000_1box_hori_left_core_close"
    frequent = FrequentActions(make_dataset(tmp_path, {name: 4}), [0])
    driver = ReplayDriver(frequent, unseen(1)[:1])
    commands = [driver.commands(step, [Pose(0, 0)], None)[0] for step in range(6)]
    assert np.any(commands[:4]) and not np.any(commands[4:])


def test_a_proportion_has_its_interval_and_an_open_bound_decides_nothing():
    always = proportion(10, 10, UNCERTAINTY)
    assert (always.rate, always.high) == (1.0, 1.0) and 0.6 < always.low < 0.9
    few = paired_mean(np.array([0.0, 1.0]), UNCERTAINTY)
    assert few.low is None and not few.above(-5) and few.mean == 0.5
    same = paired_mean(np.full(9, 0.25), UNCERTAINTY)
    assert same.above(0.2) and same.below(0.3) and not same.above(0.25)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An untrained policy, rolled out by the stage itself in two scenes."""
    folder = tmp_path_factory.mktemp("rollout")
    names = list(simulated_episodes(Simulation(scenes=3)))
    make_dataset(folder, dict.fromkeys(names, 9))
    manifest = folder / "manifest.json"
    split = folder / "split.json"
    write_roles(split, {"train": names[:2], "val": names[2:4], "test": names[4:]})
    backbone = make_backbone(folder / "backbone")
    checkpoint = Checkpoint.read(backbone)
    settings = PolicySettings(
        window=2,
        chunk=3,
        finetune="none",
        lora=None,
        full=None,
        head=Lstm(hidden_size=4),
        prompt=Prompt(template="pass on the {side} ({distance})"),
        actions=Actions(),
    )
    policy = Policy(settings, checkpoint.model(), checkpoint.processor(), ("only this one",), 0)
    given = RolloutSettings(
        experiment="made",
        run="seed0",
        seed=0,
        windows=Windows(window=settings.window, chunk=settings.chunk),
        policy=settings,
        precision="fp32",
        threads=1,
        worlds=(DatasetWorld(dataset="made", images=IMAGES, world=World(frames=6)),),
        rollout=Rollout(scenes=2, batch_size=3, film_strips=2),
        uncertainty=UNCERTAINTY,
    )

    data = trained_on(Dataset.load(manifest, folder / "actions.npy"), split, given)
    policy.save_pretrained(folder / "policy", checkpoint, origin_of(data=data))
    inputs = PolicyInputs(
        policy=folder / "policy/policy.json",
        manifest=manifest,
        actions=folder / "actions.npy",
        split=split,
        backbone=backbone,
    )

    def run(name):
        outputs = RolloutFiles(folder / name / "rollouts.json", folder / name / "rollouts.npz")
        rollout(given, inputs, outputs, threads=1)
        return folder / name

    return run("one"), run("two"), Dataset.load(manifest, folder / "actions.npy")


def test_a_rollout_gives_the_same_bytes_again(finished):
    one, two, _ = finished
    for name in ("rollouts.json", "rollouts.npz"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_the_files_say_what_happened(finished):
    folder, _, dataset = finished
    result = RolloutResult.read(folder / "rollouts.json")
    assert (result.scenes, result.rollouts, result.frame_limit) == (2, 4, 9)
    assert result.manifest == dataset.digest
    for driver in ("policy", "expert", "replay"):
        assert sum(result.drivers[driver].outcomes.values()) == 4
    result.paths_file.verify(folder / "rollouts.npz")
    with np.load(folder / "rollouts.npz", allow_pickle=False) as data:
        assert data["policy_poses"].shape == (4, 9, 2)
        assert data["policy_outcome"].tolist() == [outcomes.policy for outcomes in result.each]
        assert data["strip"].shape == (2, 6, 112, 112, 3)
        assert data["strip"].dtype == np.uint8 and data["strip"].std() > 10
