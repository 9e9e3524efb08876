"""Mixtures in config.yaml: lists of datasets, and what the plan refuses to mix."""

import jsonschema
import pytest
import yaml

from mobile_vla.config.prompt import Prompt
from mobile_vla.config.schema import config_schema
from support.config_text import load, problems

TEXT = """\
datasets:
  lab: {kind: simulated, simulation: {scenes: 3, world: {frames: 20}}}
  autumn: {kind: simulated, simulation: {scenes: 4, world: {frames: 30, seed: 1}}}
  hall: {kind: recorded, path: /data}
  both:
    kind: mixture
    datasets: {lab: 1, autumn: {weight: 2}}
backbones:
  tiny: {weights: random}
defaults:
  dataset: both
  backbone: tiny
  window: 4
  chunk: 10
experiments:
  mixed: {}
  listed: {dataset: [lab, autumn]}
  alone: {dataset: lab}
"""


def edited(old, new):
    assert old in TEXT, old
    return TEXT.replace(old, new)


def test_a_list_of_datasets_is_a_mixture_of_equal_weights(tmp_path):
    project = load(TEXT, tmp_path)
    assert project.experiments["listed"].dataset == "lab+autumn"
    assert {name: one.weight for name, one in project.members("lab+autumn").items()} == {
        "lab": 1.0,
        "autumn": 1.0,
    }
    assert project.mixtures() == ["both", "lab+autumn"]
    assert project.used_datasets() == ["lab", "autumn"]
    assert project.mixed("listed") == ("lab", "autumn") and project.mixed("alone") == ()
    assert project.mix("lab+autumn").members == ("lab", "autumn")


@pytest.mark.parametrize("place", ["experiment", "defaults", "preset", "one"])
def test_a_list_may_stand_where_a_name_may(tmp_path, place):
    texts = {
        "experiment": TEXT,
        "defaults": edited("dataset: both", "dataset: [lab, autumn]"),
        "preset": edited(
            "experiments:", "presets: {two: {dataset: [lab, autumn]}}\nexperiments:"
        ).replace("listed: {dataset: [lab, autumn]}", "listed: {preset: two}"),
        "one": edited("[lab, autumn]", "[lab]"),
    }
    project = load(texts[place], tmp_path)
    expected = "lab" if place == "one" else "lab+autumn"
    assert project.experiments["listed"].dataset == expected
    assert (expected in project.datasets) and not project.is_mixture("lab")


def test_a_sweep_may_name_lists(tmp_path):
    swept = "listed: {sweep: {dataset: [lab, [lab, autumn], [autumn, lab]]}}"
    project = load(edited("listed: {dataset: [lab, autumn]}", swept), tmp_path)
    found = {name: one.dataset for name, one in project.experiments.items() if "listed" in name}
    assert list(found.values()) == ["lab", "lab+autumn", "autumn+lab"]


def test_only_training_is_given_the_weights(tmp_path):
    one, other = load(TEXT, tmp_path), load(edited("{weight: 2}", "3"), tmp_path)
    assert one.train("mixed", "seed0").weights == {"lab": 1.0, "autumn": 2.0}
    assert other.train("mixed", "seed0").weights == {"lab": 1.0, "autumn": 3.0}
    assert one.train("alone", "seed0").weights == {}
    for make in ("evaluate", "language", "rollout"):
        assert getattr(one, make)("mixed", "seed0") == getattr(other, make)("mixed", "seed0")
    assert one.mix("both") == other.mix("both") and one.compare() == other.compare()


def test_features_are_those_of_the_datasets(tmp_path):
    project = load(edited("mixed: {}", "mixed: {finetune: none}"), tmp_path)
    assert set(project.feature_keys(["listed"])) > set(project.feature_keys(["alone"]))
    datasets = {key[0] for key in project.feature_keys()}
    assert datasets == {"lab", "autumn"}


def test_a_prompt_of_a_dataset_s_own_reaches_its_readouts_alone(tmp_path):
    own = "{weight: 2, prompt: {template: 'to the {side}'}}"
    text = edited("{weight: 2}", own).replace("mixed: {}", "mixed: {finetune: none}")
    project = load(text.replace("alone: {dataset", "alone: {finetune: none, dataset"), tmp_path)
    policy = project.policy("mixed")
    assert policy.prompt_of("autumn") == Prompt(template="to the {side}")
    assert policy.prompt_of("lab") == policy.prompt == Prompt()
    keys = {view: project.feature_key("mixed", "plain", view) for view in ("lab", "autumn")}
    assert keys["lab"] == project.feature_key("alone", "plain", "lab") != keys["autumn"]
    assert project.train("mixed", "seed0").policy.prompts == {"autumn": policy.prompt_of("autumn")}
    audited = {own.name: own.prompt for own in project.audit("autumn").experiments}
    assert audited == {"mixed": policy.prompt_of("autumn"), "listed": Prompt()}


