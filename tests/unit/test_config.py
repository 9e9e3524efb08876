"""config.yaml: every mistake at once and in its place."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from mobile_vla.config.loading import SHIPPED, included, read_project
from mobile_vla.config.mistakes import INSTEAD
from mobile_vla.config.schema import config_schema, schema
from mobile_vla.errors import UserError
from support.config_text import BASE, load, problems


def test_the_shipped_config_is_valid():
    file = Path(__file__).parents[2] / "config.yaml"
    project = read_project(file)
    assert list(project.experiments) == ["lora", "lora_r8", "head_only"]


def test_an_experiment_says_only_what_it_does_differently(tmp_path):
    project = load(BASE + "  lora_r8:\n    lora: {r: 8}\n", tmp_path)
    assert project.experiments["lora_r8"].lora.r == 8
    assert project.experiments["lora_r8"].lora.alpha == project.experiments["lora"].lora.alpha
    assert project.experiments["lora_r8"].window == 4


@pytest.mark.parametrize("key", ["window", "lora", "training"])
def test_null_or_missing_defaults_fall_back_to_the_types(tmp_path, key):
    text = BASE.replace("  window: 4\n", "") if key == "window" else BASE
    if key == "window":
        found = problems(text, tmp_path)
        (problem,) = found.values()
        assert problem.found == "'window' is neither among the defaults nor in the experiment"
    else:
        assert load(text, tmp_path).experiments["lora"].lora.r == 32


def test_all_mistakes_are_listed_together_with_place_and_likely_word(tmp_path):
    text = """\
datasets:
  demo: {kind: simulated, simulation: {scens: 3}}
  mine: {kind: recorded, patern: x}
backbones:
  tiny: {weights: random}
  hub: {checkpoint: microsoft/kosmos-2-patch14-224}
defaults:
  dataset: demo
  backbone: tiny
  window: 4
  chunk: 10
  trainig: {}
experiments:
  lora: {}
  "lora r8": {lora: {r: 0, dropuot: 1}}
  third: {dataset: dmo, backbone: [1]}
  fourth: {dataset: elsewhere}
