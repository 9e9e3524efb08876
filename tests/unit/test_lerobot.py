"""LeRobotDataset v3: what is written, that it comes back unchanged, and what is refused."""

import json
import shutil

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.mistakes import Source
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.simulator import SimulateSettings, Simulation, simulated_episodes
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.errors import Problems, UserError
from mobile_vla.files import read_json, write_json
from mobile_vla.ingest.ingest import ingest
from mobile_vla.layout import EpisodeFiles, RawFiles
from mobile_vla.lerobot.export_lerobot import export_lerobot
from mobile_vla.lerobot.prompts import check_prompts
from mobile_vla.lerobot.tables import IMAGE
from mobile_vla.simulator.simulate import simulate
from support.lerobot import CAMERA, contents, imported, listed, project, theirs
from support.lerobot_video import write_dataset
from support.recorded import write_episode, write_folder

SIZE = (36, 48)
NUMBERS = ["frame_index", "episode_index", "index", "task_index"]
KINDS = ["min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"]


@pytest.fixture(scope="module")
def raws(tmp_path_factory):
    """Recorded episodes of two lengths, all with an instruction, and one that is cut off."""
    folder = tmp_path_factory.mktemp("recorded")
    paths = write_folder(folder, 5, frames=6, size=SIZE, truncated=True)
    write_episode(paths[1], frames=9, size=SIZE, seed=7)
    for path in paths[:4]:
        with h5py.File(path, "a") as file:
            if "language_instruction" not in file:
                text = np.array(["go to the 컵".encode()], dtype="S256")
                file.create_dataset("language_instruction", data=text)
    return paths


