"""What the import of a LeRobotDataset of videos costs, in time and memory.

    python tests/benchmarks/videos.py [EPISODES]

Episodes of 300 frames of 640×480 pixels, AV1 as LeRobot encodes it, 20 to a file. Compared, within
this run, with nothing but PyAV's decoding to RGB and resizing. Times are those of the processor,
of whole jobs with the start of Python, so that a busy machine does not count; memory is that of a
job. Frames are removed when they are measured: those of 1,000 episodes take 45 GB.
"""

from __future__ import annotations

# ruff: noqa: I001  (threads are said before numpy is imported, and the library found)
import os

os.environ["OMP_NUM_THREADS"] = "1"  # as for a job with one core

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

from mobile_vla.config.entries import LerobotDataset
from mobile_vla.config.ingest import Images
from mobile_vla.config.mistakes import Source
from mobile_vla.files import write_json
from mobile_vla.ingest.image_statistics import FrameMeasures
from mobile_vla.ingest.resize import to_frame
from mobile_vla.lerobot.listing import VideoJob, lerobot_episodes, video_jobs

import ingest  # the benchmark beside this one

FRAMES, FPS, SIZE = 300, 30, (480, 640)
A_FILE = 20  # episodes
CAMERA = "observation.images.front"
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
NOISE = 2.0  # of a camera's pixels, standard deviation
SAMPLE = 0.25  # seconds between looks at the memory, which stop the job for a moment
LIBRARY = Path(__file__).resolve().parents[2] / "workflow"


