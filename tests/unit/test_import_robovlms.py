"""JSON files of RoboVLMs and Mobile VLA as experiments: no key is lost, and what acts counts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mobile_vla.config.loading import load_project
from mobile_vla.errors import UserError
from mobile_vla.importing.account import VERDICTS, Account
from mobile_vla.importing.import_robovlms import convert, import_robovlms

FILES = Path(__file__).parents[1] / "data/robovlms"
ROOT = Path(__file__).parents[2]
UPSTREAM, FIRST, SECOND = (
    "robovlms_calvin_kosmos",
    "finetune_mobile_vla_lora_20251106",
    "mobile_vla_20251106_lora",
)
DOCUMENTED = {"training.schedule": ("constant", "cosine"), "training.clip": (None, 1.0)}
BASE = {
    "datasets": {"demo": {"kind": "simulated", "simulation": {"scenes": 3}}},
    "backbones": {"tiny": {"weights": "random"}},
    "defaults": {"dataset": "demo", "backbone": "tiny"},
}


def keys_of(value, prefix=""):
    for key, own in value.items():
        if isinstance(own, dict) and own:
            yield from keys_of(own, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def read(name):
    return json.loads((FILES / f"{name}.json").read_text())


def converted(config, stem="file"):
    account = Account(config)
    sections = convert(account, stem)
    return sections, {entry.key: entry for entry in account.entries()}


def imported(name, tmp_path, monkeypatch):
    """Import a file, and load the project that includes what it wrote."""
    monkeypatch.chdir(tmp_path)
    import_robovlms(FILES / f"{name}.json", output=Path("mine.yaml"))
    config = {**BASE, "include": ["mine.yaml", str(ROOT / "presets")], "experiments": {}}
    return load_project(config, [])[0]


@pytest.mark.parametrize(("name", "open_"), [(UPSTREAM, 7), (FIRST, 0), (SECOND, 0)])
def test_no_key_is_unaccounted_for(name, open_, tmp_path, monkeypatch, capsys):
    imported(name, tmp_path, monkeypatch)
    listed = capsys.readouterr().out
    config = read(name)
    for key in keys_of(config):
        assert f"\n  {key} (" in "\n" + listed, key
    assert sum(line.startswith("  ") for line in listed.splitlines()) == len(list(keys_of(config)))
    _, entries = converted(config)
    assert all(entry.text for entry in entries.values())
    assert [e.verdict for e in entries.values()].count("not mapped") == open_
    assert {entry.verdict for entry in entries.values()} <= set(VERDICTS)


@pytest.mark.parametrize(
    ("name", "preset", "differing"),
    [
        (UPSTREAM, "robovlms_full_finetune", {"training.batch_size": (41, 4)}),
        # what the table says beside what the file does: see docs/presets.md
        (FIRST, "mobile_vla_lora_20251106", {**DOCUMENTED, "training.keep_every": (None, 10)}),
        (SECOND, "mobile_vla_lora_20251112", {**DOCUMENTED, "training.keep_every": (None, 5)}),
    ],
)
def test_a_file_becomes_what_its_preset_is(name, preset, differing, tmp_path, monkeypatch):
    project = imported(name, tmp_path, monkeypatch)
    (found,) = project.experiments.values()
    config = {**BASE, "include": str(ROOT / "presets"), "experiments": {"a": {"preset": preset}}}
    expected = load_project(config, [])[0].experiments["a"]
    one, other = (dict(flat(own.model_dump())) for own in (found, expected))
    unlike = {key: (one.get(key), other.get(key)) for key in one | other}
    unlike = {key: pair for key, pair in unlike.items() if pair[0] != pair[1]}
    for key in ("preset", "note", "seeds", "dataset"):
        unlike.pop(key, None)
    unlike = {key: pair for key, pair in unlike.items() if not key.startswith("lora.")}
    assert unlike == differing
    if found.finetune == "lora":
        assert found.lora == expected.lora


def flat(value, prefix=""):
    for key, own in value.items():
        if isinstance(own, dict):
            yield from flat(own, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", own


def test_recorded_episodes_become_a_dataset(tmp_path, monkeypatch):
    project = imported(SECOND, tmp_path, monkeypatch)
    dataset = project.datasets["mobile_vla_lora_20251106"]
    assert dataset.path == "/data/vla/ROS_action/mobile_vla_dataset"
    assert dataset.pattern == "episode_20251106_*.h5"
    assert (dataset.split.train, dataset.split.val, dataset.split.test) == (0.8, 0.2, 0)
    assert project.experiments["mobile_vla_lora_20251106"].seeds == (123,)


@pytest.mark.parametrize(
    ("changes", "key", "verdict", "settings"),
    [
        ({"gradient_clip_val": 0.5}, "gradient_clip_val", "mapped", {"clip": 0.5}),
        ({"gradient_clip_val": 0.0}, "gradient_clip_val", "mapped", {"clip": None}),
        ({"scheduler": "cosine"}, "scheduler", "mapped", {"schedule": "cosine"}),
        ({"scheduler": "half-cosine"}, "min_lr_scale", "not mapped", {"schedule": "cosine"}),
        ({"scheduler": "step"}, "scheduler", "not mapped", {}),
        ({"warmup_steps": 100}, "warmup_steps", "not mapped", {}),
        ({"use_hand_rgb": True}, "use_hand_rgb", "not mapped", {}),
        ({"model": "paligemma"}, "model", "not mapped", {}),
        ({"robovlm_name": "RoboFlamingo"}, "robovlm_name", "not mapped", {}),
        ({"parent": "base.json"}, "parent", "not mapped", {}),
        ({"brand_new": {"key": 1}}, "brand_new.key", "not mapped", {}),
        ({"gpus": True}, "gpus", "not mapped", {}),
        ({"action_bounds": {"linear_x": [-2.0, 2.0]}}, "action_bounds.linear_x", "ignored", {}),
    ],
)
def test_other_values_are_mapped_or_said(changes, key, verdict, settings):
    sections, entries = converted({**read(SECOND), **changes})
    assert entries[key].verdict == verdict and entries[key].text
    (experiment,) = sections["experiments"].values()
    assert settings.items() <= experiment["training"].items()


@pytest.mark.parametrize(
    ("setup", "finetune", "full"),
    [
        ({}, "lora", None),
        ({"lora_enable": False}, "none", None),
        (
            {"lora_enable": False, "train_vision": True},
            "full",
            {"vision": True, "projection": False, "text": False, "text_embedding": False},
        ),
        (
            {"lora_enable": False, "freeze_backbone": False, "train_text_embedding": True},
            "full",
            {"vision": False, "projection": True, "text": True, "text_embedding": True},
        ),
    ],
)
def test_what_is_trained_follows_all_four_switches(setup, finetune, full):
    config = read(SECOND)
    config["train_setup"].update(setup)
    sections, entries = converted(config)
    (experiment,) = sections["experiments"].values()
    assert experiment["finetune"] == finetune and experiment.get("full") == full
    assert entries["train_setup.freeze_backbone"].verdict == "mapped"
    assert entries["train_setup.lora_r"].verdict == ("mapped" if finetune == "lora" else "ignored")


def test_an_adapter_beside_trained_parts_is_not_mapped():
    config = read(SECOND)
    config["train_setup"].update({"train_vision": True})
    _, entries = converted(config)
    assert entries["train_setup.train_vision"].verdict == "not mapped"


def test_the_command_prints_yaml_and_counts_the_keys():
    finished = subprocess.run(
        [sys.executable, "-m", "mobile_vla", "import-robovlms", str(FILES / f"{FIRST}.json")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "# Mapped:\n#   window_size (8) → window: 8\n" in finished.stdout
    assert list(yaml.safe_load(finished.stdout)["experiments"]) == [FIRST]
    assert "118 keys: 25 mapped, 93 ignored, 0 not mapped" in finished.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), ("{", "not JSON"), ('{"a": 1}', "found no window_size")],
)
def test_what_is_no_such_file_is_refused(tmp_path, content, words):
    file = tmp_path / "file.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=words):
        import_robovlms(file)
