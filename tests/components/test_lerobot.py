"""LeRobotDataset v3: what is written, that it comes back unchanged, and damaged ones."""

import json
import shutil

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mobile_vla.config.mistakes import Source
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.simulator import SimulateSettings, Simulation, simulated_episodes
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.errors import Problems, UserError
from mobile_vla.files import read_json
from mobile_vla.layout import RawFiles
from mobile_vla.lerobot.export_lerobot import export_lerobot
from mobile_vla.lerobot.prompts import check_prompts
from mobile_vla.lerobot.tables import IMAGE
from mobile_vla.simulator.simulate import simulate
from support.lerobot import CAMERA, contents, imported, listed, project
from support.recorded import write_episode, write_folder
from support.rewriting import rewrite

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


def test_events_and_attributes_follow_the_frames_that_are_taken(raws, exported, tmp_path):
    before = contents(raws[1])
    after = contents(imported(listed(exported, every=4)[raws[1].stem], tmp_path))
    np.testing.assert_array_equal(after["images"], before["images"][::4])
    assert after["event_types"] == before["event_types"][::4]
    assert after["attributes"] == before["attributes"] | {"num_frames": 3}


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


def test_names_that_came_along_say_what_prompts_need(exported):
    asked = {"one": Prompt(template="{instruction} {style} {side}")}
    check_prompts("ours", listed(exported), asked, Source())


def test_names_that_no_longer_fit_are_noticed(copied):
    ours = copied / "meta/mobile_vla.json"
    content = read_json(ours)
    content["episodes"].pop(0)
    rewrite(ours, content)
    with pytest.raises(UserError, match=r"has 6 now: episodes were removed or reordered"):
        listed(copied)
    ours.unlink()
    assert next(iter(listed(copied))) == "episode_000000"
