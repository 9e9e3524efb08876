"""LeRobotDatasets of others: names, columns, versions and strides, and what is refused."""

import json

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.mistakes import Source
from mobile_vla.config.prompt import Prompt
from mobile_vla.errors import Problems, UserError
from mobile_vla.files import read_json, write_json
from mobile_vla.ingest.ingest import ingest
from mobile_vla.layout import EpisodeFiles
from mobile_vla.lerobot.prompts import check_prompts
from support.lerobot import CAMERA, imported, listed, theirs
from support.lerobot_video import write_dataset


def problems(folder, **settings):
    with pytest.raises(Problems) as caught:
        listed(folder, **settings)
    return caught.value.problems


def test_a_dataset_of_others_is_read_by_number_and_name(tmp_path):
    images, actions = theirs(tmp_path / "theirs")
    found = listed(tmp_path / "theirs")
    assert list(found) == ["episode_000000", "episode_000001"]
    path = imported(found["episode_000001"], tmp_path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["images"][()], images[3:])
        expected = np.zeros((2, 3), dtype=np.float32)
        expected[:, [0, 2]] = actions[3:, [1, 2]]
        np.testing.assert_array_equal(file["actions"][()], expected)
        assert file["language_instruction"][0] == b"place"
        assert "action_event_types" not in file and file.attrs["num_frames"] == 2
    facts = tmp_path / "facts.json"
    wanted = IngestSettings(dataset="theirs", episode="a", images=Images(color="rgb"))
    ingest(wanted, EpisodeFiles(facts, tmp_path / "frames.npy"), raw=path)
    assert read_json(facts)["errors"] == []


@pytest.mark.parametrize("column", [1, "1", "b"])
def test_columns_can_be_said_where_names_say_nothing(tmp_path, column):
    _, actions = theirs(tmp_path / "theirs", names=("a", "b"))
    one = listed(tmp_path / "theirs", columns={"linear_y": column})["episode_000000"]
    with h5py.File(imported(one, tmp_path)) as file:
        np.testing.assert_array_equal(file["actions"][:, 1], np.float32(actions[:3, 1]))
        assert not file["actions"][:, [0, 2]].any()


def test_columns_that_are_not_there_are_named(tmp_path):
    theirs(tmp_path / "theirs", names=("a", "b"))
    (problem,) = problems(tmp_path / "theirs")
    assert problem.place.endswith("(datasets.theirs.columns)")
    assert problem.found == "'action' of 2 numbers named a, b"
    assert "theta.vel" in problem.expected and "columns: {linear_x: x.vel" in problem.remedy
    two = problems(tmp_path / "theirs", columns={"linear_x": "x.vel", "linear_y": 2})
    assert [one.found for one in two] == ["found 'x.vel' for linear_x", "found 2 for linear_y"]
    assert {one.expected for one in two} == {"one of a, b, or a place from 0 to 1"}


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (("arm.pos", "x.vel", "y.vel", "theta.vel"), (1, 2, 3)),  # LeKiwi
        (("linear.vel", "angular.vel"), (0, None, 1)),
        (("angular.z", "linear.x"), (1, None, 0)),
        (("neck.pos", "mobile_base.vx", "mobile_base.vy", "mobile_base.vtheta"), (1, 2, 3)),
    ],
)
def test_names_of_common_mobile_bases_are_known(tmp_path, names, places):
    theirs(tmp_path / "theirs", names=names)
    assert listed(tmp_path / "theirs")["episode_000000"].settings.columns == places


def test_two_names_for_one_velocity_are_asked_about(tmp_path):
    theirs(tmp_path / "theirs", names=("x.vel", "vx"))
    (problem,) = problems(tmp_path / "theirs")
    assert problem.found == "x.vel and vx, both linear_x by name"
    assert listed(tmp_path / "theirs", columns={"linear_x": "vx"})


def test_all_mistakes_of_a_dataset_are_listed_at_once(tmp_path):
    theirs(tmp_path / "theirs", names=("a",), **{"observation.images.top": "image"})
    path = tmp_path / "theirs/meta/info.json"
    info = {name: value for name, value in read_json(path).items() if name != "fps"}
    write_json(path, info | {"data_path": "data/{episode_chunk}.parquet"})
    index = tmp_path / "theirs/meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(index).drop_columns(["length", "tasks"]), index)
    assert [one.found for one in problems(tmp_path / "theirs", camera="left")] == [
        "found 'left'",
        "'action' of 1 numbers named a",
        "no field 'fps' in a dataset of version v3.0",
        "found 'data/{episode_chunk}.parquet'",
        "no column tasks, length",
    ]


