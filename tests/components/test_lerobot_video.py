"""LeRobotDatasets with videos: the right frames, what they cost, and what is refused."""

import json

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mobile_vla.config.data import ManifestSettings
from mobile_vla.config.ingest import Images
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.manifest import manifest
from mobile_vla.errors import UserError
from mobile_vla.ingest.machine import MachineError
from mobile_vla.ingest.rawfile import Rejected
from mobile_vla.ingest.resize import to_frame
from mobile_vla.layout import ManifestFiles
from mobile_vla.lerobot import listing
from mobile_vla.lerobot.export_lerobot import export_lerobot
from mobile_vla.lerobot.listing import video_jobs
from mobile_vla.lerobot.video import Video
from mobile_vla.provenance.record import JobRecorder
from mobile_vla.timing.reference import RawRows
from support.clean_facts import found, whole
from support.lerobot import contents, decoded, imported, listed
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


def frames_of(images):
    """Return what becomes of images (T, H, W, 3) by resizing alone."""
    return np.stack([to_frame(image, Images()) for image in images])


@pytest.mark.parametrize("camera", [FRONT, WRIST])
def test_frames_are_those_of_plain_decoding(dataset, camera, tmp_path):
    folder, actions = dataset
    every = plainly_decoded(video_file(folder, camera))
    assert len(every) == sum(LENGTHS)
    found = decoded(folder, listed(folder, camera=camera).values(), tmp_path)
    for number, (facts, frames) in enumerate(found.values()):
        span = slice(STARTS[number], STARTS[number + 1])
        np.testing.assert_array_equal(frames, frames_of(every[span]))
        assert facts.actions == actions[span].tolist() and facts.errors == []
        assert facts.instruction == "go to the " + "abc"[number]
        assert facts.raw_shape == SHAPE


def test_the_pictures_are_the_right_ones_in_the_right_colours(tmp_path):
    write_dataset(tmp_path / "theirs")
    recorded = pictures(sum(LENGTHS), seed=1).astype(int)
    with Video(video_file(tmp_path / "theirs", WRIST)) as video:
        read = np.stack(list(video.frames([at / FPS for at in range(7, 12)], 0.5 / FPS)))
    errors = [[np.abs(a - b).mean() for b in recorded] for a in read.astype(int)]
    assert np.argmin(errors, axis=1).tolist() == list(range(7, 12))
    swapped = np.abs(read[..., ::-1] - recorded[7:12]).mean()
    assert np.diag(np.array(errors)[:, 7:]).mean() < swapped / 3


@pytest.mark.parametrize("camera", [FRONT, WRIST])
def test_what_the_library_itself_wrote_is_read(camera, tmp_path):
    every = plainly_decoded(LEKIWI / f"videos/{camera}/chunk-000/file-000.mp4")
    table = pq.read_table(LEKIWI / "data/chunk-000/file-000.parquet")
    stored = np.array(table["action"].to_pylist(), dtype=np.float32)
    found = decoded(LEKIWI, listed(LEKIWI, camera=camera).values(), tmp_path)
    assert len(found) == 8
    for number in (0, 5, 7):
        facts, frames = found[f"episode_{number:06d}"]
        span = slice(24 * number, 24 * number + 24)
        np.testing.assert_array_equal(frames, frames_of(every[span]))
        assert facts.actions == stored[span, 6:].tolist()
        assert facts.attributes["video_codec"] == "av1"
        assert facts.place == f"videos/{camera}/chunk-000/file-000.mp4/episode_{number:06d}"


def test_an_episode_costs_its_own_frames_and_a_keyframe_interval(tmp_path, monkeypatch):
    path = tmp_path / "long.mp4"
    write_video(path, pictures(200))
    read = []
    with Video(path) as video:
        container = video._container

        class Counting:
            def __getattr__(self, name):
                return getattr(container, name)

            def demux(self, stream):
                for packet in container.demux(stream):
                    read.append(packet.pts)
                    yield packet

        video._container = Counting()
        times = [at / FPS for at in range(150, 160)]
        frames = list(video.frames(times, 0.5 / FPS))
    np.testing.assert_array_equal(frames, plainly_decoded(path)[150:160])
    at_most = 10 + 8 + 3  # keyframes are 8 apart; a frame comes after those it is made of
    assert len(read) <= at_most + 4, "and a search looks at the first of a few places"


def test_times_may_be_off_by_less_than_half_a_frame(tmp_path):
    write_video(tmp_path / "a.mp4", pictures(12))
    every = plainly_decoded(tmp_path / "a.mp4")
    for drift in (-0.4, 0.4):
        with Video(tmp_path / "a.mp4") as video:
            times = [(at + drift) / FPS for at in range(3, 12)]
            np.testing.assert_array_equal(list(video.frames(times, 0.5 / FPS)), every[3:])


def refused(path, times):
    with pytest.raises(Rejected) as error, Video(path) as video:
        list(video.frames(times, 0.5 / FPS))
    (defect,) = error.value.defects
    return f"[{defect.code}] {defect.place}: found {defect.found}; expected {defect.expected}"