def pictures() -> Iterator[np.ndarray]:
    """Yield what a camera sees that turns slowly, (480, 640, 3) uint8: textures of all scales."""
    rng = np.random.default_rng(0)
    height, width = SIZE[0] + 40, SIZE[1] + 2 * FRAMES
    scene = np.full((height, width, 3), 128.0)
    for scale in (4, 16, 64, 256):
        coarse = rng.normal(size=(height // scale + 2, width // scale + 2, 3)).astype(np.float32)
        for color in range(3):
            layer = Image.fromarray(coarse[..., color]).resize((width, height), Image.BICUBIC)
            scene[..., color] += 6 * scale**0.5 * np.asarray(layer)
    for at in range(FRAMES):
        top = int(20 + 20 * np.sin(at / 30))
        seen = scene[top : top + SIZE[0], 2 * at : 2 * at + SIZE[1]]
        yield np.clip(seen + rng.normal(0, NOISE, seen.shape), 0, 255).astype(np.uint8)


def write_dataset(folder: Path, episodes: int) -> None:
    """Write a dataset; its files of videos are links to one, which nothing here can tell."""
    files = -(-episodes // A_FILE)
    video = folder / "videos" / CAMERA / f"{FILE.format(chunk_index=0, file_index=0)}.mp4"
    video.parent.mkdir(parents=True)
    options = {
        "g": "2",
        "crf": "30",
        "preset": "12",
        "svtav1-params": "lp=1",
    }  # LeRobot's g and crf
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libsvtav1", rate=FPS, options=options)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        seen = list(pictures())
        for number in range(A_FILE):
            for image in seen[:: -1 if number % 2 else 1]:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    for number in range(1, files):
        os.link(video, video.with_name(f"file-{number:03d}.mp4"))
    rows = np.arange(episodes)
    index = {
        "episode_index": rows,
        "tasks": [["drive"]] * episodes,
        "length": [FRAMES] * episodes,
        "data/chunk_index": [0] * episodes,
        "data/file_index": rows // A_FILE,
        f"videos/{CAMERA}/chunk_index": [0] * episodes,
        f"videos/{CAMERA}/file_index": rows // A_FILE,
        f"videos/{CAMERA}/from_timestamp": rows % A_FILE * FRAMES / FPS,
    }
    _write(folder / "meta/episodes", 0, index)
    within = np.arange(FRAMES)
    for number in range(files):
        members = rows[number * A_FILE : (number + 1) * A_FILE]
        table = {
            "action": np.tile([0.2, 0.0, 0.1], (len(members) * FRAMES, 1)).tolist(),
            "timestamp": pa.array(np.tile(within / FPS, len(members)).astype(np.float32)),
            "frame_index": np.tile(within, len(members)),
            "episode_index": np.repeat(members, FRAMES),
        }
        _write(folder / "data", number, table)
    info = {
        "codebase_version": "v3.0",
        "fps": FPS,
        "data_path": f"data/{FILE}.parquet",
        "video_path": f"videos/{{video_key}}/{FILE}.mp4",
        "features": {
            "action": {"dtype": "float32", "shape": [3], "names": ["x.vel", "y.vel", "theta.vel"]},
            CAMERA: {"dtype": "video", "shape": [*SIZE, 3]},
        },
    }
    write_json(folder / "meta/info.json", info)


def _write(folder: Path, number: int, content: dict[str, object]) -> None:
    path = folder / f"{FILE.format(chunk_index=0, file_index=number)}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(content), path)


def bare(video: Path, stages: int = 2) -> None:
    """Decode and resize a whole file: what cannot be done without."""
    with av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for decoded in container.decode(video=0):
            if stages:
                image = decoded.to_ndarray(format="rgb24")
                if stages > 1:
                    to_frame(image, Images())


def imported(one: VideoJob, folder: Path) -> tuple[float, float]:
    """Run a job as Snakemake does; return its seconds of processor, and its memory's peak in MB."""
    names = [episode.episode for episode in one.settings.episodes]
    facts, frames = ([f"{folder}/{name}{end}" for name in names] for end in (".json", ".npy"))
    files = ("--facts", *facts, "--frames", *frames, "--data", *map(str, one.data))
    video = ("--video", str(one.video), "--record", f"{folder}/provenance.json")
    settings = ("--settings", one.settings.canonical())
    job = subprocess.Popen(
        [sys.executable, "-m", "mobile_vla", "import_videos", *settings, *files, *video],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
    )
    peak, ended = 0, 0
    while not ended:
        time.sleep(SAMPLE)
        peak = max(peak, ingest.memory(job.pid))
        ended, status, used = os.wait4(job.pid, os.WNOHANG)
    job.returncode = os.waitstatus_to_exitcode(status)
    assert job.returncode == 0
    for path in (*facts, *frames):
        Path(path).unlink()
    return used.ru_utime + used.ru_stime, peak / 1e3


def of_stages(video: Path) -> None:
    """Print what each step costs."""
    rest = [ingest.processor_time(lambda stages=stages: bare(video, stages)) for stages in range(3)]
    frames = [to_frame(image, Images()) for image in islice(pictures(), 60)]
    measures = FrameMeasures(len(frames))
    before = time.process_time()
    for index, frame in enumerate(frames):
        measures.add(index, frame)
    measuring = (time.process_time() - before) / len(frames)
    count = A_FILE * FRAMES
    steps = {
        "decoding": rest[0] / count,
        "conversion to RGB": (rest[1] - rest[0]) / count,
        "resizing": (rest[2] - rest[1]) / count,
        "measuring the frame": measuring,
    }
    print("step                  ms a frame")
    for name, seconds in steps.items():
        print(f"{name:20s} {1e3 * seconds:11.2f}", flush=True)


def of_jobs(jobs: Sequence[VideoJob], folder: Path) -> None:
    """Print times and memory of the import beside decoding and resizing alone, job by job."""
    totals, shares, peaks = [0.0, 0.0], [], []
    for one in jobs:
        least = ingest.processor_time(lambda one=one: bare(one.video))
        whole, peak = imported(one, folder)
        peaks.append(peak)
        totals = [totals[0] + least, totals[1] + whole]
        shares.append(least / whole)
    count = len(jobs) * A_FILE
    print("episodes   decode + resize, s   import, s   share (median, min)   peak MB (median, max)")
    print(
        f"{count:8d} {totals[0]:20.1f} {totals[1]:11.1f} {statistics.median(shares):13.2f} "
        f"{min(shares):.2f} {statistics.median(peaks):16.0f} {max(peaks):.0f}"
    )


def main() -> None:
    """Print both tables."""
    episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset(folder / "dataset", episodes)
        dataset = LerobotDataset(kind="lerobot", path=str(folder / "dataset"))
        listed = lerobot_episodes("many", dataset, Source())
        jobs = video_jobs(folder / "dataset", listed.values(), Images().settled())
        of_stages(jobs[0].video)
        (one, *_) = listed.values()
        (single,) = video_jobs(folder / "dataset", [one], Images().settled())
        print(f"peak memory of a job with one episode: {imported(single, folder)[1]:.0f} MB")
        of_jobs(jobs, folder)


if __name__ == "__main__":
    main()
