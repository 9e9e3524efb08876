"""What ingest, manifest and audit cost, in time and memory.

    python tests/benchmarks/ingest.py

Ingest is compared, within this run, with nothing but reading an episode's images by h5py chunk by
chunk and resizing them. Times are those of the processor, so that a busy machine does not count.
Memory is that of all processes of a job together (their proportional set sizes, sampled).
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

from mobile_vla.config.audit import DataAuditSettings
from mobile_vla.config.data import ManifestSettings
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.simulator import Simulation, World, simulated_episodes
from mobile_vla.ingest.image_statistics import FrameMeasures
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.resize import to_frame
from mobile_vla.layout import EpisodeFiles
from mobile_vla.simulator.camera import render
from mobile_vla.simulator.simulate import drive
from support.synthetic_datasets import facts_of, write_facts

REPEATS = 5
FRAMES = 48
SPANS = (1, 16, 24)  # frames to a chunk; 24 of 1280×720 are the most that is accepted
NOISE = 2.5  # of a camera's pixels, standard deviation: without it gzip has too little to do
MEMBERS = 1000
SAMPLE = 0.01  # seconds between looks at the memory
LIBRARY = Path(__file__).resolve().parents[2] / "workflow"


def pictures(count: int) -> np.ndarray:
    """Return what the simulator's camera sees, with noise, (T, 720, 1280, 3) uint8."""
    settings = next(iter(simulated_episodes(Simulation(scenes=1, world=World(frames=20))).values()))
    driven = drive(settings)
    rng = np.random.default_rng(0)
    seen = [render(driven.scene, driven.poses[index % 20]) for index in range(count)]
    return np.stack(
        [
            np.clip(one + np.rint(rng.normal(0, NOISE, one.shape)), 0, 255).astype(np.uint8)
            for one in seen
        ]
    )


def write(path: Path, images: np.ndarray, span: int, copies: int = 1) -> Path:
    """Write an episode whose chunks span that many frames."""
    count = len(images) * copies
    with h5py.File(path, "w") as file:
        stored = file.create_dataset(
            "images",
            shape=(count, *images.shape[1:]),
            dtype=np.uint8,
            chunks=(min(span, count), *images.shape[1:]),
            compression="gzip",
        )
        for copy in range(copies):
            stored[copy * len(images) : (copy + 1) * len(images)] = images
        actions = np.zeros((count, 3), dtype=np.float32)
        actions[1:, 0] = 1.15
        file["actions"] = actions
    return path


def processor_time(work: Callable[[], object]) -> float:
    """Return the seconds of processor that this process and its children spend."""

    def spent() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    before = spent()
    work()
    return spent() - before


def bare(path: Path, span: int) -> None:
    """Read and resize: what cannot be done without."""
    with h5py.File(path) as file:
        images = file["images"]
        for first in range(0, len(images), span):
            for image in images[first : first + span]:
                to_frame(image, Images())


def measure(frames: Sequence[np.ndarray]) -> None:
    """Take all statistics of an episode's frames, the quality of its pictures among them."""
    measures = FrameMeasures(len(frames))
    for index, frame in enumerate(frames):
        measures.add(index, frame)


def whole(path: Path, folder: Path) -> None:
    """Ingest."""
    settings = IngestSettings(dataset="a", episode="a", images=Images().settled())
    ingest(settings, EpisodeFiles(folder / "a.json", folder / "a.npy"), raw=path)


def job(*arguments: str) -> tuple[float, float]:
    """Run a command as Snakemake does; return its seconds and the peak of its memory in MB."""
    started, peak = time.perf_counter(), 0
    process = subprocess.Popen(
        [sys.executable, "-m", "mobile_vla", *arguments],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(SAMPLE)
    assert process.returncode == 0
    return time.perf_counter() - started, peak / 1e3


def memory(pid: int) -> int:
    """Return the kilobytes of a process and its children, pages that they share counted once."""
    total = 0
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, StopIteration):  # it has just ended
        return total
    return total + sum(memory(int(child)) for child in children)


def of_ingest(folder: Path) -> None:
    """Print times and memory by the chunks' span and the episode's length."""
    images = pictures(FRAMES)
    frames = [to_frame(image, Images().settled()) for image in images]
    measuring = statistics.median(processor_time(lambda: measure(frames)) for _ in range(REPEATS))
    print(f"measuring a frame: {1e3 / FRAMES * measuring:.2f} ms")
    print("frames to a chunk   read + resize, ms a frame   ingest   ratio (median, max)")
    for span in SPANS:
        path = write(folder / f"{span}.h5", images, span)
        pairs = []
        for _ in range(REPEATS):
            least = processor_time(lambda path=path, span=span: bare(path, span))
            pairs.append((least, processor_time(lambda path=path: whole(path, folder))))
        ratios = [one / least for least, one in pairs]
        least, one = (1e3 / FRAMES * statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = f"{statistics.median(ratios):9.2f} {max(ratios):.2f}"
        print(f"{span:17d} {least:27.1f} {one:8.1f} {ratio}", flush=True)
    print("frames to a chunk   frames   peak MB of the job")
    for span, copies in ((1, 1), (1, 8), (16, 1), (16, 8), (24, 1), (24, 8)):
        path = write(folder / "long.h5", images, span, copies)
        settings = IngestSettings(dataset="a", episode="a", images=Images().settled()).canonical()
        outputs = ("--facts", f"{folder}/a.json", "--frames", f"{folder}/a.npy")
        _, peak = job("ingest", "--settings", settings, "--raw", f"{path}", *outputs)
        print(f"{span:17d} {FRAMES * copies:8d} {peak:20.0f}", flush=True)


def of_sets(folder: Path) -> None:
    """Print what manifest and audit of many episodes take."""
    cells = [
        f"1box_hori_{side}_{style}_{distance}"
        for side in ("left", "right")
        for style in ("core", "variant")
        for distance in ("close", "medium", "far")
    ]
    jobs = {
        "manifest": (
            ManifestSettings(dataset="a", on_error="fail").canonical(),
            ("--manifest", f"{folder}/m.json", "--actions", f"{folder}/m.npy"),
        ),
        "audit_data": (
            DataAuditSettings(dataset="a").canonical(),
            ("--data", f"{folder}/audit_data.json"),
        ),
    }
    print("stage      episodes   seconds (median)   peak MB")
    for count in (MEMBERS // 10, MEMBERS):
        every = [
            facts_of(f"episode_20251103_{index:06d}_{cells[index % 12]}") for index in range(count)
        ]
        paths = list(map(str, write_facts(folder / f"{count}", every)))
        for stage, (settings, outputs) in jobs.items():
            runs = [
                job(stage, "--settings", settings, "--facts", *paths, *outputs)
                for _ in range(REPEATS)
            ]
            seconds = statistics.median(run[0] for run in runs)
            peak = max(run[1] for run in runs)
            print(f"{stage:10s} {count:8d} {seconds:18.2f} {peak:9.0f}", flush=True)


def main() -> None:
    """Print all tables."""
    with tempfile.TemporaryDirectory() as name:
        of_ingest(Path(name))
        of_sets(Path(name))


if __name__ == "__main__":
    main()
