"""The users' own experiments on a small dataset, from presets to scores, and to the page."""

import csv
import json

import pytest

from support.project import SMALL, Project

pytestmark = pytest.mark.long  # the first week trains two of them in `make test`

PRESETS = ("robovlms_full_finetune", "mobile_vla_lora_20251106", "mobile_vla_lora_20251112")
EPOCHS = {"epochs": 2, "learning_rate": 1e-3}

SWEEP = """\
  seen:
    finetune: none
    sweep: {window: [3, 9]}
    match: optimizer_steps
"""
EXPERIMENTS = "experiments:\n" + "".join(
    f"  {name}:\n    preset: {name}\n    training: {json.dumps(EPOCHS)}\n" for name in PRESETS
)


SCORES = [
    f"results/experiments/{name}/seed0/evaluation.json"
    for name in (*PRESETS, "seen-window3", "seen-window9")
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    small = SMALL.replace("frames: 15", "frames: 19")
    config = "include: presets\n" + small[: small.index("experiments:")] + EXPERIMENTS + SWEEP
    project = Project(tmp_path_factory.mktemp("presets") / "project", config)
    project.build(*SCORES)
    assert project.plan(*SCORES) == {}
    return project


@pytest.fixture(scope="module")
def results(project):
    return project.folder / "results"


def training(results, name):
    return json.loads((results / "experiments" / name / "seed0/training_results.json").read_text())


def metrics(results, name):
    with (results / "experiments" / name / "seed0/metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "cut", "windows", "per_step"),
    [
        ("robovlms_full_finetune", "pixels", 2, 4),
        ("mobile_vla_lora_20251106", "image_embeds", 2, 8),
        ("mobile_vla_lora_20251112", "image_embeds", 6, 8),
    ],
)
def test_each_preset_trains_as_it_says(results, name, cut, windows, per_step):
    found = training(results, name)
    assert found["cut"] == cut
    assert found["precision"] in ("fp32", "fp16")  # the latter where there is a GPU
    assert found["windows"]["train"] == windows * found["episodes"]["train"]
    assert found["steps"] == 2 * -(-found["windows"]["train"] // per_step)
    text = {"vision", "projection", "text", "text_embedding"} if cut == "pixels" else {"adapter"}
    assert set(found["parameters"]["trainable"]) == {*text, "action_token", "head"}


def test_the_losses_stand_under_the_users_names_where_there_is_padding(results):
    for name in PRESETS:
        padded = name != "mobile_vla_lora_20251106"
        assert (training(results, name)["padding"] is not None) == padded
        for row in metrics(results, name):
            assert ("val_loss_arm_act" in row) == padded
            if padded:
                assert float(row["val_loss_arm_act"]) < float(row["val_loss"])
                assert 0 <= float(row["train_acc_gripper_act"]) <= 1
    found = training(results, "mobile_vla_lora_20251112")["padding"]
    assert (found["action_dim"], found["velocities"], found["averaged_over"]) == (7, 2, 6)


def test_policies_answer_velocities(results):
    for name in PRESETS:
        scored = json.loads((results / "experiments" / name / "seed0/evaluation.json").read_text())
        assert scored["dimensions"] == ["linear_x", "linear_y"]


def test_a_sweep_with_match_trains_equally_long_on_unequal_windows(results):
    short, long = (training(results, f"seen-window{size}") for size in (3, 9))
    assert short["windows"]["train"] > long["windows"]["train"]
    assert short["steps"] == long["steps"]
    assert long["epochs"] > short["epochs"] == 2


def test_the_page_warns_of_padding_and_shows_the_sweep(project, results):
    project.build()
    assert project.plan() == {}
    page = (results / "report.html").read_text()
    assert page.count("Padding dilutes the loss that is minimised") == 2
    assert "Combinations of seen" in page and "all were trained for" in page
    assert (results / "figures/sweeps.svg").is_file()
    assert (results / "tables/sweeps.csv").read_text().count("\n") == 3