def test_each_world_that_is_known_is_driven_in(tmp_path):
    project = load(edited("autumn: {weight: 2}", "hall: 2"), tmp_path)
    assert [world.dataset for world in project.worlds("both")] == ["lab"]
    assert [world.world.frames for world in project.worlds("lab+autumn")] == [20, 30]
    assert project.rolled_out() == ["mixed", "listed", "alone"]


def test_the_schema_knows_both_forms(tmp_path):
    jsonschema.validate(yaml.safe_load(TEXT), config_schema())
    for wrong in ("{weight: 0}", "[2]", "-1"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(edited("{weight: 2}", wrong)), config_schema())


LISTS = {
    "nothing": ("[]", "an empty list"),
    "unknown": ("[lab, autum]", "unknown dataset 'autum'"),
    "twice": ("[lab, lab]", "'lab' stands twice"),
    "number": ("[lab, 3]", "found 3"),
    "a mixture": ("[lab, both]", "'both' is a mixture itself"),
    "other split": ("[lab, hall]", "`split`"),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_wrong_list_is_refused_at_its_place(tmp_path, name):
    listed, found = LISTS[name]
    text = edited("[lab, autumn]", listed)
    text = text.replace("path: /data", "path: /data, split: {train: 0.8, val: 0.2}")
    (place, problem), *others = problems(text, tmp_path).items()
    assert not others and place.startswith("17 (experiments.listed.dataset")
    assert found in problem.found, problem


DIFFERENCES = {
    "dimensions": ("actions: {dimensions: [linear_x]}", "has `actions.dimensions` linear_x"),
    "scale": ("actions: {scale: 2}", "has `actions.scale` 2, and 'lab' has 1.15"),
    "units": ("units: {linear_x: 0.2 m/s}", "has `units` linear_x 0.2 m/s, and 'lab' has nothing"),
    "resize": ("images: {resize: crop}", "has `images.resize` crop"),
    "folds": ("split: {kind: kfold, folds: 3}", "has `split` of 3 folds, and 'lab' has of kind"),
    "no test": ("split: {train: 0.8, val: 0.2}", "has `split` without test episodes"),
    "held out": ("split: {kind: leave_one_out, key: side}", "leaves out one side of left, right"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_datasets_that_one_policy_cannot_learn_from_are_refused(tmp_path, name):
    setting, found = DIFFERENCES[name]
    text = edited("seed: 1}}", f"seed: 1}}}}, {setting}")
    wrong = problems(text, tmp_path)
    assert len(wrong) == 2  # of the mixture, and of the list
    assert [place.split(".")[0] for place in wrong] == ["7 (datasets", "17 (experiments"]
    for problem in wrong.values():
        assert found in problem.found and "give both the same" in problem.remedy, problem


OTHERS = {
    "unknown member": ("autumn: {weight: 2}", "autum: 2", "unknown dataset 'autum'"),
    "zero": ("{weight: 2}", "0", "found 0"),
    "one dataset": ("{lab: 1, autumn: {weight: 2}}", "{lab: 1}", "found {'lab': 1}"),
    "a split": ("kind: mixture", "kind: mixture\n    split: {kind: kfold}", "unknown key 'split'"),
    "scored twice": ("mixed: {}", "mixed: {evaluate_on: [autumn]}", "'autumn', which the"),
    "scored on one": (
        "alone: {dataset: lab}",
        "alone: {dataset: lab, evaluate_on: [both]}",
        "'both' is a mixture",
    ),
    "ablation": ("mixed: {}", "mixed: {timing: {ablation: true}}", "on the mixture 'both'"),
    "too short": ("frames: 20", "frames: 12", "the episodes of 'lab' have 12"),
    "one prompt": ("{weight: 2}", "{weight: 2, prompt: {template: go}}", "the prompt 'go'"),
    "the same scenes": (
        ", seed: 1",
        "",
        "'lab' and 'autumn' are simulated with the `world.seed` 0",
    ),
    "the name of a list": ("  both:", "  lab+autumn: {kind: simulated}\n  both:", "is named"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_mistakes_are_refused_with_their_line(tmp_path, name):
    old, new, found = OTHERS[name]
    wrong = list(problems(edited(old, new), tmp_path).values())
    assert any(found in problem.found for problem in wrong), wrong


def test_a_mixture_with_a_mistake_hides_no_other_mistake(tmp_path):
    text = edited("autumn: {weight: 2}", "autum: 2").replace("chunk: 10", "chunk: 100")
    found = [problem.found for problem in problems(text, tmp_path).values()]
    assert any("unknown dataset 'autum'" in one for one in found)
    assert any("need 104 frames" in one or "chunk 100" in one for one in found)


def test_each_run_trains_on_the_same_fold_of_every_dataset(tmp_path):
    folds = "split: {kind: kfold, folds: 3, seed: %d}"
    text = edited("world: {frames: 20}}", "world: {frames: 20}}, " + folds % 0)
    project = load(text.replace("seed: 1}}", "seed: 1}}, " + folds % 1), tmp_path)
    assert project.runs_of("mixed") == ["seed0-fold0", "seed0-fold1", "seed0-fold2"]
    assert project.train("listed", "seed0-fold2").fold == 2
