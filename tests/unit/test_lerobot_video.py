"""LeRobotDatasets with videos: the right frames, what they cost, and what is refused."""

import json

import av
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.errors import UserError
from mobile_vla.files import read_json
from mobile_vla.ingest.ingest import ingest
from mobile_vla.layout import EpisodeFiles
from mobile_vla.lerobot.video import Video
from mobile_vla.provenance.record import Recorder
from support.clean_facts import found, whole
from support.lerobot import imported, listed
from support.lerobot_video import (
    CODECS,
    FPS,
    FRONT,
    LENGTHS,
    SHAPE,
    WRIST,
    pictures,
    plainly_decoded,
    video_file,
    write_dataset,
    write_video,
)
from support.project import ROOT

LEKIWI = ROOT / "tests/data/lerobot/lekiwi_video"
STARTS = np.cumsum([0, *LENGTHS])


@pytest.fixture(scope="module", params=CODECS)
def dataset(request, tmp_path_factory):
    """A dataset in one of the formats, and its actions."""
    folder = tmp_path_factory.mktemp(request.param)
    return folder, write_dataset(folder, request.param)


@pytest.fixture
def copied(tmp_path):
    write_dataset(tmp_path / "copied")
    return tmp_path / "copied"


def images_of(raw):
    with h5py.File(raw) as file:
        return file["images"][()]


@pytest.mark.parametrize("camera", [FRONT, WRIST])
def test_frames_are_those_of_plain_decoding(dataset, camera, tmp_path):
    folder, actions = dataset
    every = plainly_decoded(video_file(folder, camera))
    assert len(every) == sum(LENGTHS)
    for number, one in enumerate(listed(folder, camera=camera).values()):
        raw = imported(one, tmp_path)
        span = slice(STARTS[number], STARTS[number + 1])
        np.testing.assert_array_equal(images_of(raw), every[span])
        with h5py.File(raw) as file:
            np.testing.assert_array_equal(file["actions"][()], actions[span])
            assert file["language_instruction"][0].decode() == "go to the " + "abc"[number]


def test_the_pictures_are_the_right_ones_in_the_right_colours(tmp_path):
    write_dataset(tmp_path / "theirs")
    recorded = pictures(sum(LENGTHS), seed=1).astype(int)
    (_, one, _) = listed(tmp_path / "theirs", camera=WRIST).values()
    read = images_of(imported(one, tmp_path))
    errors = [[np.abs(a - b).mean() for b in recorded] for a in read.astype(int)]
    assert np.argmin(errors, axis=1).tolist() == list(range(7, 12))
    swapped = np.abs(read[..., ::-1] - recorded[7:12]).mean()
    assert np.diag(np.array(errors)[:, 7:]).mean() < swapped / 3


@pytest.mark.parametrize("camera", [FRONT, WRIST])
def test_what_the_library_itself_wrote_is_read(camera, tmp_path):
    every = plainly_decoded(LEKIWI / f"videos/{camera}/chunk-000/file-000.mp4")
    table = pq.read_table(LEKIWI / "data/chunk-000/file-000.parquet")
    stored = np.array(table["action"].to_pylist(), dtype=np.float32)
    found = listed(LEKIWI, camera=camera)
    assert len(found) == 8
    for number in (0, 5, 7):
        one = found[f"episode_{number:06d}"]
        with h5py.File(imported(one, tmp_path)) as file:
            span = slice(24 * number, 24 * number + 24)
            np.testing.assert_array_equal(file["images"][()], every[span])
            np.testing.assert_array_equal(file["actions"][()], stored[span, 6:])
            assert file.attrs["video_codec"] == "av1"


def test_an_episode_costs_its_own_frames_and_a_keyframe_interval(tmp_path, monkeypatch):
    path = tmp_path / "long.mp4"
    write_video(path, pictures(200))
    decoded = []
    with Video(path, "long") as video:
        container = video._container

        class Counting:
            def __getattr__(self, name):
                return getattr(container, name)

            def decode(self, stream):
                for frame in container.decode(stream):
                    decoded.append(frame.pts)
                    yield frame

        video._container = Counting()
        times = [at / FPS for at in range(150, 160)]
        frames = list(video.frames(times, 0.5 / FPS))
    np.testing.assert_array_equal(frames, plainly_decoded(path)[150:160])
    assert len(decoded) <= 10 + 8, "keyframes are 8 frames apart"


def test_times_may_be_off_by_less_than_half_a_frame(tmp_path):
    write_video(tmp_path / "a.mp4", pictures(12))
    every = plainly_decoded(tmp_path / "a.mp4")
    for drift in (-0.4, 0.4):
        with Video(tmp_path / "a.mp4", "a") as video:
            times = [(at + drift) / FPS for at in range(3, 12)]
            np.testing.assert_array_equal(list(video.frames(times, 0.5 / FPS)), every[3:])


