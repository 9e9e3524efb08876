"""What `describe` prints of a file: text that config.yaml takes, or what is missing for it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import yaml

from mobile_vla.config.entries import RecordedDataset
from mobile_vla.describing import describe as described
from mobile_vla.describing.describe import describe
from mobile_vla.describing.entry import quoted
from mobile_vla.errors import UserError
from support.encoded_files import any_length
from support.hdf5_layouts import (
    FRAMES,
    drive,
    jpegs,
    pictures,
    write_aloha,
    write_recon,
    write_robomimic,
)
from support.recorded import write_folder


@pytest.fixture(autouse=True)
def without_a_child(monkeypatch):
    """Look in this process, which saves a fork."""
    monkeypatch.setattr(described, "isolated", lambda work: work(lambda place: None))


@pytest.fixture
def look(capsys):
    """Return a file's entry, the text, and what is said to be missing."""

    def look(path):
        try:
            describe(path)
            said = ""
        except UserError as error:
            said = str(error)
        text = capsys.readouterr().out
        ((name, entry),) = yaml.safe_load(text)["datasets"].items()
        if not said:
            RecordedDataset.model_validate(entry)
        return {"name": name, **entry}, text, said

    return look


def test_the_collectors_layout_needs_no_fields(look, tmp_path):
    (path,) = write_folder(tmp_path / "my lab", 1, size=(8, 8))
    entry, text, said = look(path)
    assert said == "" and "no fields are needed" in text and "18 frames of 8×8" in text
    assert entry == {
        **{"name": "my_lab", "kind": "recorded", "path": str(tmp_path / "my lab")},
        "actions": {"dimensions": ["linear_x", "linear_y"], "scale": 1.15},
    }


def test_what_is_wrong_with_the_collectors_layout_is_said(look, tmp_path):
    (path,) = write_folder(tmp_path / "lab", 1, size=(8, 8))
    with h5py.File(path, "r+") as file:
        file["actions"][3, 1] = np.nan
    assert "actions, row 3, linear_y: nan; expected finite numbers" in look(path)[2]


def test_one_file_of_many_episodes(look, tmp_path):
    write_robomimic(tmp_path / "image [1].hdf5", demos=12)
    entry, text, said = look(tmp_path / "image [1].hdf5")
    assert said == "" and text.startswith("# 12 episodes in ")
    assert entry["name"] == "image__1_" and entry["pattern"] == "image [[]1].hdf5"
    assert entry["fields"] == {
        "episodes": "data/demo_*",
        "images": "obs/agentview_image",
        "actions": {"linear_x": "actions[0]", "linear_y": "actions[1]", "angular_z": "actions[2]"},
        "instruction": "@ep_meta/lang",
    }
    assert "three columns without names, taken in the collector's order: check it" in text
    largest = np.max([np.abs(drive(number)).max(axis=-1) for number in range(12)], axis=0)
    assert entry["actions"]["dimensions"] == ["linear_x", "angular_z"]
    assert list(entry["actions"]["scale"]) == ["linear_x", "angular_z"]
    for most, scale in zip(largest, entry["actions"]["scale"].values(), strict=True):
        assert most <= scale < most + 0.01
    assert "next_obs/agentview_image" in text and 'prompt: {template: "{instruction}"}' in text
    assert entry["split"] == {"stratify_by": []}


def test_a_name_that_says_the_side_needs_no_table(look, tmp_path):
    write_robomimic(tmp_path / "left.hdf5", demos=1)
    entry, text, _ = look(tmp_path / "left.hdf5")
    assert "split" not in entry and "scenarios" not in text


def test_of_several_cameras_none_is_taken(look, tmp_path):
    write_aloha(tmp_path / "a.hdf5", cameras=("cam_high", "cam_left_wrist", "cam_right_wrist"))
    entry, text, said = look(tmp_path / "a.hdf5")
    assert "images: 3 cameras, of which one is to be chosen" in said
    assert "images" not in entry["fields"] and "      #   which of these 3?\n" in text
    with pytest.raises(ValueError, match="images"):
        RecordedDataset.model_validate({key: entry[key] for key in entry if key != "name"})
    for camera in ("cam_high", "cam_left_wrist", "cam_right_wrist"):
        line = f"      # images: observations/images/{camera}\n"
        chosen = yaml.safe_load(text.replace(line, line.replace("# ", "")))["datasets"]
        (settings,) = chosen.values()
        fields = RecordedDataset.model_validate(settings).fields
        assert fields.images == f"observations/images/{camera}"
        assert fields.actions == {"linear_x": "base_action[0]", "angular_z": "base_action[1]"}
    assert "as Mobile ALOHA writes them" in text and "# not taken: action\n" in text


