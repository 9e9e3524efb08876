"""Asking a policy by hand: the table, the prompt, and what cannot be looked at."""

import csv
import io
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from mobile_vla.cli import main
from mobile_vla.config.fields import Fields
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.errors import UserError
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.resize import to_frame
from mobile_vla.layout import EpisodeFiles
from mobile_vla.robot.images import frame_of
from mobile_vla.robot.policy import load_robot_policy, predict_drive
from mobile_vla.robot.predict import predict
from mobile_vla.serving.application import Limits
from mobile_vla.serving.pictures import decode, unpack
from support.policy_server import encoded
from support.recorded import write_episode
from support.training_run import Inputs, run, settings_of

EPISODE = "episode_20251103_091241_1box_hori_left_core_close"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A trained policy, its backbone and an episode."""
    folder = tmp_path_factory.mktemp("made")
    inputs = Inputs.make(folder)
    run(inputs, folder / "run", settings_of(epochs=1))
    episode = folder / f"{EPISODE}.h5"
    write_episode(episode, frames=5)
    return folder / "run/policy", inputs.backbone, episode


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_an_episode_is_asked_under_its_own_prompt_as_in_training(made, tmp_path):
    policy, backbone, episode = made
    output = tmp_path / "found.csv"
    predict(policy, [episode], backbone=backbone, output=output)
    found = table(output)
    assert list(found[0]) == ["frame", "ahead", "linear_x", "linear_y"]
    assert [(row["frame"], row["ahead"]) for row in found[:4]] == [
        ("0", "1"),
        ("0", "2"),
        ("0", "3"),
        ("1", "1"),
    ]
    assert len(found) == 5 * 3
    for side, same in (("left", True), ("right", False)):
        other = tmp_path / f"{side}.csv"
        asked = f"pass on the {side}"
        predict(policy, [episode], backbone=backbone, output=other, instruction=asked)
        assert (other.read_bytes() == output.read_bytes()) == same


def test_the_table_holds_the_velocities_to_the_last_bit(made, tmp_path):
    policy, backbone, _ = made
    pictures = []
    frames = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    for index, frame in enumerate(frames):
        pictures.append(tmp_path / f"{index}.png")
        Image.fromarray(frame).save(pictures[-1])
    output = tmp_path / "found.csv"
    asked = "pass on the right"
    predict(policy, pictures, backbone=backbone, output=output, instruction=asked)
    found = [[float(row[name]) for name in ("linear_x", "linear_y")] for row in table(output)]
    expected = predict_drive(load_robot_policy(policy, backbone), frames, 1)
    np.testing.assert_array_equal(np.float32(found).reshape(expected.shape), expected)


def test_it_prints_where_no_file_is_named_and_a_mistake_is_no_traceback(made, capsys):
    policy, backbone, episode = map(str, made)
    assert main(["predict", policy, episode, "--backbone", backbone]) == 0
    assert capsys.readouterr().out.startswith("frame,ahead,linear_x,linear_y\n0,1,")
    wrong = ["--instruction", "왼쪽으로"]
    assert main(["predict", policy, episode, "--backbone", backbone, *wrong]) == 1
    said = capsys.readouterr()
    assert "was not trained with the instruction '왼쪽으로'" in said.err
    assert "'pass on the left' or 'pass on the right'" in said.err
    assert said.out == "" and "Traceback" not in said.err
    allowed = ["--allow-other-prompts", "--instruction", "pass on the box"]
    assert main(["predict", policy, episode, "--backbone", backbone, *allowed]) == 0


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--threads", "-3", "--threads: found -3, expected 1 or more"),
        ("--threads", "0", "--threads: found 0, expected 1 or more"),
        ("--precision", "fp99", "choose from"),
        ("--output", ".", "found a folder, expected the name of a file to write"),
    ],
)
def test_a_wrong_option_is_no_traceback(made, capsys, option, value, said):
    policy, backbone, episode = map(str, made)
    try:
        status = main(["predict", policy, episode, "--backbone", backbone, option, value])
    except SystemExit as stopped:  # argparse's own
        status = stopped.code
    error = capsys.readouterr().err
    assert status in (1, 2) and said in error and "Traceback" not in error


def test_limits_that_serve_nobody_are_refused():
    for name in ("sessions", "idle_seconds", "max_body_mb"):
        with pytest.raises(ValueError, match=f"--{name.replace('_', '-')}: found 0"):
            Limits(**{name: 0})


def test_an_episode_of_any_layout_is_asked_as_it_was_ingested(made, tmp_path):
    policy, backbone, episode = made
    (tmp_path / "theirs").mkdir()
    other = Path(shutil.copy(episode, tmp_path / "theirs"))
    with h5py.File(other, "r+") as file:
        file.move("images", "camera/front")
        file.move("actions", "commands")
    fields = Fields(images="camera/front", actions="commands")
    images = Images().settled()
    for resize in ("crop", "squeeze"):
        ingest(
            IngestSettings(
                dataset="theirs",
                episode=EPISODE,
                images=images.model_copy(update={"resize": resize}),
                fields=fields,
            ),
            files := EpisodeFiles(tmp_path / "facts.json", tmp_path / "facts.npy"),
            raw=other,
        )
        if resize == "crop":
            with pytest.raises(UserError, match="resized by 'crop', expected 'squeeze'"):
                predict(policy, [files.facts], backbone=backbone)
    ways = {"plain": episode, "ingested": files.facts}
    for name, path in ways.items():
        predict(policy, [path], backbone=backbone, output=tmp_path / f"{name}.csv")
    assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "ingested.csv").read_bytes()
    np.save(files.frames, np.zeros((5, 224, 224, 3), dtype=np.uint8))
    with pytest.raises(UserError, match=r"facts\.npy: its bytes are not those"):
        predict(policy, [files.facts], backbone=backbone)


def test_what_cannot_be_asked_is_named(made, tmp_path):
    policy, backbone, episode = made
    nameless = shutil.copy(episode, tmp_path / "mine.h5")
    cut = tmp_path / f"{EPISODE}.h5"
    cut.write_bytes(episode.read_bytes()[:-100])
    grey = tmp_path / "grey.png"
    Image.new("L", (20, 20)).save(grey)
    for observed, says in (
        ([nameless], "its name does not say its side.*--instruction"),
        ([cut], "(?s)cannot be used.*to do:"),
        ([episode, episode], "found 2 files, expected one episode"),
        ([grey], r"grey\.png: found a picture in 'L'"),
        ([tmp_path / "no.png"], r"no\.png: cannot be read"),
        ([backbone], "not as this version writes it"),
    ):
        with pytest.raises(UserError, match=says):
            predict(policy, observed, backbone=backbone)
    with pytest.raises(UserError, match=r"no policy; expected a folder with policy\.json"):
        predict(tmp_path, [episode])
    with pytest.raises(UserError, match="no such folder"):
        predict(policy, [episode], backbone=tmp_path / "none")


def test_pictures_become_the_frames_of_training():
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    for resize in ("squeeze", "crop"):
        # the episodes of the training were in BGR, the camera's pictures are not
        images = Images(resize=resize, color="bgr")
        expected = to_frame(np.ascontiguousarray(image[..., ::-1]), images)
        np.testing.assert_array_equal(frame_of(decode(encoded(image, "PNG")), images), expected)
        raw = image[..., ::-1].tobytes()
        np.testing.assert_array_equal(frame_of(unpack(raw, 160, 90), images, "bgr"), expected)
