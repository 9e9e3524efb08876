"""Presets and included files: what comes before what, where mistakes stand, and what is shipped."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from mobile_vla.backbone.random_backbone import model_config
from mobile_vla.config.backbone import RandomBackbone
from mobile_vla.config.loading import read_project
from mobile_vla.config.windows import Actions
from mobile_vla.errors import Problems
from mobile_vla.model.adapter import trainable_parameters
from mobile_vla.model.policy import skeleton
from support import config_text

ROOT = Path(__file__).parents[2]
SHIPPED = ("mobile_vla_lora_20251106", "mobile_vla_lora_20251112", "robovlms_full_finetune")
KEPT = {SHIPPED[0]: {"keep_every": 10}, SHIPPED[1]: {"keep_every": 5}}

OWN = """\
  lora: {r: 2, alpha: 3}
  training: {epochs: 2, batch_size: 3}
experiments:
"""
BASE = "include: [more.yaml]\n" + config_text.BASE.replace("experiments:\n  lora: {}\n", OWN)
MORE = """\
presets:
  small:
    window: 6
    lora: {r: 4}
    padding: {action_dim: 7}
    training:
      epochs: 9
"""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(experiments, more=MORE, base=BASE):
    Path("config.yaml").write_text(base + experiments)
    Path("more.yaml").write_text(more)
    return read_project(Path("config.yaml"))


def problems(experiments, more=MORE, base=BASE):
    with pytest.raises(Problems) as caught:
        load(experiments, more, base)
    return {problem.place: problem for problem in caught.value.problems}


def test_an_experiment_comes_before_its_preset_and_that_before_the_defaults():
    project = load("  a: {preset: small, training: {batch_size: 5}}\n  b: {}\n")
    a, b = project.experiments["a"], project.experiments["b"]
    assert (a.window, a.lora.r, a.lora.alpha) == (6, 4, 3)
    assert (a.training.epochs, a.training.batch_size) == (9, 5)
    assert (b.window, b.lora.r, b.training.epochs) == (4, 2, 2)


def test_a_null_switches_a_part_of_the_preset_off():
    project = load("  a: {preset: small, padding: null}\n  b: {preset: small}\n")
    assert project.experiments["a"].padding is None
    assert project.experiments["b"].padding.action_dim == 7


def test_a_preset_s_name_changes_no_result():
    written = "  b: {window: 6, lora: {r: 4}, padding: {action_dim: 7}, training: {epochs: 9}}\n"
    project = load("  a: {preset: small}\n" + written)
    a, b = (project.train(name, "seed0") for name in "ab")
    assert a.model_copy(update={"experiment": "b"}).canonical() == b.canonical()


def test_a_preset_s_note_stands_for_experiments_without_one():
    more = MORE.replace("window: 6", "window: 6\n    note: because")
    project = load("  a: {preset: small}\n  b: {preset: small, note: mine}\n  c: {}\n", more)
    assert project.page().notes == {"a": "because", "b": "mine"}
    assert all("note" not in run.settings for run in project.page().runs)


def test_the_shipped_presets_say_why_they_are_as_they_are():
    notes = shipped().page().notes
    assert list(notes) == list(SHIPPED) and min(len(note.split()) for note in notes.values()) > 15


def test_mistakes_stand_where_they_were_written():
    more = MORE.replace("r: 4", "r: 0").replace("epochs: 9", "epchs: 9")
    found = problems("  a: {preset: small}\n  b: {preset: small, chunk: x}\n", more)
    assert set(found) == {
        "more.yaml:4 (presets.small.lora.r)",
        "more.yaml:7 (presets.small.training.epchs)",
        "config.yaml:15 (experiments.b.chunk)",
    }
    assert found["more.yaml:7 (presets.small.training.epchs)"].expected == "did you mean 'epochs'?"


def test_a_preset_that_nobody_uses_is_checked_too():
    assert set(problems("  b: {}\n", MORE.replace("window: 6", "windw: 6"))) == {
        "more.yaml:3 (presets.small.windw)"
    }


def test_a_combination_that_cannot_work_names_the_preset_s_line():
    (place,) = problems("  a: {preset: small}\n", MORE.replace("dim: 7", "dim: 2"))
    assert place == "more.yaml:5 (experiments.a.padding.action_dim)"
    (place,) = problems("  a: {preset: small}\n", MORE.replace("window: 6", "window: 60"))
    assert place == "more.yaml:3 (experiments.a.window)"


def test_an_unknown_preset_is_reported_alone_with_the_likely_one():
    base = BASE.replace("  window: 4\n", "")
    found = problems("  a: {preset: smal}\n  b: {preset: small, dataset: dmo}\n", base=base)
    assert found["config.yaml:13 (experiments.a.preset)"].expected == "did you mean 'small'?"
    assert set(found) == {
        "config.yaml:13 (experiments.a.preset)",
        "config.yaml:14 (experiments.b.dataset)",
    }


def test_a_shipped_preset_without_its_include_is_told_how():
    Path("presets").symlink_to(ROOT / "presets")
    base = BASE.replace("include: [more.yaml]\n", "")
    (problem,) = problems(f"  a: {{preset: {SHIPPED[0]}}}\n", base=base).values()
    assert "`include: [presets]`" in problem.remedy


@pytest.mark.parametrize(
    ("line", "more", "place", "words"),
    [
        ("include: [more.yaml, gone.yaml]", MORE, "config.yaml:1 (include.1)", "is not there"),
        ("include: {more: 1}", MORE, "config.yaml:1 (include)", "found {'more': 1}"),
        ("include: [empty]", MORE, "config.yaml:1 (include.0)", "holds no *.yaml"),
        ("include: /dev/zero", MORE, "config.yaml:1 (include.0)", "neither file nor folder"),
        ("include: more.yaml", "[1]", "more.yaml:1", "found [1]"),
        ("include: more.yaml", "defaults: {window: 3}", "more.yaml:1 (defaults)", "'defaults'"),
        ("include: more.yaml", "datasets: [1]", "more.yaml:1 (datasets)", "found [1]"),
        (
            "include: more.yaml",
            "backbones:\n  tiny: {weights: random}",
            "more.yaml:2 (backbones.tiny)",
            "'tiny' stands in config.yaml:5 too",
        ),
        ("include: more.yaml", MORE + "  small: {}\n", "more.yaml:8", "stands twice"),
        (
            "include: more.yaml",
            MORE + "    preset: small\n",
            "more.yaml:8 (presets.small.preset)",
            "names another",
        ),
    ],
)
def test_what_cannot_be_included_is_an_error_with_its_place(line, more, place, words):
    Path("empty").mkdir()
    found = problems("  b: {}\n", more, BASE.replace("include: [more.yaml]", line))
    assert words in found[place].found


def test_a_preset_among_the_defaults_is_refused():
    found = problems("  b: {}\n", base=BASE.replace("defaults:\n", "defaults:\n  preset: small\n"))
    assert "config.yaml:7 (defaults.preset)" in found


def test_a_folder_and_every_section_can_be_included():
    Path("mine").mkdir()
    Path("mine/b.yaml").write_text("experiments:\n  more: {preset: small, dataset: other}\n")
    Path("mine/a.yaml").write_text("datasets:\n  other: {kind: simulated}\n")
    project = load("  a: {}\n", base=BASE.replace("[more.yaml]", "[mine, more.yaml]"))
    assert project.experiments["more"].window == 6
    assert project.used_datasets() == ["demo", "other"]


def shipped(actions="", **changes):
    Path("presets").symlink_to(ROOT / "presets")
    base = BASE.replace("[more.yaml]", "presets").replace("scenes: 3}", "scenes: 3}" + actions)
    lines = [f"  {name}: {{preset: {name}}}\n" for name in SHIPPED]
    return load("".join(lines), base=base, **changes)


def test_the_shipped_presets_are_the_users_table():
    experiments = shipped().experiments
    assert sorted(file.stem for file in (ROOT / "presets").iterdir()) == list(SHIPPED)
    first, second, full = (experiments[name] for name in SHIPPED)
    table = {
        "finetune": ("lora", "lora", "full"),
        "lora.r": (32, 32, 64),
        "lora.alpha": (16, 16, 16),
        "lora.dropout": (0.1, 0.1, 0.05),
        "training.learning_rate": (1e-4, 1e-4, 2e-5),
        "training.weight_decay": (0.01, 0.01, 0),
        "training.batch_size": (2, 1, 4),
        "training.accumulation": (4, 8, 1),
        "training.epochs": (50, 20, 5),
        "head.hidden_size": (512, 512, 1024),
        "window": (8, 4, 8),
        "chunk": (10, 10, 10),
        "training.precision": ("fp16_on_gpu",) * 3,
        "training.schedule": ("cosine", "cosine", "constant"),
        "training.clip": (1.0, 1.0, None),
    }
    for name, expected in table.items():
        found = (first, second, full)
        for part in name.split("."):
            found = tuple(getattr(one, part) for one in found)
        assert found == expected, name
    assert first.padding is None
    assert (second.padding.action_dim, full.padding.action_dim) == (7, 7)
    assert full.full.vision and full.full.text_embedding and full.full.text
    # a share of all steps: 0.1 and 0.1 and 0.25 epochs
    epochs = [one.training.warmup * one.training.epochs for one in (first, second, full)]
    assert epochs == pytest.approx([0.1, 0.1, 0.25])


def test_a_shipped_preset_leaves_nothing_of_how_it_trains_to_the_defaults():
    """Whatever an experiment's own settings are, but for what is the user's: data, seeds, cores."""
    free = {
        *("preset", "dataset", "backbone", "seeds", "subset", "evaluate_on", "prompt"),
        *(
            "guard",
            "bundle",
            "timing",
            "timing_only",
            "evaluation",
            "language",
            "latency",
            "rollout",
        ),
    }
    for name in SHIPPED:
        # driving chooses a checkpoint where there is a simulator, which nobody published has
        users = {"threads", "processes", "nodes", "select_by", "validation_scenes"}
        users |= {"keep_every"} - set(KEPT.get(name, ()))
        preset = yaml.safe_load((ROOT / f"presets/{name}.yaml").read_text())["presets"][name]
        whole = shipped_experiment(name).model_dump()
        unused = {"full"} if whole["finetune"] == "lora" else set()
        assert set(preset) == set(whole) - free - unused
        for part in ("training", "head", "augment"):
            assert set(preset[part]) == set(whole[part]) - users, (name, part)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_presets_keep_what_their_documents_list(name):
    kept = shipped_experiment(name).training.keep_every
    assert kept == KEPT.get(name, {}).get("keep_every")


def test_what_ran_is_said_of_the_run_alone():
    said = {name: (ROOT / f"presets/{name}.yaml").read_text() for name in SHIPPED}
    assert [name for name, text in said.items() if "What ran is" in text] == [SHIPPED[1]]


def shipped_experiment(name):
    Path("presets").unlink(missing_ok=True)
    return shipped().experiments[name]


LSTM = {512: 4 * 512 * (2048 + 512 + 2) + 3 * 4 * 512 * (2 * 512 + 2)}
LSTM[1024] = 4 * 1024 * (2048 + 1024 + 2) + 3 * 4 * 1024 * (2 * 1024 + 2)


def mlp(hidden, outputs):
    widths = [hidden, 1024, 512, 256, outputs]
    return sum((a + 1) * b for a, b in pairwise(widths))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobile_vla_lora_20251106", {"adapter": 12_582_912, "head": LSTM[512] + mlp(512, 20)}),
        (
            "mobile_vla_lora_20251112",
            {"adapter": 12_582_912, "head": LSTM[512] + mlp(512, 60) + mlp(512, 10)},
        ),
        (
            "robovlms_full_finetune",
            {
                "vision": 303_179_776,
                "projection": 19_015_680,
                "text": 1_209_094_144,
                "text_embedding": 133_195_776,
                "head": LSTM[1024] + mlp(1024, 60) + mlp(1024, 10),
            },
        ),
    ],
)
def test_what_a_shipped_preset_trains_at_full_size(name, expected):
    config = model_config(RandomBackbone(weights="random"))
    layers = skeleton(config, shipped().experiments[name].policy(Actions()))
    assert trainable_parameters(layers) == expected
