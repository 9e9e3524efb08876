"""Drives are kept as episodes, and another policy can be asked what it would have done."""

import csv
import io
import json
import logging

import h5py
import numpy as np
import pytest
from PIL import Image

from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.errors import UserError
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from mobile_vla.robot.policy import load_robot_policy
from mobile_vla.robot.predict import frames_of_episode
from mobile_vla.robot.recording import finish_drive
from mobile_vla.robot.replay import replay
from mobile_vla.robot.serve import server_of
from mobile_vla.serving.drives import Drive
from mobile_vla.serving.recorder import Recorder
from support.policy_server import LIMITS, encoded, png, serving
from support.training_run import Inputs, run, settings_of

LEFT, RIGHT = "pass on the left", "pass on the right"
RAW = "application/octet-stream"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two policies on one backbone."""
    folder = tmp_path_factory.mktemp("recorded")
    inputs = Inputs.make(folder)
    for epochs in (1, 3):
        run(inputs, folder / f"{epochs}", settings_of(epochs=epochs))
    return folder / "1/policy", folder / "3/policy", inputs.backbone


def pictures():
    """Return a drive's pictures, each with the query that it is sent with."""
    images = np.random.default_rng(0).integers(0, 256, (4, 90, 160, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 3
    raw = {"kind": RAW, "width": 160, "height": 90, "color": "bgr"}
    sent = [
        (encoded(images[0], "JPEG", quality=90), {"kind": "image/jpeg"}),
        (png(images[1]), {"kind": "image/png"}),
        (images[2, ..., ::-1].tobytes(), raw),
        (encoded(images[3], "JPEG", exif=exif.tobytes()), {"kind": "image/jpeg"}),
    ]
    return images, sent


@pytest.fixture(scope="module")
def drives(trained, tmp_path_factory):
    """A folder with the drive of a robot, and what it was answered."""
    folder = tmp_path_factory.mktemp("drives")
    policy, _, backbone = trained
    server = server_of(load_robot_policy(policy, backbone), LIMITS, folder)
    answers = []
    with serving(server) as client:
        assert client.reset("robot", LEFT, period=40.0)[0] == 200
        for step, (picture, how) in enumerate(pictures()[1]):
            for _ in range(2):  # an answer that was lost is no second frame
                status, answer = client.step("robot", step, picture, age=0.5, **how)
            assert status == 200 and answer["stopped"] is None, answer
            answers.append(answer)
        status, answer = client.step("robot", 4, png(pictures()[0][0]), age=100)
        assert answer["stopped"] == "late"
        answers.append(answer)
        assert client.ask("GET", "/health")[1]["unrecorded"] == 0
        # a drive without pictures is none
        assert client.reset("robot", RIGHT)[0] == 200
        assert client.step("robot", 0, b"no picture")[0] == 422
    assert server.recorder.close(30)
    return folder, answers


def test_a_drive_becomes_an_episode(drives):
    folder, answers = drives
    (path,) = folder.iterdir()
    assert path.suffix == ".h5" and "_left_" in path.name
    _, sent = pictures()
    with h5py.File(path) as file:
        stored = [bytes(one) for one in file["images"]]
        kept = [0, 1, 3]  # as they came
        assert [stored[index] for index in kept] == [sent[index][0] for index in kept]
        given = np.array([answer["actions"] for answer in answers], dtype=np.float32)
        np.testing.assert_array_equal(file["answers"], given)
        # the command at a frame is that which was predicted from the one before
        np.testing.assert_array_equal(file["actions"][1:, :2], given[:-1, 0])
        assert not file["actions"][0].any() and not file["actions"][:, 2].any()
        assert list(file["stopped"].asstr()) == ["", "", "", "", "late"]
        assert (np.diff(file["time"]) > 0).all()
        assert (file["picture_age"][:4] > 0.5).all() and (file["seconds"][:] > 0).all()
        assert file["language_instruction"][0].decode() == LEFT
        assert file["action_event_types"].asstr()[0] == "episode_start"
        said = dict(file.attrs)
    assert said["session"] == "robot" and said["num_frames"] == 5
    assert said["total_duration"] == 200.0 and said["policy"] == "lora seed0, epoch 0"


def test_the_episode_is_ingested_as_a_recorded_one(drives, tmp_path):
    (path,) = drives[0].iterdir()
    files = EpisodeFiles(tmp_path / "facts.json", tmp_path / "frames.npy")
    settings = IngestSettings(dataset="drives", episode=path.stem, images=Images(color="rgb"))
    ingest(settings, files, raw=path)
    facts = EpisodeFacts.read(files.facts)
    assert facts.errors == []
    assert facts.scenario["side"] == "left" and facts.instruction == LEFT
    images, sent = pictures()
    found = np.load(files.frames)
    assert found.shape == (5, 224, 224, 3)
    # the picture that its EXIF data turn stands upright
    upside_down = np.asarray(Image.open(io.BytesIO(sent[3][0])))[::-1, ::-1]
    for frame, image in ((1, images[1]), (2, images[2]), (3, upside_down)):
        small = Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(found[frame], np.asarray(small))


def a_drive():
    return Drive("robot", LEFT, None, 0.5, 0.0)


PICTURE = png(np.zeros((9, 9, 3), dtype=np.uint8))
FACTS = {"policy": "a policy", "dimensions": ["linear_x", "linear_y"], "ahead": [1, 2]}
STEP = {
    **{"kind": "image/png", "width": 0, "height": 0, "color": "rgb", "age": 0.1, "time": 1e9},
    **{"actions": [[1.0, 0.0], [0.0, 0.0]], "stopped": None, "clamped": 0, "seconds": 0.1},
    "picture_age": 0.2,
}


def test_what_a_killed_server_left_is_finished_by_the_next(tmp_path):
    killed = Recorder(tmp_path, FACTS, finish_drive)
    drive = a_drive()
    killed.begin(drive)
    for _ in range(3):
        killed.step(drive, PICTURE, STEP)
    killed.thread.shutdown()
    killed.open[drive.id].free()  # as the system does
    (left,) = tmp_path.iterdir()
    lines = (left / "steps.jsonl").read_text()
    (left / "steps.jsonl").write_text(lines[:-20])  # the power failed while it wrote
    recorder = Recorder(tmp_path, FACTS, finish_drive)
    assert recorder.close(30)
    (path,) = tmp_path.iterdir()
    with h5py.File(path) as file:
        assert len(file["images"]) == 2 and file["actions"][:, 0].tolist() == [0.0, 1.0]


def test_the_drive_of_another_server_is_left_to_it(tmp_path):
    first = Recorder(tmp_path, FACTS, finish_drive)
    drive = a_drive()
    first.begin(drive)
    for step in range(4):
        first.step(drive, PICTURE, STEP)
        if step == 1:
            first.thread.submit(lambda: None).result()
            assert Recorder(tmp_path, FACTS, finish_drive).close(30)
    assert first.close(30) and first.failed == 0
    (path,) = tmp_path.iterdir()
    with h5py.File(path) as file:
        assert len(file["images"]) == 4


def test_a_drive_ends_where_the_disk_was_full_and_the_rest_is_counted(
    tmp_path, caplog, monkeypatch
):
    recorder = Recorder(tmp_path, FACTS, finish_drive)
    drive, other = a_drive(), a_drive()
    dumps = json.dumps

    def full(value, **options):
        if value.get("time") == 2:  # half of a line is written
            with (
                next(tmp_path.glob(f"*_{drive.id[:8]}.drive"))
                .joinpath("steps.jsonl")
                .open("a") as file
            ):
                file.write(dumps(value)[:40])
            raise OSError(28, "No space left on device")
        return dumps(value, **options)

    monkeypatch.setattr("mobile_vla.serving.recorder.json.dumps", full)
    with caplog.at_level(logging.ERROR):
        for one in (drive, other):
            recorder.begin(one)
        for time in range(5):  # there is space again at 3
            recorder.step(drive, PICTURE, {**STEP, "time": time})
        recorder.step(other, PICTURE, {**STEP, "time": 5})
        assert recorder.close(30)
    assert recorder.failed == 3 and caplog.text.count("No space left") == 1
    found = {}
    for path in tmp_path.iterdir():
        with h5py.File(path) as file:
            found[path.stem[-8:]] = file["time"][:].tolist()
    assert found == {drive.id[:8]: [0, 1], other.id[:8]: [5]}


def test_a_place_that_cannot_be_written_to_is_named(trained, tmp_path):
    policy, _, backbone = trained
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"--record .*file: cannot be written"):
        server_of(load_robot_policy(policy, backbone), LIMITS, tmp_path / "file")


def test_the_same_policy_would_have_driven_the_same_way(drives, trained, capsys):
    policy, _, backbone = trained
    (path,) = drives[0].iterdir()
    half = path.with_name(f".{path.name}")  # of a server that was killed while it wrote
    half.write_bytes(path.read_bytes()[:1000])
    replay(drives[0], policy, backbone=backbone, instruction=LEFT)
    half.unlink()
    said = capsys.readouterr().out
    assert said.count("5 frames") == 1
    # but for the frame at which its answer came too late
    assert "most at frame 4: (0, 0, 0) was driven" in said


def test_a_drive_says_its_order_of_colours(drives, tmp_path):
    """It is that of its files, whatever the order in the policy's training set."""
    (path,) = drives[0].iterdir()
    rgb, bgr = (frames_of_episode(path, Images(color=color))[0] for color in ("rgb", "bgr"))
    np.testing.assert_array_equal(rgb, bgr)
    files = EpisodeFiles(tmp_path / "facts.json", tmp_path / "frames.npy")
    settings = IngestSettings(dataset="lab", episode=path.stem, images=Images(color="bgr"))
    ingest(settings, files, raw=path)
    (error,) = EpisodeFacts.read(files.facts).errors
    assert error.code == "color_contradicts_file"


def test_another_policy_is_compared_frame_by_frame(drives, trained, tmp_path, capsys):
    folder, answers = drives
    _, other, backbone = trained
    output = tmp_path / "other.csv"
    replay(folder, other, backbone=backbone, output=output)
    said = capsys.readouterr().out
    assert "the first actions differ by" in said and "to the left" in said
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert len(rows) == 5
    driven = [[float(row["linear_x"]), float(row["linear_y"])] for row in rows]
    np.testing.assert_allclose(driven, [answer["actions"][0] for answer in answers], rtol=1e-6)
    others = [[float(row["other_linear_x"]), float(row["other_linear_y"])] for row in rows]
    assert np.abs(np.array(others) - driven)[:4].max() > 1e-3


def test_what_cannot_be_replayed_is_named(drives, trained, tmp_path):
    policy, _, backbone = trained
    with pytest.raises(UserError, match="no drive"):
        replay(tmp_path, policy, backbone=backbone)
    with pytest.raises(UserError, match="was not trained with"):
        replay(drives[0], policy, backbone=backbone, instruction="fly")