def test_a_stride_takes_frames_of_the_video_and_checks_all(copied, tmp_path):
    every = plainly_decoded(video_file(copied))
    one = listed(copied, camera=FRONT, rate=5)["episode_000002"]
    assert one.settings.every == 2 and one.settings.frames == 9
    ((facts, frames),) = decoded(copied, [one], tmp_path).values()
    np.testing.assert_array_equal(frames, frames_of(every[12:21:2]))
    assert len(facts.actions) == len(facts.video.times) == 5
    with Video(one.video) as video:
        again = video.frames(facts.video.times, facts.video.tolerance, gaps=True)
        np.testing.assert_array_equal(list(again), every[12:21:2])
    write_video(one.video, pictures(20))  # the last frame, one that is taken, is not there
    ((facts, frames),) = decoded(copied, [one], tmp_path).values()
    assert facts.errors[0].place == "frame 8" and len(frames) == 0


def test_a_frame_that_is_missing_is_named(tmp_path):
    without = [*range(6), *range(7, 13)]
    write_video(tmp_path / "gap.mp4", pictures(12), times=without)
    said = refused(tmp_path / "gap.mp4", [at / FPS for at in range(4, 10)])
    assert said.startswith("[unequal_length] frame 2: found a frame at 0.7000 s; expected ")
    assert "expected a frame at 0.6000 s ± 0.0500 s" in said


def test_a_video_that_ends_too_early_is_named(tmp_path):
    write_video(tmp_path / "short.mp4", pictures(5))
    said = refused(tmp_path / "short.mp4", [at / FPS for at in range(3, 8)])
    assert "frame 2: found the end of the video" in said
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
    assert "] frame " in said and "expected a frame" in said


def test_what_is_no_video_is_named(tmp_path):
    assert "[missing] file: found no such file" in refused(tmp_path / "no.mp4", [0])
    (tmp_path / "text.mp4").write_text("nothing of the kind")
    assert "found a file that cannot be opened" in refused(tmp_path / "text.mp4", [0])


def test_what_cannot_be_decoded_is_a_finding_of_its_episode(copied, tmp_path):
    before = decoded(copied, listed(copied, camera=FRONT).values(), tmp_path / "before")
    path = video_file(copied)
    with av.open(str(path)) as container:
        packets = {one.pts: (one.pos, one.size) for one in container.demux(video=0) if one.size}
        ticks = max(packets) // (sum(LENGTHS) - 1)
    (at, size), content = packets[9 * ticks], bytearray(path.read_bytes())
    content[at : at + size] = bytes(255 for _ in range(size))
    path.write_bytes(content)
    after = decoded(copied, listed(copied, camera=FRONT).values(), tmp_path / "after")
    bad, frames = after["episode_000001"]
    (defect,) = bad.errors
    assert defect.place.startswith("frame ") and "copy the dataset again" in str(defect.remedy)
    assert bad.frames == 0 and bad.actions == [] and len(frames) == 0
    assert bad.sha256 is None and bad.instruction is None and bad.video is None
    assert after["episode_000000"][0] == before["episode_000000"][0]


@pytest.mark.parametrize("wrong", [None, float("nan"), 0.9])
def test_a_time_that_is_none_is_a_finding_of_its_episode(copied, tmp_path, wrong):
    data = copied / "data/chunk-000/file-000.parquet"
    table = pq.read_table(data).to_pydict()
    table["timestamp"][2] = wrong
    pq.write_table(pa.table(table), data)
    first, *others = decoded(copied, listed(copied, camera=FRONT).values(), tmp_path).values()
    (error,) = first[0].errors
    assert error.place == "timestamp of frame 2" and not any(facts.errors for facts, _ in others)


def test_a_wrong_rate_is_a_finding_and_gives_no_other_frames(copied, tmp_path):
    path = copied / "meta/info.json"
    info = json.loads(path.read_text())
    for fps in (FPS / 3, FPS * 3):
        path.write_text(json.dumps(info | {"fps": fps}))
        facts = decoded(copied, listed(copied, camera=FRONT).values(), tmp_path / f"{fps}")
        assert all(one.errors for one, _ in facts.values())


def test_a_number_that_is_none_is_a_finding_too(copied, tmp_path):
    path = copied / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    actions = np.array(table["action"].to_pylist(), dtype=np.float32)
    actions[8, 2] = np.nan
    pq.write_table(table.set_column(0, "action", pa.array(actions.tolist())), path)
    found = decoded(copied, listed(copied, camera=FRONT).values(), tmp_path)
    (defect,) = found["episode_000001"][0].errors
    assert (defect.code, defect.place) == ("not_finite", "action, row 1, angular_z")