@pytest.fixture(scope="module")
def exported(raws, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export_lerobot("ours", folder / "out", **project(folder, raws), fps=2)
    return folder / "out"


@pytest.fixture
def copied(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copied")


def test_a_round_trip_keeps_every_frame_action_and_instruction(raws, exported, tmp_path):
    found = listed(exported)
    assert list(found) == [path.stem for path in raws[:4]]  # the fifth is broken
    for path in raws[:4]:
        before, after = contents(path), contents(imported(found[path.stem], tmp_path))
        for name in ("images", "actions"):
            np.testing.assert_array_equal(before[name], after[name])
            assert before[name].dtype == after[name].dtype
        for name in ("event_types", "instruction", "attributes"):
            assert before[name] == after[name], name


def test_what_is_stored_as_bgr_is_exported_as_rgb(raws, tmp_path):
    export_lerobot("ours", tmp_path / "out", **project(tmp_path, raws[:1], color="bgr"))
    (one,) = listed(tmp_path / "out").values()
    before, after = contents(raws[0]), contents(imported(one, tmp_path))
    np.testing.assert_array_equal(before["images"][..., ::-1], after["images"])


def test_a_simulated_episode_comes_back_to_the_byte(tmp_path):
    world = Simulation.model_validate({"scenes": 1, "world": {"frames": 3}})
    (name, settings), *_ = simulated_episodes(world).items()
    assert isinstance(settings, SimulateSettings)
    raw = tmp_path / "raw" / f"{name}.h5"
    simulate(settings, RawFiles(raw, raw.with_suffix(".json")))
    export_lerobot("ours", tmp_path / "out", **project(tmp_path, [raw]))
    (one,) = listed(tmp_path / "out").values()
    assert imported(one, tmp_path).read_bytes() == raw.read_bytes()


def test_info_says_what_the_format_asks_for(exported):
    assert json.loads((exported / "meta/info.json").read_text()) == {
        "codebase_version": "v3.0",
        "robot_type": None,
        "total_episodes": 4,
        "total_frames": 27,
        "total_tasks": 3,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": 2,
        "splits": {"train": "0:4"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": None,
        "features": {
            CAMERA: {
                "dtype": "image",
                "shape": [*SIZE, 3],
                "names": ["height", "width", "channels"],
            },
            "action": {"dtype": "float32", "shape": [3], "names": list(ACTION_COLUMNS)},
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            **{name: {"dtype": "int64", "shape": [1], "names": None} for name in NUMBERS},
        },
    }


def test_rows_are_numbered_timed_and_typed(exported):
    file = pq.ParquetFile(exported / "data/chunk-000/file-000.parquet")
    assert file.num_row_groups == 4, "one an episode"
    table = file.read()
    assert table.column_names == [CAMERA, "action", "timestamp", *NUMBERS]
    assert table.schema.field(CAMERA).type == IMAGE
    assert table.schema.field("action").type == pa.list_(pa.float32(), 3)
    lengths = [6, 9, 6, 6]
    within = np.concatenate([np.arange(length) for length in lengths])
    assert table["frame_index"].to_pylist() == within.tolist()
    assert table["timestamp"].to_pylist() == (within / 2).tolist()
    assert table["index"].to_pylist() == list(range(27))
    assert table["episode_index"].to_pylist() == np.repeat(range(4), lengths).tolist()
    metadata = json.loads(table.schema.metadata[b"huggingface"])
    assert metadata["info"]["features"][CAMERA] == {"_type": "Image"}


def test_the_index_finds_each_episode(exported):
    rows = pq.read_table(exported / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["length"] for row in rows] == [6, 9, 6, 6]
    assert [row["dataset_from_index"] for row in rows] == [0, 6, 15, 21]
    assert [row["dataset_to_index"] for row in rows] == [6, 15, 21, 27]
    for row in rows:
        for place in ("data", "meta/episodes"):
            assert row[f"{place}/chunk_index"] == row[f"{place}/file_index"] == 0
        assert len(row["tasks"]) == 1
        for feature in (CAMERA, "action", "timestamp", *NUMBERS):
            for kind in KINDS:
                assert f"stats/{feature}/{kind}" in row
    tasks = pq.read_table(exported / "meta/tasks.parquet")
    by_text = dict(zip(tasks["task"].to_pylist(), tasks["task_index"].to_pylist(), strict=True))
    assert sorted(by_text.values()) == [0, 1, 2] and "go to the 컵" in by_text
    data = pq.read_table(exported / "data/chunk-000/file-000.parquet", columns=["task_index"])
    found = data["task_index"].to_pylist()
    assert [by_text[row["tasks"][0]] for row in rows] == [found[0], found[6], found[15], found[21]]
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_statistics_are_those_of_the_pixels_and_numbers(raws, exported):
    pictures = [contents(path)["images"] / 255.0 for path in raws[:4]]
    actions = [contents(path)["actions"].astype(np.float64) for path in raws[:4]]
    whole = json.loads((exported / "meta/stats.json").read_text())
    rows = pq.read_table(exported / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    of_episode = {
        feature: {kind: rows[1][f"stats/{feature}/{kind}"] for kind in KINDS}
        for feature in (CAMERA, "action")
    }
    for found, images, values in (
        (whole, np.concatenate(pictures), np.concatenate(actions)),
        (of_episode, pictures[1], actions[1]),
    ):
        for feature, array, shape in ((CAMERA, images, (3, 1, 1)), ("action", values, (3,))):
            own = {kind: np.array(found[feature][kind]) for kind in KINDS}
            flat = array.reshape(-1, 3)
            expected = {
                "min": flat.min(axis=0),
                "max": flat.max(axis=0),
                "mean": flat.mean(axis=0),
                "std": flat.std(axis=0),
                **{kind: np.quantile(flat, int(kind[1:]) / 100, axis=0) for kind in KINDS[5:]},
            }
            assert own.pop("count").tolist() == [len(array)]
            for kind, value in expected.items():
                assert own[kind].shape == shape, (feature, kind)
                np.testing.assert_allclose(own[kind].ravel(), value, atol=1e-9, err_msg=kind)


def test_a_large_dataset_goes_into_several_files(raws, tmp_path, monkeypatch):
    monkeypatch.setattr("mobile_vla.lerobot.export_lerobot.DATA_MB", 1 / 64)
    monkeypatch.setattr("mobile_vla.lerobot.export_lerobot.CHUNK_FILES", 2)
    export_lerobot("ours", tmp_path / "out", **project(tmp_path, raws))
    files = sorted(str(file.relative_to(tmp_path / "out")) for file in tmp_path.rglob("data/*/*"))
    assert files[0] == "data/chunk-000/file-000.parquet" and len(files) > 2
    assert "data/chunk-001/file-000.parquet" in files
    for path, one in zip(raws[:4], listed(tmp_path / "out").values(), strict=True):
        after = contents(imported(one, tmp_path))
        np.testing.assert_array_equal(contents(path)["images"], after["images"])


def test_what_cannot_be_exported_is_named(raws, tmp_path):
    given = project(tmp_path, raws)
    with pytest.raises(UserError, match="it is there already"):
        export_lerobot("ours", tmp_path, **given)
    with pytest.raises(UserError, match="no 'other'; expected one of ours"):
        export_lerobot("other", tmp_path / "out", **given)
    with pytest.raises(UserError, match="expected 1 or more"):
        export_lerobot("ours", tmp_path / "out", **given, fps=0)
    with pytest.raises(UserError, match=r"`snakemake --cores 1 .*manifest\.json`"):
        export_lerobot("ours", tmp_path / "out", config=given["config"], results=tmp_path / "no")


def test_other_episodes_than_were_ingested_are_not_exported(raws, tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    paths = [folder / path.name for path in raws[:2]]
    for path, own in zip(paths, raws, strict=False):
        shutil.copy(own, path)
    given = project(tmp_path, paths)
    write_episode(paths[1], frames=6, size=SIZE, seed=3)
    with pytest.raises(UserError, match="run snakemake again, then export"):
        export_lerobot("ours", tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()
    given = project(tmp_path, paths)
    with h5py.File(paths[0], "a") as file:
        del file["language_instruction"]
    given = project(tmp_path, paths)
    with pytest.raises(Problems, match="with `--task`") as found:
        export_lerobot("ours", tmp_path / "out", **given)
    assert [one.found for one in found.value.problems] == ["it has no language_instruction"]
    export_lerobot("ours", tmp_path / "out", **given, task="pass on the {side}")
    rows = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert rows[0]["tasks"] == ["pass on the left"]
    # what stands in for a missing instruction does not come back as the file's own
    assert listed(tmp_path / "out")[paths[0].stem].settings.instruction is None
    write_episode(paths[1], frames=6, size=(20, 30))
    with pytest.raises(UserError, match=r"different sizes \(30×20, 48×36\)"):
        export_lerobot("ours", tmp_path / "two", **project(tmp_path, paths), task="go")


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


def test_rows_of_the_index_without_a_value_are_refused(tmp_path):
    theirs(tmp_path / "theirs")
    index = tmp_path / "theirs/meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(index).to_pydict() | {"length": [3, None]}
    pq.write_table(pa.table(table), index)
    (problem,) = problems(tmp_path / "theirs")
    assert problem.found == "rows without length"


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


def test_events_and_attributes_follow_the_frames_that_are_taken(raws, exported, tmp_path):
    before = contents(raws[1])
    after = contents(imported(listed(exported, every=4)[raws[1].stem], tmp_path))
    np.testing.assert_array_equal(after["images"], before["images"][::4])
    assert after["event_types"] == before["event_types"][::4]
    assert after["attributes"] == before["attributes"] | {"num_frames": 3}


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


def test_prompts_that_need_what_no_episode_says_are_listed(exported, tmp_path):
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
    check_prompts("ours", listed(exported), asked, Source())  # their names say all


def problems(folder, **settings):
    with pytest.raises(Problems) as caught:
        listed(folder, **settings)
    return caught.value.problems


def test_what_is_no_such_dataset_is_named(tmp_path, copied):
    with pytest.raises(UserError, match=r"\(datasets\.theirs\.path\): .* has no meta/info"):
        listed(tmp_path / "nothing")
    index = copied / "meta/episodes/chunk-000/file-000.parquet"
    index.write_bytes(index.read_bytes()[:-10])
    with pytest.raises(UserError, match="cannot be read as an index"):
        listed(copied)


def test_damaged_data_are_refused_at_their_place(copied, exported, tmp_path):
    one = next(iter(listed(copied).values()))
    one.data.write_bytes(one.data.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"file-000\.parquet, episode 0: cannot be read"):
        imported(one, tmp_path)
    one.data.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        imported(one, tmp_path)
    table = pq.read_table(exported / one.data.relative_to(copied))
    for spoilt, says in (
        (table.slice(1), "found 5 rows, expected frames 0 to 5"),
        (pa.concat_tables([table.slice(0, 1), table]), "found 7 rows"),
        (table.drop_columns(["episode_index"]), "no column episode_index"),
        (
            table.set_column(0, CAMERA, pa.array([{"bytes": b"no", "path": ""}] * 27, IMAGE)),
            "frame 0: damaged image",
        ),
        (
            table.set_column(0, CAMERA, pa.array([{"bytes": None, "path": "a"}] * 27, IMAGE)),
            "frame 0: found no bytes",
        ),
    ):
        pq.write_table(spoilt, one.data)
        with pytest.raises(UserError, match=says):
            imported(one, tmp_path)
        assert not list(tmp_path.glob("*.h5"))


def test_names_that_no_longer_fit_are_noticed(copied):
    ours = copied / "meta/mobile_vla.json"
    content = read_json(ours)
    content["episodes"].pop(0)
    write_json(ours, content)
    with pytest.raises(UserError, match=r"has 6 now: episodes were removed or reordered"):
        listed(copied)
    ours.unlink()
    assert next(iter(listed(copied))) == "episode_000000"