reprot: {}
"""
    found = problems(text, tmp_path)
    expected = {
        "2 (datasets.demo.simulation.scens)": "did you mean 'scenes'?",
        "3 (datasets.mine.path)": "required",
        "3 (datasets.mine.patern)": "did you mean 'pattern'?",
        "6 (backbones.hub)": "",
        "12 (defaults.trainig)": "did you mean 'training'?",
        "15 (experiments.lora r8)": "letters, digits",
        "15 (experiments.lora r8.lora.r)": "greater than or equal to 1",
        "15 (experiments.lora r8.lora.dropuot)": "did you mean 'dropout'?",
        "16 (experiments.third.backbone)": "text",
        "18 (reprot)": "did you mean 'report'?",
    }
    for place, words in expected.items():
        assert place in found, (place, sorted(found))
        assert words in found[place].expected
    assert "revision" in found["6 (backbones.hub)"].found


def test_names_are_checked_although_other_entries_are_wrong(tmp_path):
    text = BASE + "  second: {dataset: dmo}\n  third: {chunk: many}\n"
    found = problems(text, tmp_path)
    assert found["12 (experiments.second.dataset)"].expected == "did you mean 'demo'?"
    assert "13 (experiments.third.chunk)" in found


@pytest.mark.parametrize(
    ("added", "example", "expected"),
    [
        ("", "zzz", "one of lora"),
        ("", "loar", "did you mean 'lora'?"),
        ("  r8: {timing_only: true}\n", "r8", "one of lora"),
        ("  s: {sweep: {window: [2, 3]}}\n", "s", "one of lora, s-window2, s-window3"),
        ("  s: {sweep: {window: [2, 3]}}\n", "s-window4", "did you mean 's-window3'?"),
    ],
)
def test_an_example_that_no_experiment_is_names_those_of_the_report(
    tmp_path, added, example, expected
):
    line = len((BASE + added).splitlines()) + 2
    found = problems(f"{BASE}{added}report:\n  example: {example}\n", tmp_path)
    problem = found[f"{line} (report.example)"]
    assert problem.found == f"no experiment of the report is called {example!r}"
    assert problem.expected == expected and len(found) == 1


def test_an_example_with_mistakes_of_its_own_is_not_called_unknown(tmp_path):
    found = problems(BASE + "  b: {window: -1}\nreport: {example: b}\n", tmp_path)
    assert list(found) == ["12 (experiments.b.window)"]


def test_a_wrong_default_is_reported_once_at_its_line(tmp_path):
    text = BASE.replace("window: 4", "window: four") + "  second: {}\n  third: {}\n"
    found = problems(text, tmp_path)
    assert len(found) == 1
    (place,) = found
    assert place.startswith("8 ")


def test_a_repeated_key_is_an_error(tmp_path):
    found = problems(BASE + "  lora: {window: 5}\n", tmp_path)
    assert "stands twice, first in line 11" in found["12"].found


def test_yaml_that_cannot_be_read_is_an_error_with_its_line(tmp_path):
    (place,) = problems(BASE + "  x: [\n", tmp_path)
    assert place == "13"


@pytest.mark.parametrize("text", ["", "experiments: {}\n", "datasets: 3\nexperiments: [1]\n"])
def test_a_config_of_the_wrong_kind_is_an_error(tmp_path, text):
    assert problems(text, tmp_path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("training: {epochs: true}", "expected a number"),
        ("training: {learning_rate: .inf}", "finite"),
        ("training: {clip: .nan}", "finite"),
        ("seeds: 3", "a list"),
        ("training: 3", "a mapping"),
        ("prompt: {template: '{sied}'}", "unknown placeholder {sied}"),
    ],
)
def test_values_that_pydantic_would_take_or_explain_in_python_are_refused(tmp_path, line, words):
    found = problems(BASE + f"  second: {{{line}}}\n", tmp_path)
    (problem,) = found.values()
    assert words in problem.found + problem.expected


@pytest.mark.parametrize("shares", ["train: 0.85, val: 0.2", "train: 0.8", "val: 0.2, test: 0.2"])
def test_a_split_that_is_not_whole_names_its_hidden_share(tmp_path, shares):
    text = BASE.replace("{kind: simulated,", f"{{kind: simulated, split: {{{shares}}},")
    (problem,) = problems(text, tmp_path).values()
    assert "must be 1" in problem.found and "test: 0" in problem.found


@pytest.mark.parametrize("shares", ["train: 0.8, val: 0.2", "train: '0.7', val: 3e-1"])
def test_a_split_into_train_and_val_has_no_test_set(tmp_path, shares):
    text = BASE.replace("{kind: simulated,", f"{{kind: simulated, split: {{{shares}}},")
    assert load(text, tmp_path).datasets["demo"].split.test == 0


def test_the_shipped_config_fits_the_schema():
    file = Path(__file__).parents[2] / "config.yaml"
    jsonschema.validate(yaml.safe_load(file.read_text()), config_schema())


def test_windows_longer_than_every_episode_are_an_error_with_the_numbers(tmp_path):
    text = BASE.replace("scenes: 3", "scenes: 3, world: {frames: 13}")
    (problem,) = problems(text, tmp_path).values()
    assert "need 14 frames" in problem.found and "have 13" in problem.found
    load(text.replace("frames: 13", "frames: 14"), tmp_path)
    load(text.replace("chunk: 10", "chunk: 10\n  tail: mask"), tmp_path)
    load(text.replace("chunk: 10", "chunk: 10\n  target: current"), tmp_path)


def test_one_prompt_for_both_sides_is_an_error(tmp_path):
    text = BASE.replace("chunk: 10", "chunk: 10\n  prompt: {template: go to the target}")
    (problem,) = problems(text, tmp_path).values()
    assert "same for left and right" in problem.found


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ("{init_from: lroa}", "unknown experiment 'lroa'"),
        ("{init_from: second}", "starts from itself"),
        ("{init_from: other_rank}", "another lora than"),
        ("{init_from: padded}", "another padding than"),
        ("{init_from: gpt}, head: {type: gpt}, window: 2", "another window than"),
    ],
)
def test_impossible_starts_are_errors(tmp_path, training, words):
    text = BASE + f"  other_rank: {{lora: {{r: 4}}}}\n  second: {{training: {training}}}\n"
    text += "  padded: {padding: {action_dim: 7}}\n  gpt: {head: {type: gpt}, window: 3}\n"
    found = problems(text, tmp_path)
    assert any(words in problem.found for problem in found.values()), found


def test_pictures_can_be_changed_only_where_they_are_not_stored(tmp_path):
    found = problems(BASE + "  jitter:\n    augment: {contrast: 0.1}\n", tmp_path)
    assert "image_embeds" in found["13 (experiments.jitter.augment.contrast)"].found
    assert "full.vision" in found["13 (experiments.jitter.augment.contrast)"].remedy


def test_a_file_s_own_instruction_can_be_the_prompt(tmp_path):
    project = load(BASE + '  own: {prompt: {template: "{instruction}"}}\n', tmp_path)
    assert project.experiments["own"].prompt.template == "{instruction}"


def test_every_setting_is_described_in_the_schema():
    for name, definition in config_schema()["$defs"].items():
        for key, value in definition.get("properties", {}).items():
            plain_size = name in ("VisionSize", "TextSize")
            assert plain_size or "description" in value or "$ref" in value, f"{name}.{key}"


def test_the_schema_in_the_repository_is_that_of_the_settings(tmp_path):
    file = Path(__file__).parents[2] / "workflow/schemas/config.schema.json"
    schema(file, check=True)
    copy = tmp_path / "config.schema.json"
    for content in (None, "{}"):
        if content is not None:
            copy.write_text(content)
        with pytest.raises(UserError, match="not the schema of the settings; run `make schema`"):
            schema(copy, check=True)
    schema(copy)
    assert copy.read_bytes() == file.read_bytes()


TWO = BASE.replace(
    "backbones:",
    "  other: {kind: simulated, simulation: {scenes: 3, world: {seed: 1}}}\nbackbones:",
)


@pytest.mark.parametrize(
    ("split", "place", "words"),
    [
        ("{kind: kfolds}", "kind", "did you mean 'kfold'?"),
        ("{kind: kfold, fold: 3}", "fold", "did you mean 'folds'?"),
        ("{kind: leave_one_out}", "key", "required"),
        ("{trian: 0.5}", "trian", "did you mean 'train'?"),
    ],
)
def test_mistakes_in_a_split_stand_at_their_place(tmp_path, split, place, words):
    text = BASE.replace("{kind: simulated,", f"{{kind: simulated, split: {split},")
    found = problems(text, tmp_path)
    assert words in found[f"2 (datasets.demo.split.{place})"].expected


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        ("{evaluate_on: [othr]}", "did you mean 'other'?"),
        ("{evaluate_on: [demo]}", "which the experiment trains on"),
        ("{evaluate_on: [other, other]}", "stands twice"),
    ],
)
def test_other_datasets_that_cannot_be_scored_are_errors(tmp_path, experiment, words):
    (problem,) = problems(TWO + f"  a: {experiment}\n", tmp_path).values()
    assert words in problem.found + problem.expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("actions: {scale: 1.0}", "'other' has `actions.scale` 1, and 'demo'"),
        ("images: {resize: crop}", "'other' has `images.resize` crop, and 'demo'"),
        ("units: {linear_x: 0.2 m/s}", "'other' has `units`"),
        ("simulation: {scenes: 5}", "are simulated with the `world.seed` 0"),
        ("split: {train: 0.8, val: 0.2, test: 0}", "has no test episodes"),
        ("simulation: {world: {frames: 9, seed: 1}}", "the episodes of 'other' have 9"),
    ],
)
def test_other_datasets_that_do_not_fit_are_errors(tmp_path, settings, words):
    other = "simulation: {scenes: 3, world: {seed: 1}}"
    if "simulation" not in settings:
        settings += f", {other}"
    text = TWO.replace(other, settings)
    (problem,) = problems(text + "  a: {evaluate_on: [other]}\n", tmp_path).values()
    assert words in problem.found


def test_scores_elsewhere_make_features_and_datasets_used(tmp_path):
    project = load(TWO + "  a: {evaluate_on: [other], seeds: [0, 1]}\n", tmp_path)
    assert project.used_datasets() == ["demo", "other"]
    assert {key[0] for key in project.feature_keys()} == {"demo", "other"}
    runs = [run for run in project.page().runs if run.experiment == "a"]
    assert [run.evaluate_on for run in runs] == [("other",), ("other",)]


def accepting(line, tmp_path):
    return BASE.replace("{scenes: 3}}", f"{{scenes: 3}}, accept: {line}}}"), tmp_path


def test_accepted_findings_are_codes_with_reasons(tmp_path):
    project = load(*accepting("{frozen_frames: ' the robot waits '}", tmp_path))
    assert project.audit("demo").accept == {"frozen_frames": "the robot waits"}
    assert project.flags("demo").accepted == ("frozen_frames",)


@pytest.mark.parametrize(
    ("line", "path", "found", "expected"),
    [
        (
            "{frozen_frame: why}", "datasets.demo.accept.frozen_frame",
            "unknown finding 'frozen_frame'", "did you mean 'frozen_frames'?",
        ),
        (
            "{truncated: why}", "datasets.demo.accept.truncated",
            "'truncated' is an error", "codes of warnings and infos",
        ),
        (
            "{frozen_frames: }", "datasets.demo.accept.frozen_frames", "found None", "text",
        ),
        (
            "{frozen_frames: ' '}", "datasets.demo.accept.frozen_frames", "found ' '",
            "at least 1 character",
        ),
        ("[frozen_frames]", "datasets.demo.accept", "found ['frozen_frames']", "a mapping"),
    ],
)  # fmt: skip
def test_what_cannot_be_accepted_is_an_error(tmp_path, line, path, found, expected):
    mistakes = problems(*accepting(line, tmp_path))
    (problem,) = [mistakes[place] for place in mistakes if place.startswith("2 ")]
    assert problem.place.endswith(f"({path})")
    assert found in problem.found and expected in problem.expected


@pytest.mark.parametrize(
    ("training", "place", "found"),
    [
        ("batch_size: 2, processes: 3", "processes", "3 processes for batches of 2 windows"),
        ("processes: 3, nodes: 2", "nodes", "3 processes on 2 nodes"),
    ],
)
def test_processes_that_cannot_share_a_batch(tmp_path, training, place, found):
    text = BASE.replace("lora: {}", f"lora: {{training: {{{training}}}}}")
    (problem,) = problems(text, tmp_path).values()
    assert f"experiments.lora.training.{place}" in problem.place and found in problem.found


def test_the_plain_way_of_training_has_one_process(tmp_path):
    text = BASE.replace("lora: {}", "lora: {timing: {ablation: true}, training: {processes: 2}}")
    (problem,) = problems(text, tmp_path).values()
    assert "experiments.lora.timing.ablation" in problem.place


@pytest.mark.parametrize("layer", ["experiments.lora", "defaults"])
@pytest.mark.parametrize("path", [one for one in INSTEAD if len(one) > 1], ids=".".join)
def test_a_setting_that_was_renamed_or_dropped_is_named_with_its_new_form(tmp_path, path, layer):
    section, key = path
    known = config_schema()["$defs"][section.title()]["properties"]
    assert key not in known
    line = f"{section}: {{{key}: null}}"
    text = (
        BASE.replace("lora: {}", f"lora: {{{line}}}")
        if layer == "experiments.lora"
        else BASE.replace("defaults:\n", f"defaults:\n  {line}\n")
    )
    (problem,) = problems(text, tmp_path).values()
    assert problem.place.endswith(f"(experiments.lora.{section}.{key})")
    assert problem.found == f"unknown key {key!r}"
    assert problem.expected == INSTEAD[path]
    assert set(re.findall("'(.*?)'", problem.expected)) <= set(known)


def test_presets_are_the_project_s_own_unless_the_folder_has_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert included("presets") == SHIPPED
    assert (
        included("presets/robovlms_full_finetune.yaml") == SHIPPED / "robovlms_full_finetune.yaml"
    )
    assert included("others") == Path("others")
    (tmp_path / "presets").mkdir()
    assert included("presets") == Path("presets")