def test_what_the_machine_cannot_do_is_no_finding(copied, monkeypatch):
    def failing(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(av, "open", failing)
    with pytest.raises(MachineError, match="EIO"):
        Video(video_file(copied))


def test_an_episode_is_known_by_its_own_frames_and_actions(copied, tmp_path):
    before = decoded(copied, listed(copied, camera=FRONT).values(), tmp_path / "before")
    identities = {facts.sha256 for facts, _ in before.values()}
    assert len(identities) == 3
    wrist = decoded(copied, listed(copied, camera=WRIST).values(), tmp_path / "wrist")
    assert identities.isdisjoint(facts.sha256 for facts, _ in wrist.values())
    again = decoded(copied, [listed(copied, camera=FRONT)["episode_000001"]], tmp_path / "again")
    assert again["episode_000001"][0] == before["episode_000001"][0]


def test_jobs_take_neighbours_of_one_file(copied, monkeypatch):
    found = list(listed(copied, camera=FRONT).values())

    def names():
        jobs = video_jobs(copied, found, Images().settled())
        return [[one.index for one in job.settings.episodes] for job in jobs]

    assert names() == [[0, 1, 2]]
    monkeypatch.setattr(listing, "JOB_FRAMES", 6)
    assert names() == [[0], [1, 2]]
    monkeypatch.setattr(listing, "JOB_EPISODES", 1)
    assert names() == [[0], [1], [2]]


def test_an_episode_is_tracked_by_both_of_its_files(copied):
    (one, *_) = listed(copied, camera=WRIST).values()
    assert one.files == [copied / "data/chunk-000/file-000.parquet", video_file(copied, WRIST)]


def test_the_audit_remarks_that_pictures_are_lossy():
    assert found(whole()) == []
    every = whole(attributes={"video_codec": "av1"})
    assert found(every) == [("video_images", "info", None, "images")]


def test_the_decoders_versions_stand_in_provenance(copied, tmp_path):
    recorder = JobRecorder("import_videos", "mobile_vla.lerobot.import_videos", ("av", "pyarrow"))
    recorder.write(tmp_path / "provenance.json")
    versions = json.loads((tmp_path / "provenance.json").read_text())["versions"]
    assert versions["av"] == av.__version__ and versions["pyarrow"] == pa.__version__
    assert versions["libavcodec"] == ".".join(map(str, av.library_versions["libavcodec"]))


CONFIG = """\
datasets:
  theirs: {{kind: lerobot, path: {path}, camera: {camera}, every: 2}}
backbones:
  tiny: {{weights: random}}
defaults: {{dataset: theirs, backbone: tiny, window: 2, chunk: 3}}
experiments:
  lora: {{}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A dataset of which every other frame is imported, and a project that uses it."""
    folder = tmp_path_factory.mktemp("project")
    write_dataset(folder / "theirs")
    config = CONFIG.format(path=folder / "theirs", camera=FRONT)
    (folder / "config.yaml").write_text(config)
    place = folder / "results/datasets/theirs"
    place.mkdir(parents=True)
    episodes = listed(folder / "theirs", camera=FRONT, every=2).values()
    names = decoded(folder / "theirs", episodes, place / "episodes")
    manifest(
        ManifestSettings(dataset="theirs", on_error="fail"),
        ManifestFiles(place / "manifest.json", place / "actions.npy"),
        facts=[place / f"episodes/{name}.json" for name in names],
    )
    return folder


def taken(folder):
    """Return the images of all frames that are imported, as PyAV decodes them."""
    every = plainly_decoded(video_file(folder / "theirs"))
    return [every[at : at + length : 2] for at, length in zip(STARTS, LENGTHS, strict=False)]


def test_an_export_has_the_images_in_full_size(project, tmp_path):
    given = {"config": project / "config.yaml", "results": project / "results"}
    export_lerobot("theirs", tmp_path / "out", **given)
    for one, images in zip(listed(tmp_path / "out").values(), taken(project), strict=True):
        np.testing.assert_array_equal(contents(imported(one, tmp_path))["images"], images)
    with video_file(project / "theirs").open("rb") as file:
        content = file.read()
    try:
        write_video(video_file(project / "theirs"), pictures(sum(LENGTHS), seed=5))
        with pytest.raises(UserError, match=r"file-000\.mp4, episode_000000: its bytes"):
            export_lerobot("theirs", tmp_path / "other", **given)
        assert not (tmp_path / "other").exists()
        write_video(video_file(project / "theirs"), pictures(3))
        with pytest.raises(UserError, match=r"unequal_length at frame 2; .* run snakemake again"):
            export_lerobot("theirs", tmp_path / "other", **given)
    finally:
        video_file(project / "theirs").write_bytes(content)


def test_the_plain_way_of_training_decodes_the_frames_of_a_window(project):
    place = project / "results/datasets/theirs"
    dataset = Dataset.load(place / "manifest.json", place / "actions.npy")
    rows = RawRows(dataset, Images(color="rgb"), "plain", project / "theirs")
    first, *_, last = taken(project)
    wanted = np.array([0, 0, 0, 1, dataset.rows - 2, dataset.rows - 1])
    expected = frames_of([first[0], first[0], first[0], first[1], last[-2], last[-1]])
    np.testing.assert_array_equal(rows[wanted].numpy(), expected)
    gone = RawRows(dataset, Images(), "plain", project / "nowhere")
    with pytest.raises(UserError, match=r"nowhere/videos/.*file-000\.mp4 cannot be read any more"):
        gone[np.array([0])]
