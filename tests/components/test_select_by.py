"""The checkpoint that is kept as the best, chosen by driving."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.simulator import (
    MAX_SCENES,
    MAX_VALIDATION_SCENES,
    UNSEEN,
    Simulation,
    World,
    simulated_episodes,
    unseen_episodes,
    validation_episodes,
)
from mobile_vla.config.training import EarlyStopping
from mobile_vla.driving.drivers import PolicyDriver
from mobile_vla.driving.scenes import driven_worlds, prompts_of
from mobile_vla.driving.simulation import roll_out
from mobile_vla.model.policy import Policy
from mobile_vla.model.streaming import Stream
from mobile_vla.training import scene_drives as drives_module
from mobile_vla.training.loop import best_of, exhausted
from mobile_vla.training.result import read_metrics
from mobile_vla.training.scene_drives import SceneDrives
from support.config_text import BASE, load, problems
from support.driven import WORLD, driven_settings, inputs_for
from support.training_results import epoch_of
from support.training_run import Inputs, run, settings_of

KINDS = ("lora", "none", "full")


def numbers(episodes):
    return {one.scene for one in episodes.values()}


def test_no_scene_of_the_validation_is_in_a_dataset_or_a_rollout():
    of_dataset = numbers(simulated_episodes(Simulation(scenes=9)))
    assert of_dataset == set(range(9))  # and a dataset has MAX_SCENES at most
    most = MAX_VALIDATION_SCENES
    first = numbers(validation_episodes(World(), most))
    last = numbers(validation_episodes(World(), most, UNSEEN - MAX_SCENES - most))
    rollouts = numbers(unseen_episodes(World(), 9))
    assert len(first) == len(last) == most
    assert min(first) == MAX_SCENES > max(of_dataset)
    assert max(last) < min(rollouts)
    with pytest.raises(ValueError, match="one of the rollouts'"):
        validation_episodes(World(), most, UNSEEN - MAX_SCENES - most + 1)


def test_worlds_of_a_mixture_have_scenes_of_their_own():
    world = driven_settings().drives.worlds[0]
    two = driven_worlds((world, world), validation_episodes, 3, 1.5)
    scenes = [{one.scene for one in own.episodes} for own in two]
    assert [len(own) for own in scenes] == [3, 3] and not scenes[0] & scenes[1]
    assert {own.limit for own in two} == {9}


TEXT = BASE.replace("datasets:\n", "datasets:\n  lab: {kind: recorded, path: /data}\n")


@pytest.mark.parametrize("dataset", ["lab", "[demo, lab]"])
def test_a_dataset_without_a_known_world_is_refused(tmp_path, dataset):
    text = TEXT + f"    dataset: {dataset}\n    training: {{select_by: rollout}}\n"
    (problem,) = problems(text.replace("lora: {}", "lora:"), tmp_path).values()
    assert problem.place.endswith(" (experiments.lora.training.select_by)")
    assert problem.found == "`rollout`, and no simulator knows the world of 'lab'"
    assert "kind: simulated" in problem.expected and "val_loss" in problem.remedy


def test_a_run_is_given_where_it_drives_and_others_nothing(tmp_path):
    def given(**training):
        lines = f"    training: {json.dumps(training)}\n    rollout: {{execute: 2}}\n"
        project = load(BASE.replace("lora: {}", "lora:") + lines, tmp_path)
        return project.train("lora", "seed0")

    drives = given(select_by="rollout", validation_scenes=7).drives
    assert (drives.scenes, drives.execute, drives.time_limit, drives.batch_size) == (7, 2, 1.5, 16)
    assert [world.dataset for world in drives.worlds] == ["demo"]
    assert given(validation_scenes=7) == given() == load(BASE, tmp_path).train("lora", "seed0")
    assert given().drives is None


def history_of(*values):
    return [
        epoch_of(number, loss, loss, val_success=success)
        for number, (success, loss) in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([(0.2, 0.1), (0.4, 0.3), (0.3, 0.0)], 1),
        ([(0.4, 0.3), (0.4, 0.2), (0.4, 0.2)], 1),  # of as many arrivals the lower loss, the first
        ([(0.0, 0.3), (0.0, 0.2)], 1),
        ([(None, 0.3), (None, 0.2), (None, 0.4)], 1),
    ],
)
def test_the_best_epoch_arrives_most_often(values, best):
    assert best_of(history_of(*values)).epoch == best


@pytest.mark.parametrize(
    ("values", "stops"),
    [
        ([(0.5, 0.3), (0.4, 0.1), (0.4, 0.0)], True),  # the loss falls, and fewer arrive
        ([(0.5, 0.1), (0.4, 0.2), (0.6, 0.3)], False),
        ([(0.0, 0.5), (0.0, 0.4), (0.0, 0.3)], False),  # none arrives yet, and the loss falls
        ([(1.0, 0.5), (1.0, 0.49), (1.0, 0.48)], True),  # by less than min_delta
    ],
)
def test_early_stopping_follows_the_same_measure(values, stops):
    stopping = EarlyStopping(patience=2, min_delta=0.1)
    assert exhausted(history_of(*values), stopping) is stops


def test_processes_share_the_batches_of_robots(monkeypatch):
    """Each drives some, and the sum of what they count is what one process counts."""
    arrived = []

    def outcomes(episodes, *_, **__):
        arrived.extend(one.episode for one in episodes)
        return [
            SimpleNamespace(outcome="success" if "left" in one.episode else "timeout")
            for one in episodes
        ]

    monkeypatch.setattr(drives_module, "roll_out", outcomes)
    settings = driven_settings()
    policy = SimpleNamespace(texts=(), eval=lambda: None, use_prompts=lambda *_: None)
    data = SimpleNamespace(backbone=SimpleNamespace(processor=lambda: None))
    found = []
    for rank, processes in ((0, 1), (0, 2), (1, 2)):
        trainer = SimpleNamespace(
            policy=policy,
            rank=rank,
            precision="fp32",
            training=SimpleNamespace(processes=processes),
            sum_over_processes=lambda values: values,
        )
        found.append(SceneDrives(settings, trainer, data).success())
    whole, *shares = found
    assert whole == sum(shares) == 0.5
    assert arrived[:4] == arrived[4:] and len(set(arrived)) == 4  # three, then one


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


def columns(folder):
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


@pytest.fixture(scope="module")
def by_loss(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("by_loss")
    run(inputs, folder, settings_of())
    return folder


RATES = (0.25, 0.75, 0.75, 0.5)


@pytest.fixture(scope="module")
def driven(inputs, tmp_path_factory):
    """A run that really drives, and whose drives are then given other outcomes."""
    folder, rates = tmp_path_factory.mktemp("driven"), iter(RATES)
    original = SceneDrives.success

    def success(self):
        assert original(self) in {count / 4 for count in range(5)}
        return next(rates)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SceneDrives, "success", success)
        run(inputs, folder, driven_settings())
    return folder


def test_driving_leaves_the_training_as_it_is(driven, by_loss):
    found = columns(driven)
    assert found.pop("val_success") == list(RATES)
    assert found == columns(by_loss)
    last = "last/head.safetensors"
    assert (driven / last).read_bytes() == (by_loss / last).read_bytes()


def test_the_policy_that_arrives_most_often_is_kept_and_said_to_be(driven, by_loss):
    history = read_metrics(driven / "metrics.csv")
    best = min((1, 2), key=lambda epoch: history[epoch].val_loss)
    assert min(history, key=lambda epoch: epoch.val_loss).epoch == 3
    results = json.loads((driven / "training_results.json").read_text())
    assert results["best_epoch"] == best
    assert results["best_val_loss"] == history[best].val_loss
    assert results["driven"] == {"scenes": 2, "drives": 4, "best_success": 0.75}
    described = json.loads((driven / "policy/policy.json").read_text())
    assert described["epoch"] == best and described["metrics"]["val_success"] == 0.75
    of_loss = json.loads((by_loss / "policy/policy.json").read_text())
    assert "val_success" not in of_loss["metrics"]
    assert "driven" not in json.loads((by_loss / "training_results.json").read_text())
    assert "val_success" not in columns(by_loss)


@pytest.mark.parametrize("finetune", KINDS)
def test_it_drives_as_the_stored_policy_does(inputs, tmp_path, monkeypatch, finetune):
    settings = driven_settings(finetune, epochs=1)
    seen = []

    def recorded(*args, **options):
        found = roll_out(*args, **options)
        seen.extend(found)
        return found

    monkeypatch.setattr(drives_module, "roll_out", recorded)
    run(inputs, tmp_path, settings, **inputs_for(inputs, finetune))
    assert len(seen) == 4

    checkpoint = Checkpoint.read(inputs.backbone)
    policy = Policy.from_pretrained(tmp_path / "last", checkpoint, "fp32")
    (world,) = driven_worlds(settings.drives.worlds, validation_episodes, 2, 1.0)
    table = prompts_of(settings.policy, [world])
    policy.use_prompts(table.texts, checkpoint.processor())
    assert len(table.texts) == 2
    prompts = {
        one.episode: place for one, place in zip(world.episodes, table.of_episode, strict=True)
    }
    again = roll_out(
        world.episodes,
        lambda batch: PolicyDriver(
            Stream(policy, [prompts[one.episode] for one in batch]), "next", 1
        ),
        images=world.images,
        limit=WORLD.frames,
        batch_size=3,
    )
    for one, other in zip(seen, again, strict=True):
        np.testing.assert_array_equal(one.commands, other.commands)
        assert one.commands[1:].any()