@pytest.mark.parametrize("version", ["v3.0", "v3.1", "v3.12"])
def test_later_minor_versions_are_read_while_nothing_is_missing(tmp_path, version):
    write_dataset(tmp_path / "theirs", codebase_version=version, something_new={"a": 1})
    assert len(listed(tmp_path / "theirs", camera=CAMERA)) == 3


@pytest.mark.parametrize("field", ["video_path", "fps", "data_path", "features"])
def test_a_later_version_without_a_field_is_refused_with_its_name(tmp_path, field):
    write_dataset(tmp_path / "theirs", codebase_version="v3.1", **{field: None})
    (problem,) = problems(tmp_path / "theirs", camera=CAMERA)
    assert problem.found == f"no field {field!r} in a dataset of version v3.1"


def test_a_later_version_without_a_column_of_the_index_is_refused(tmp_path):
    write_dataset(tmp_path / "theirs", codebase_version="v3.1")
    index = tmp_path / "theirs/meta/episodes/chunk-000/file-000.parquet"
    column = f"videos/{CAMERA}/from_timestamp"
    pq.write_table(pq.read_table(index).drop_columns([column]), index)
    (problem,) = problems(tmp_path / "theirs", camera=CAMERA)
    assert problem.found == f"no column {column}" and problem.place == str(index)


@pytest.mark.parametrize("version", ["v2.1", "v4.0", None, 3])
def test_other_versions_are_refused_and_what_else_is_known_to_be_wrong(tmp_path, version):
    write_dataset(tmp_path / "theirs", codebase_version=version)
    first, second = problems(tmp_path / "theirs")
    assert "codebase_version" in first.place + first.found
    assert second.found == "no camera is named"


@pytest.mark.parametrize(
    "column",
    [
        {"length": [3, None]},
        {"length": [3, 0]},
        {"length": [3.0, 2.0]},
        {"length": ["3", "2"]},
        {"episode_index": [0, -1]},
        {"data/file_index": [0.0, 0.0]},
        {"tasks": ["pick", "place"]},
        {"tasks": [["pick"], [None]]},
    ],
)
def test_values_that_the_index_cannot_have_are_named(tmp_path, column):
    theirs(tmp_path / "theirs")
    index = tmp_path / "theirs/meta/episodes/chunk-000/file-000.parquet"
    ((name, values),) = column.items()
    table = pq.read_table(index).to_pydict() | column
    pq.write_table(pa.table(table), index)
    (problem,) = problems(tmp_path / "theirs")
    place, _, of = problem.place.rpartition(", ")
    assert of == name and place.startswith(str(index))
    assert problem.found in [f"found {value!r}" for value in values]


def test_an_episode_that_the_index_has_twice_is_refused(tmp_path):
    theirs(tmp_path / "theirs")
    index = tmp_path / "theirs/meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(index)
    pq.write_table(pa.concat_tables([table, table.slice(1)]), index)
    (problem,) = problems(tmp_path / "theirs")
    assert problem.found == "episode 1 is listed twice"


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (lambda rows: [*rows[:2], None, *rows[3:]], "found 3 and none numbers in a row"),
        (lambda rows: [*rows[:2], [1.0], *rows[3:]], "found 1 and 3 numbers in a row"),
        (lambda rows: [[str(one) for one in row] for row in rows], "values of type list<"),
        (lambda rows: [row[:2] for row in rows], "action has 2 numbers in the Parquet files"),
    ],
)
def test_actions_of_another_form_are_refused(tmp_path, actions, message):
    theirs(tmp_path / "theirs")
    data = tmp_path / "theirs/data/chunk-000/file-000.parquet"
    table = pq.read_table(data).to_pydict()
    pq.write_table(pa.table(table | {"action": actions(table["action"])}), data)
    with pytest.raises(UserError, match=message):
        imported(listed(tmp_path / "theirs")["episode_000000"], tmp_path)


def test_one_number_may_be_stored_without_a_list(tmp_path):
    _, actions = theirs(tmp_path / "theirs", names=("linear_x",))
    data = tmp_path / "theirs/data/chunk-000/file-000.parquet"
    table = pq.read_table(data).to_pydict()
    pq.write_table(pa.table(table | {"action": [row[0] for row in table["action"]]}), data)
    with h5py.File(imported(listed(tmp_path / "theirs")["episode_000000"], tmp_path)) as file:
        np.testing.assert_array_equal(file["actions"][:, 0], np.float32(actions[:3, 0]))