def test_scale_and_dimensions_follow_the_other_files_of_the_folder(look, tmp_path):
    for number in range(5):
        write_aloha(tmp_path / f"episode_{number}.hdf5", seed=number)
    with h5py.File(tmp_path / "episode_0.hdf5", "r+") as file:
        file["base_action"][:, 1] = 0.0  # straight on
        file["base_action"][:, 0] *= 0.5
    (tmp_path / "episode_5.hdf5").write_bytes(b"broken")
    (tmp_path / ".episode_6.hdf5").write_bytes(b"hidden")
    write_recon(tmp_path / "other.hdf5")
    entry, text, said = look(tmp_path / "episode_0.hdf5")
    assert said == "" and entry["actions"]["dimensions"] == ["linear_x", "angular_z"]
    largest = max(np.float32(drive(number)[0]).max() for number in range(1, 5))
    assert f"up to {largest:g}, " in text and " in 5 episodes" in text


def test_commands_come_before_what_was_measured(look, tmp_path):
    write_recon(tmp_path / "a.hdf5")
    entry, text, said = look(tmp_path / "a.hdf5")
    assert said == "" and entry["fields"]["actions"] == {
        "linear_x": "commands/linear_velocity",
        "angular_z": "commands/angular_velocity",
    }
    assert "images/thermal ((9, 32, 32) float64)" in text


