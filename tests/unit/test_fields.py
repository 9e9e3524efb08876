"""Episodes in other HDF5 layouts: what `fields` reads, and what is wrong with it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from mobile_vla.config.fields import Fields
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from support.hdf5_layouts import (
    FRAMES,
    ROBOMIMIC,
    drive,
    pictures,
    write_aloha,
    write_recon,
    write_robomimic,
)
from support.ingested import in_this_process

RECON = {
    "images": "images/rgb_left",
    "actions": {
        "linear_x": "commands/linear_velocity",
        "angular_z": "commands/angular_velocity",
    },
}
ALOHA = {
    "images": "/observations/images/cam_high",
    "actions": {"linear_x": "base_action[0]", "angular_z": "base_action[1]"},
    "state": "observations/qpos",
}


@pytest.fixture(autouse=True)
def without_a_child(monkeypatch):
    in_this_process(monkeypatch)


def read(path, fields, inside="", **more):
    """Ingest an episode; return its facts and frames."""
    out = path.with_suffix(".json")
    files = EpisodeFiles(out, path.with_suffix(".npy"))
    settings = IngestSettings(
        dataset="theirs",
        episode="a",
        images=Images(color="rgb"),
        fields=Fields.model_validate(fields),
        inside=inside,
        **more,
    )
    ingest(settings, files, raw=path)
    return EpisodeFacts.read(out), np.load(files.frames)


def errors(path, fields, **more):
    return [(one.code, one.place) for one in read(path, fields, **more)[0].errors]


@pytest.fixture
def recon(tmp_path):
    write_recon(tmp_path / "jackal.hdf5", seed=3)
    return tmp_path / "jackal.hdf5"


def change(path, name, values=None, **how):
    with h5py.File(path, "r+") as file:
        del file[name]
        if values is not None or how:
            file.create_dataset(name, data=values, **how)


def expected(seed):
    linear, angular = drive(seed)
    return np.stack([linear, np.zeros(FRAMES), angular], axis=1).astype(np.float32).tolist()


def test_velocities_stand_in_arrays_of_their_own(recon):
    facts, frames = read(recon, RECON)
    assert facts.errors == [] and facts.actions == expected(3)
    assert frames.shape == (FRAMES, 224, 224, 3) and facts.image_place == "images/rgb_left"
    assert [note.code for note in facts.notes] == ["encoded_images"]


def test_velocities_stand_in_columns_and_images_in_padded_rows(tmp_path):
    write_aloha(tmp_path / "episode_0.hdf5", seed=4)
    facts, frames = read(tmp_path / "episode_0.hdf5", ALOHA)
    assert facts.errors == [] and facts.actions == expected(4)
    assert np.abs(frames.mean(axis=(1, 2)) - pictures(4).mean(axis=(1, 2))).max() < 3
    assert facts.state == [[1.0] * 14] * FRAMES


def test_an_episode_is_a_group_of_a_file(tmp_path):
    path = tmp_path / "image.hdf5"
    write_robomimic(path, demos=3)
    facts, _ = read(path, ROBOMIMIC, inside="data/demo_2")
    assert facts.errors == [] == facts.notes and facts.actions == expected(2)
    assert facts.place == f"{path}/data/demo_2" and facts.stem == "demo_2"
    assert facts.instruction == "drive round the box"
    assert facts.attributes["num_samples"] == FRAMES and "total" not in facts.attributes


def test_columns_are_found_by_the_names_that_an_attribute_lists(recon):
    values = np.arange(FRAMES * 3, dtype=np.float32).reshape(FRAMES, 3)
    with h5py.File(recon, "r+") as file:
        file["cmd"] = values
        file["cmd"].attrs["unit"] = "m/s"
        file["cmd"].attrs["columns"] = ["theta.vel", "x.vel", "gripper"]
    fields = {**RECON, "actions": {"linear_x": "cmd[x.vel]", "angular_z": "cmd[theta.vel]"}}
    facts, _ = read(recon, fields)
    np.testing.assert_array_equal(np.array(facts.actions)[:, [2, 0]], values[:, :2])
    fields["actions"]["linear_y"] = "cmd[y.vel]"
    (error,) = read(recon, fields)[0].errors
    assert (error.code, error.place) == ("wrong_shape", "cmd")
    assert str(error.found) == "no column 'y.vel' for linear_y in (9, 3)"
    assert str(error.expected) == "one of theta.vel, x.vel, gripper, or a place from 0 to 2"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"images": "images/rgb"}, [("missing_dataset", "images/rgb")]),
        ({"images": "images"}, [("not_a_dataset", "images")]),
        ({"images": "images/thermal"}, [("wrong_shape", "images/thermal")]),
        ({"actions": {"linear_x": "command"}}, [("missing_dataset", "command")]),
        (
            {"actions": {"linear_x": "a", "angular_z": "b"}},
            [("missing_dataset", "a"), ("missing_dataset", "b")],
        ),
        ({"actions": {"linear_x": "a[0]", "angular_z": "a[1]"}}, [("missing_dataset", "a")]),
        ({"actions": {"linear_x": "lidar"}}, [("wrong_shape", "lidar")]),
        ({"actions": {"linear_x": "lidar[360]"}}, [("wrong_shape", "lidar")]),
        ({"actions": {"linear_x": "lidar[x]"}}, [("wrong_shape", "lidar")]),
        ({"actions": {"linear_x": "images/thermal[0]"}}, [("wrong_shape", "images/thermal")]),
        ({"actions": "lidar"}, [("wrong_shape", "lidar")]),
        ({"actions": {"linear_x": "collision/any"}}, [("wrong_dtype", "collision/any")]),
        ({"actions": {"linear_x": "jackal"}}, [("not_a_dataset", "jackal")]),
        ({"state": "odometry"}, [("missing_dataset", "odometry")]),
        ({"state": "collision/any"}, [("wrong_dtype", "collision/any")]),
        ({"state": "images/thermal"}, [("wrong_shape", "images/thermal")]),
    ],
)
def test_what_stands_elsewhere_or_in_another_form_is_named(recon, fields, said):
    facts, frames = read(recon, {**RECON, **fields})
    assert [(one.code, one.place) for one in facts.errors] == said and len(frames) == 0
    if said[0][0] != "not_a_dataset":
        assert all("mobile_vla describe FILE" in str(one.remedy) for one in facts.errors)


def test_all_that_is_wrong_is_said_at_once(recon):
    fields = {"images": "a", "actions": {"linear_x": "b"}, "state": "c"}
    assert [place for _, place in errors(recon, fields)] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["commands/linear_velocity", "jackal/yaw"])
def test_arrays_of_different_lengths_are_refused(recon, name):
    change(recon, name, np.zeros((FRAMES - 1, 1)))
    fields = {**RECON, "state": "jackal/yaw"}
    (error,) = read(recon, fields)[0].errors
    assert error.code == "unequal_length" and "entries" in str(error.found)
    change(recon, "commands/angular_velocity", np.zeros((FRAMES - 1, 1)))
    assert {code for code, _ in errors(recon, fields)} == {"unequal_length"}


def test_a_state_or_velocity_that_is_not_finite_is_named_with_its_row(recon):
    for name, place in (("state", "jackal/position"), ("angular_z", "imu/angular_velocity")):
        change(recon, place, np.full((FRAMES, 3), np.nan))
        fields = {**RECON, "state": place}
        if name == "angular_z":
            fields = {**RECON, "actions": {name: f"{place}[2]"}}
        assert errors(recon, fields) == [("not_finite", f"{place}, row 0, column 0")]


@pytest.mark.parametrize(
    ("instruction", "found"),
    [
        ("task", "no such dataset"),
        ("@task", "no such attribute"),
        ("gps@task", "no such attribute"),
        ("nowhere@task", "no such attribute"),
        ("@words/lang", "no text"),
        ("@number", "no text"),
        ("@number/lang", "no text"),
        ("@broken/lang", "'{', which is no JSON"),
        ("lidar", "values of type float64, which are no texts"),
    ],
)
def test_an_instruction_that_is_not_there_is_a_warning(recon, instruction, found):
    with h5py.File(recon, "r+") as file:
        file.attrs.update({"words": '{"text": "go"}', "broken": "{", "number": 3})
    facts, frames = read(recon, {**RECON, "instruction": instruction})
    assert facts.errors == [] and len(frames) == FRAMES and facts.instruction is None
    note = next(one for one in facts.notes if one.code == "unclear_instruction")
    assert str(note.found) == found


@pytest.mark.parametrize(
    "instruction", ["@words/text", "/@words/text", "gps@task", "/gps@task", "task", "gps/text"]
)
def test_an_instruction_is_a_text_or_an_attribute_of_any_group(recon, instruction):
    long = '{"pad": "' + 2000 * "x" + '", "text": "go"}'
    with h5py.File(recon, "r+") as file:
        file.attrs["words"] = long
        file["gps"].attrs["task"] = np.bytes_("go")
        file["task"], file["gps/text"] = "go", np.array([b"go"] * FRAMES)
    assert read(recon, {**RECON, "instruction": instruction})[0].instruction == "go"


def test_the_scenario_comes_from_the_table_or_from_file_and_group(tmp_path):
    path = tmp_path / "left_image.hdf5"
    write_robomimic(path, demos=1)
    with h5py.File(path, "r+") as file:
        file["data/demo_far"] = file["data/demo_0"]
    scenario = read(path, ROBOMIMIC, inside="data/demo_far")[0].scenario
    assert (scenario["side"], scenario["distance"], scenario["style"]) == ("left", "far", None)
    said = {"side": "right", "layout": "corridor"}
    facts, _ = read(path, ROBOMIMIC, inside="data/demo_far", scenario=said)
    assert facts.scenario == {
        **{"obstacles": None, "layout": "corridor", "side": "right"},
        **{"style": None, "distance": None},
    }


LINKS = {
    "external": lambda file, at: file.__setitem__(at, h5py.ExternalLink("/etc/passwd", "/x")),
    "soft and external": lambda file, at: (
        file.__setitem__("there", h5py.ExternalLink("../../other.h5", "/x")),
        file.__setitem__(at, h5py.SoftLink("/there/obs")),
    ),
    "circle": lambda file, at: file.__setitem__(at, h5py.SoftLink(f"/{at}")),
}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("part", ["data/demo_1", "data/demo_1/obs", "data/demo_1/actions"])
def test_a_link_out_of_the_file_is_named_and_not_followed(tmp_path, link, part):
    path = tmp_path / "image.hdf5"
    write_robomimic(path, demos=2)
    with h5py.File(path, "r+") as file:
        del file[part]
        LINKS[link](file, part)
    (error,) = read(path, ROBOMIMIC, inside="data/demo_1")[0].errors
    assert error.code == ("broken_link" if link == "circle" else "external_link")


def test_a_soft_link_within_the_file_is_followed(tmp_path):
    path = tmp_path / "image.hdf5"
    write_robomimic(path, demos=1)
    with h5py.File(path, "r+") as file:
        file["data/demo_a"] = h5py.SoftLink("/data/demo_0")
    facts, _ = read(path, ROBOMIMIC, inside="data/demo_a")
    assert facts.errors == [] and facts.actions == expected(0)


def test_attributes_of_odd_types_become_text(recon):
    kind = np.dtype([("x", "f4"), ("name", "S3")])
    odd = {
        "complex": 1 + 2j,
        "empty": h5py.Empty("f4"),
        "pair": np.array([(1.0, b"abc")], dtype=kind),
        "reference": h5py.h5r.Reference,
        "opaque": np.void(b"\x00\xff\x01"),
        "nan": np.nan,
        "words": np.array(["a", "b"], dtype=object),
    }
    with h5py.File(recon, "r+") as file:
        odd["reference"] = file["gps"].ref
        for name, value in odd.items():
            kinds = {"words": h5py.string_dtype(), "reference": h5py.ref_dtype}
            file.attrs.create(name, value, dtype=kinds.get(name))
        rows = np.array([np.arange(2), np.arange(3)], dtype=object)
        file.attrs.create("rows", rows, dtype=h5py.vlen_dtype(int))
    facts, _ = read(recon, RECON)
    assert facts.errors == [] and set(odd) < set(facts.attributes)
    assert facts.attributes["words"] == ["a", "b"] and facts.attributes["nan"] == "nan"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"actions": "a"}, "images"),
        ({"images": "a"}, "actions"),
        ({"images": "", "actions": "a"}, "found '', expected a path"),
        ({"images": "a[0]", "actions": "a"}, "expected a path in the file"),
        ({"images": "a", "actions": {}}, "a place for each velocity"),
        ({"images": "a", "actions": 3}, "a place for each velocity"),
        ({"images": "a", "actions": {"linear_z": "a"}}, "'linear_z', expected one of linear_x"),
        ({"images": "a", "actions": {"linear_x": 0}}, "found 0 for linear_x"),
        ({"images": "a", "actions": {"linear_x": "a[]"}}, "expected a path with a column"),
        ({"images": "a", "actions": {"linear_x": "a[0"}}, "expected a path with a column"),
        ({"images": "a", "actions": {"linear_x": "a[1001]"}}, "at most 1000 columns"),
        ({"images": "a", "actions": "b", "episodes": "data/**"}, "a pattern of groups"),
        ({"images": "a", "actions": "b", "episodes": "/"}, "a pattern of groups"),
        ({"images": "a", "actions": "b", "reward": "r"}, "reward"),
    ],
)
def test_settings_that_say_no_place_are_refused(fields, said):
    with pytest.raises(ValidationError, match=said.replace("[", r"\[").replace("*", r"\*")):
        Fields.model_validate(fields)