@pytest.mark.parametrize(
    ("names", "places"),
    [
        ({"angular_z": 2, "linear_x": 0, "x": 1}, (0, None, 2)),  # LeRobot's gamepad
        ({"motors": ["x", "linear_x"], "base": ["angular_z"]}, (1, None, 2)),
    ],
)
def test_names_may_be_numbered_or_grouped(tmp_path, names, places):
    theirs(tmp_path / "theirs")
    path = tmp_path / "theirs/meta/info.json"
    info = read_json(path)
    info["features"]["action"]["names"] = names
    write_json(path, info)
    assert listed(tmp_path / "theirs")["episode_000000"].settings.columns == places


@pytest.mark.parametrize("fps", [-5, float("nan"), float("inf"), True])
def test_a_rate_that_is_none_is_refused(tmp_path, fps):
    theirs(tmp_path / "theirs")
    path = tmp_path / "theirs/meta/info.json"
    path.write_text(json.dumps(read_json(path) | {"fps": fps}))
    (problem,) = problems(tmp_path / "theirs", rate=5)
    assert problem.found == f"found {fps!r}" and problem.place.endswith("info.json (fps)")


def test_a_map_of_depths_is_no_camera(tmp_path):
    theirs(tmp_path / "theirs", **{"observation.images.depth": "image"})
    path = tmp_path / "theirs/meta/info.json"
    info = read_json(path)
    info["features"]["observation.images.depth"]["info"] = {"video.is_depth_map": True}
    write_json(path, info)
    assert listed(tmp_path / "theirs")["episode_000000"].settings.camera == CAMERA
    (problem,) = problems(tmp_path / "theirs", camera="observation.images.depth")
    assert "which holds depths" in problem.found


def test_several_instructions_of_an_episode_are_listed(tmp_path):
    theirs(tmp_path / "theirs")
    index = tmp_path / "theirs/meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(index).to_pydict() | {"tasks": [["a", "b"], []]}
    pq.write_table(pa.table(table), index)
    found = [one.found for one in problems(tmp_path / "theirs")]
    assert found == ["episode 0 has 2 instructions", "episode 1 has 0 instructions"]


def test_one_of_several_cameras_must_be_chosen(tmp_path):
    theirs(tmp_path / "two", **{"observation.images.top": "image"})
    expected = "one of observation.images.front, observation.images.top"
    for settings, found in (({}, "no camera is named"), ({"camera": "left"}, "found 'left'")):
        (problem,) = problems(tmp_path / "two", **settings)
        assert (problem.found, problem.expected) == (found, expected)
    assert len(listed(tmp_path / "two", camera=CAMERA)) == 2


@pytest.mark.parametrize("wanted", [{"every": 2}, {"rate": 15}, {"rate": 15.0}])
def test_every_second_frame_comes_with_its_own_action(tmp_path, wanted):
    images, actions = theirs(tmp_path / "theirs")  # 30 frames a second
    one, other = (imported(one, tmp_path) for one in listed(tmp_path / "theirs", **wanted).values())
    for path, rows in ((one, [0, 2]), (other, [3])):
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["images"][()], images[rows])
            np.testing.assert_array_equal(file["actions"][:, 0], np.float32(actions[rows, 1]))
            assert file.attrs["num_frames"] == len(rows)


def test_what_is_taken_is_what_was_taken_before(tmp_path):
    theirs(tmp_path / "theirs")
    one, other, plain = (
        listed(tmp_path / "theirs", **wanted) for wanted in ({"every": 1}, {"rate": 30}, {})
    )
    assert one == other == plain


@pytest.mark.parametrize("rate", [7, 60, 29.97])
def test_a_rate_that_does_not_divide_the_datasets_is_refused(tmp_path, rate):
    theirs(tmp_path / "theirs")
    (problem,) = problems(tmp_path / "theirs", rate=rate)
    assert problem.place.endswith("(datasets.theirs.rate)")
    assert problem.found == f"{rate:g} of 30 frames a second"
    assert problem.expected == "a rate that divides it: 30, 15, 10, 7.5, 6, 5 and so on"


def test_prompts_that_need_what_no_episode_says_are_listed(tmp_path):
    theirs(tmp_path / "theirs")
    asked = {
        name: Prompt(template=template)
        for name, template in (
            ("one", "pass on the {side}"),
            ("two", "{instruction} {style} {side}"),
            ("three", "{instruction}"),
        )
    }
    with pytest.raises(Problems) as caught:
        check_prompts("theirs", listed(tmp_path / "theirs"), asked, Source())
    one, two = caught.value.problems
    assert one.place.endswith("(experiments.one.prompt.template)")
    assert one.found == "'pass on the {side}' needs the side, which no episode says"
    assert "needs the style and the side" in two.found
    assert (
        one.expected == "a prompt of what they say: instruction" and "{instruction}" in one.remedy
    )