def test_two_arrays_of_one_velocity_are_no_choice_for_a_program(look, tmp_path):
    write_recon(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["teleop/linear_velocity"] = np.ones((FRAMES, 1))
    entry, text, said = look(tmp_path / "a.hdf5")
    assert "actions: no names say which numbers are linear_x" in said
    assert "actions" not in entry["fields"]
    assert "#   teleop/linear_velocity (9, 1), from its least to its largest value:" in text


@pytest.mark.parametrize("names", [None, ["x.vel", "theta.vel", "arm"], ["x.vel", "vx", "arm"]])
def test_columns_are_taken_by_name_and_else_shown_with_their_values(look, tmp_path, names):
    write_recon(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        del file["commands"], file["jackal"]
        width = 3 if names else 7
        file["action"] = np.arange(FRAMES)[:, None] * np.arange(width, dtype=np.float32)
        if names:
            file["action"].attrs["columns"] = names
    entry, text, said = look(tmp_path / "a.hdf5")
    if names and "theta.vel" in names:
        expected = {"linear_x": "action[x.vel]", "angular_z": "action[theta.vel]"}
        assert said == "" and entry["fields"]["actions"] == expected
        assert entry["actions"] == {"dimensions": ["angular_z"], "scale": 8.0}
    else:
        assert "no names say which numbers are linear_x" in said
        assert "# actions: which columns are the velocities?" in text
        assert "#     [2] 0 to 16\n" in text


def test_images_of_any_length_of_bytes_are_found(look, tmp_path):
    write_recon(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        del file["images/rgb_left"]
        rows = any_length(jpegs(pictures(0)))
        file.create_dataset("images/rgb_left", data=rows, dtype=h5py.vlen_dtype(np.uint8))
    assert look(tmp_path / "a.hdf5")[2] == ""


def test_what_is_not_there_is_said(look, tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["image"] = np.zeros((3, 3, 20, 20), dtype=np.float32)
        file["depth"] = np.zeros((3, 20, 20), dtype=np.uint16)
        file["label"] = np.zeros(3, dtype=np.int64)
    _, text, said = look(tmp_path / "a.hdf5")
    assert "images: no array (T, H, W, 3) uint8" in said
    assert "actions: no array of floating-point numbers" in said
    assert "in a form that is not read: depth ((3, 20, 20) uint16), image ((3, 3, 20, 20)" in text


def test_what_was_recognised_and_cannot_be_read_is_said(look, tmp_path):
    write_recon(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        del file["commands/linear_velocity"]
        file["commands/linear_velocity"] = np.zeros((FRAMES + 1, 1))
    _, text, said = look(tmp_path / "a.hdf5")
    assert "commands/angular_velocity: 9 entries, and 10 in commands/linear_velocity" in said
    assert "# MISSING: commands/angular_velocity: 9 entries" in text


@pytest.mark.parametrize("inside", ["", "runs/{}/", "session_{}/"])
@pytest.mark.parametrize("count", [1, 3])
def test_episodes_are_groups_that_hold_images_and_commands(look, tmp_path, inside, count):
    write_recon(tmp_path / "one.hdf5")
    names = ["kitchen", "hall", "yard"] if inside.startswith("runs") else range(count)
    with h5py.File(tmp_path / "one.hdf5") as one, h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name in list(names)[: count if inside else 1]:
            for member in one:
                one.copy(member, file.require_group(inside.format(name) or "/"))
        file["calibration/camera_0/matrix"] = np.eye(3)
    entry, _, said = look(tmp_path / "a.hdf5")
    several = "runs/*" if count > 1 else "runs/kitchen"
    expected = {"": None, "runs/{}/": several, "session_{}/": "session_*"}[inside]
    assert said == "" and entry["fields"].get("episodes") == expected
    assert entry["fields"]["images"] == "images/rgb_left"


def test_several_instructions_are_a_choice_and_a_broken_one_is_none(look, tmp_path):
    write_robomimic(tmp_path / "a.hdf5", demos=2)
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["data"].attrs["problem_info"] = '{"language_instruction": ["go"], "task": "go"}'
        file["data"].attrs["language"] = "{"
    entry, text, _ = look(tmp_path / "a.hdf5")
    assert "instruction" not in entry["fields"]
    assert '# instruction: "/data@problem_info/task"\n' in text
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        for demo in file["data"].values():
            del demo.attrs["ep_meta"]
    assert look(tmp_path / "a.hdf5")[0]["fields"]["instruction"] == "/data@problem_info/task"


def test_links_and_circles_are_named_and_not_followed(look, tmp_path):
    write_recon(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["gps/top"] = file["/"]  # a circle of hard links
        file["gps/soft"] = h5py.SoftLink("/images/rgb_left")
        file["gps/out"] = h5py.ExternalLink("/etc/passwd", "/")
    _, text, said = look(tmp_path / "a.hdf5")
    assert said == "" and "links, which are not followed: gps/out, gps/soft\n" in text


def test_of_thousands_of_groups_some_are_looked_into(look, tmp_path):
    write_robomimic(tmp_path / "a.hdf5", demos=2)
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        for number in range(2, 2000):
            file[f"data/demo_{number}"] = file["data/demo_0"]
    _, text, said = look(tmp_path / "a.hdf5")
    assert said == "" and text.startswith("# 2000 episodes in ")


def test_names_of_hostile_files_stay_within_their_line(look, tmp_path):
    write_recon(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        name = "images/rgb\n_left: # {x}"
        file.move("images/rgb_left", name)
        file["gps/a\nkind: simulated"] = h5py.SoftLink("/x")
    entry, _, said = look(tmp_path / "a.hdf5")
    assert said == "" and entry["fields"]["images"] == name and entry["kind"] == "recorded"
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file.move(name, "images/rgb[0]")
    assert "expected a path in the file" in look(tmp_path / "a.hdf5")[2]


def test_attributes_of_odd_types_do_no_harm(look, tmp_path):
    write_recon(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file.attrs["language"] = h5py.Empty("f4")
        file.attrs["task"] = np.void(b"\xff\x00")
        file.attrs["instruction"] = ["a", "b"]
        file["commands/linear_velocity"].attrs["names"] = file["gps"].ref
    assert look(tmp_path / "a.hdf5")[2] == ""


def test_arrays_of_absurd_sizes_are_not_read(look, tmp_path):
    write_recon(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        how = {"chunks": (1, 1000)}
        file.create_dataset("absurd/files", shape=(9, 10**12), dtype=np.uint8, **how)
        file.create_dataset("absurd/action", shape=(10**12, 2), dtype=np.float64, chunks=(1000, 2))
        file.create_dataset("absurd/cmd", shape=(9, 10**9), dtype=np.float64, **how)
    entry, text, said = look(tmp_path / "a.hdf5")
    assert said == "" and entry["fields"]["images"] == "images/rgb_left"
    assert "# not taken: absurd/action\n" in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"\x89HDF\r\n\x1a\n", "cut off after 8 bytes"),
        (b"some text", "no HDF5 signature"),
        (None, "no such file"),
    ],
)
def test_what_is_no_hdf5_file_is_said_in_a_line(tmp_path, content, said):
    if content is not None:
        (tmp_path / "a.hdf5").write_bytes(content)
    with pytest.raises(UserError, match=said):
        describe(tmp_path / "a.hdf5")
    with pytest.raises(UserError, match="a folder; expected one of its HDF5 files"):
        describe(tmp_path)


@pytest.mark.parametrize(
    "text", ["no", "null", "12", "1e3", "2020-01-01", "a b", "~", "a: b", "*", "./a", "x[0]", "ä"]
)
def test_texts_are_quoted_where_yaml_would_read_something_else(text):
    assert yaml.safe_load(f"key: {quoted(text)}") == {"key": text}