def refused(path, times):
    with pytest.raises(UserError) as error, Video(path, f"{path.name}, episode 3") as video:
        list(video.frames(times, 0.5 / FPS))
    return str(error.value)


def test_a_stride_takes_frames_of_the_video_and_checks_all(copied, tmp_path):
    every = plainly_decoded(video_file(copied))
    one = listed(copied, camera=FRONT, rate=5)["episode_000002"]
    assert one.settings.every == 2 and one.settings.frames == 9
    np.testing.assert_array_equal(images_of(imported(one, tmp_path)), every[12:21:2])
    write_video(one.video, pictures(20))  # the last frame, one that is taken, is not there
    with pytest.raises(UserError, match="episode 2, frame 8: found the end"):
        imported(one, tmp_path)


def test_a_frame_that_is_missing_is_named(tmp_path):
    without = [*range(6), *range(7, 13)]
    write_video(tmp_path / "gap.mp4", pictures(12), times=without)
    said = refused(tmp_path / "gap.mp4", [at / FPS for at in range(4, 10)])
    assert said.startswith("gap.mp4, episode 3, frame 2: found a frame at 0.7000 s; expected ")
    assert "expected a frame at 0.6000 s ± 0.0500 s" in said and "copy the dataset again" in said


def test_a_video_that_ends_too_early_is_named(tmp_path):
    write_video(tmp_path / "short.mp4", pictures(5))
    said = refused(tmp_path / "short.mp4", [at / FPS for at in range(3, 8)])
    assert "short.mp4, episode 3, frame 2: found the end of the video" in said
    said = refused(tmp_path / "short.mp4", [at / FPS for at in range(60, 70)])
    assert "frame 0: found the end of the video" in said


def test_more_frames_than_the_tables_list_are_refused(tmp_path):
    write_video(tmp_path / "a.mp4", pictures(12))
    said = refused(tmp_path / "a.mp4", [at / FPS for at in range(0, 12, 2)])
    assert "frame 1: found a frame at 0.1000 s; expected a frame at 0.2000 s" in said


@pytest.mark.parametrize("codec", CODECS)
def test_a_frame_that_cannot_be_decoded_is_named(tmp_path, codec):
    path = tmp_path / "damaged.mp4"
    write_video(path, pictures(24), codec)
    with av.open(str(path)) as container:
        packets = [(one.pos, one.size) for one in container.demux(video=0) if one.size]
    (at, size), content = packets[13], bytearray(path.read_bytes())
    content[at : at + size] = bytes(255 for _ in range(size))
    path.write_bytes(content)
    said = refused(path, [at / FPS for at in range(24)])
    assert "damaged.mp4, episode 3, frame " in said and "expected a frame" in said


def test_what_is_no_video_is_named(tmp_path):
    assert "found a file that cannot be opened" in refused(tmp_path / "no.mp4", [0])
    (tmp_path / "text.mp4").write_text("nothing of the kind")
    assert "found a file that cannot be opened" in refused(tmp_path / "text.mp4", [0])


def test_a_refused_import_leaves_no_file(copied, tmp_path):
    one = listed(copied, camera=FRONT)["episode_000002"]
    write_video(one.video, pictures(15))
    with pytest.raises(UserError, match=r"file-000\.mp4, episode 2, frame 3: found the end"):
        imported(one, tmp_path)
    assert not list(tmp_path.glob("*.h5"))


def test_an_episode_is_tracked_by_both_of_its_files(copied):
    (one, *_) = listed(copied, camera=WRIST).values()
    assert one.files == [copied / "data/chunk-000/file-000.parquet", video_file(copied, WRIST)]


def test_ingest_and_audit_read_what_was_imported(copied, tmp_path):
    (one, *_) = listed(copied, camera=FRONT).values()
    raw = imported(one, tmp_path)
    facts = tmp_path / "facts.json"
    wanted = IngestSettings(dataset="theirs", episode="a", images=Images(color="rgb"))
    ingest(wanted, EpisodeFiles(facts, tmp_path / "frames.npy"), raw=raw)
    read = read_json(facts)
    assert read["errors"] == [] and read["raw_shape"] == list(SHAPE)
    assert read["attributes"]["video_codec"] == "h264"


def test_the_audit_remarks_that_pictures_are_lossy():
    assert found(whole()) == []
    every = whole(attributes={"video_codec": "av1"})
    assert found(every) == [("video_images", "info", None, "images")]


def test_the_decoders_versions_stand_in_provenance(copied, tmp_path):
    recorder = Recorder("import_lerobot", "mobile_vla.lerobot.import_lerobot", ("av", "pyarrow"))
    recorder.write(tmp_path / "provenance.json", None)
    versions = json.loads((tmp_path / "provenance.json").read_text())["versions"]
    assert versions["av"] == av.__version__ and versions["pyarrow"] == pa.__version__
    assert versions["libavcodec"] == ".".join(map(str, av.library_versions["libavcodec"]))
