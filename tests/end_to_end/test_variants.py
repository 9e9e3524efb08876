"""Every way to train, for real: what is trained, from where, how windows are cut, what is kept."""

import csv
import json

import pytest

from support.project import SMALL

PARTS = ("vision", "projection", "text", "text_embedding")

EXPERIMENTS = """\
experiments:
  lora:
    lora: {r: 4}
    seeds: [0, 1]
  warm:
    lora: {r: 4}
    training: {init_from: lora, epochs: 3, keep_every: 2, learning_rate: 1e-4}
  full:
    finetune: full
    training: {accumulation: 3, schedule: constant, clip: null}
  text_only:
    finetune: full
    full: {vision: false, projection: false, text_embedding: false}
  top:
    lora: {r: 2, layers: 1}
  masked:
    finetune: none
    window: 5
    chunk: 12
    stride: 2
    target: current
    tail: mask
    head: {layers: 2, mlp: [16, 8], dropout: 0.1}
    training: {segment: 1, warmup: 0.3}
  patient:
    finetune: none
    training: {epochs: 30, learning_rate: 1e-12, early_stopping: {patience: 2, min_delta: 0.01}}
  threes:
    lora: {r: 2, bias: lora_only, targets: [fc1, q_proj]}
    prompt: {template: "{side}", words: {side: {left: 왼쪽, right: 오른쪽}}}
"""

pytestmark = pytest.mark.long  # a run of each way in the finished project is trained by `make test`

NAMES = ("lora", "warm", "full", "text_only", "top", "masked", "patient", "threes")
SCORES = [
    f"results/experiments/{run}/evaluation.json"
    for run in (*(f"{name}/seed0" for name in NAMES), "lora/seed1")
]


@pytest.fixture(scope="module")
def results(finished, tmp_path_factory):
    project = finished.copy(tmp_path_factory.mktemp("variants") / "project")
    project.config = SMALL[: SMALL.index("experiments:")] + EXPERIMENTS
    project.build(*SCORES)
    assert project.plan(*SCORES) == {}
    return project.folder / "results"


def training(results, experiment, run="seed0"):
    return json.loads(
        (results / "experiments" / experiment / run / "training_results.json").read_text()
    )


def losses(results, experiment, run="seed0"):
    with (results / "experiments" / experiment / run / "metrics.csv").open() as file:
        return [float(line["val_loss"]) for line in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("experiment", "cut", "trained"),
    [
        ("lora", "image_embeds", {"adapter", "action_token", "head"}),
        (
            "full",
            "pixels",
            {"vision", "projection", "text", "text_embedding", "action_token", "head"},
        ),
        ("text_only", "image_embeds", {"text", "action_token", "head"}),
        ("top", "hidden_states", {"adapter", "head"}),
        ("masked", "readout", {"head"}),
        ("threes", "image_embeds", {"adapter", "text", "action_token", "head"}),
    ],
)
def test_each_trains_what_it_declares_from_the_deepest_exact_cut(results, experiment, cut, trained):
    found = training(results, experiment)
    assert found["cut"] == cut
    assert set(found["parameters"]["trainable"]) == trained


def test_features_are_stored_once_for_all_that_share_them(results):
    stored = sorted(file.stem[:-9] for file in (results / "features/demo/tiny").glob("[!.]*.npy"))
    assert stored == ["hidden_states", "image_embeds", "readout"]


def test_seeds_differ_and_share_the_rest(results):
    assert losses(results, "lora", "seed0") != losses(results, "lora", "seed1")
    one, other = (training(results, "lora", run) for run in ("seed0", "seed1"))
    assert one["parameters"] == other["parameters"] and one["windows"] == other["windows"]


def test_a_warm_start_begins_where_the_other_run_ended(results):
    start = training(results, "lora")["best_val_loss"]
    fresh, warm = losses(results, "lora")[0], losses(results, "warm")[0]
    assert abs(warm - start) < abs(fresh - start) or fresh == start
    snapshots = results / "experiments/warm/seed0/snapshots"
    assert [folder.name for folder in sorted(snapshots.iterdir())] == ["epoch0001"]
    assert (snapshots / "epoch0001/policy.json").is_file()


def test_accumulation_divides_the_steps(results):
    found = training(results, "full")
    batches = -(-found["windows"]["train"] // 8)
    assert found["steps"] == 2 * -(-batches // 3)
    assert (results / "experiments/full/seed0/policy/backbone.safetensors").is_file()


def test_masked_windows_are_cut_and_counted(results):
    found = training(results, "masked")
    episodes = found["episodes"]["train"]
    # 15 frames, W=5, current, masked: the last observed frame is 4, 6, … 14
    assert found["windows"]["train"] == 6 * episodes
    scored = json.loads((results / "experiments/masked/seed0/evaluation.json").read_text())
    per_episode = [min(12, 15 - last) for last in range(4, 15, 2)]
    assert scored["steps"] == scored["episodes"] * sum(per_episode)


def test_early_stopping_ends_a_run_that_does_not_improve(results):
    found = training(results, "patient")
    assert found["stopped_early"] and found["epochs"] == 3


def test_without_a_test_set_every_number_says_so_and_there_is_no_verdict(copied):
    config = SMALL.replace(
        "split: {train: 0.5, val: 0.25, test: 0.25,", "split: {train: 0.75, val: 0.25, test: 0,"
    )
    config = config[: config.index("  lora:\n    lora: {r: 4}")] + "  head_only: {finetune: none}\n"
    copied.config = config
    scores = "results/experiments/head_only/seed0/evaluation.json"
    copied.build(scores)
    found = json.loads((copied.folder / scores).read_text())
    assert found["scored_on"] == "val" and found["selected_on_scored"]
    assert found["verdict"]["outcome"] == "no_verdict"
