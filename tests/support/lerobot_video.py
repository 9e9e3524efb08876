"""LeRobotDatasets with their images in video files: several episodes to a file, two cameras."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mobile_vla.files import write_json

FPS = 10
FRONT, WRIST = "observation.images.front", "observation.images.wrist"
SHAPE = (64, 96, 3)  # libx265 writes beyond its buffers for less than 64
LENGTHS = (7, 5, 9)
CODECS = {
    # B-frames, and keyframes that are no episode's first frame
    "h264": ("libx264", {"g": "8", "bf": "2", "x264-params": "open-gop=1:log-level=none"}),
    "hevc": ("libx265", {"x265-params": "keyint=8:bframes=2:pools=none:log-level=none"}),
    "av1": ("libsvtav1", {"g": "8", "preset": "12", "svtav1-params": "lp=1"}),
}


def pictures(frames: int, seed: int = 0) -> np.ndarray:
    """Return pictures (T, 64, 96, 3) uint8 that differ from frame to frame and have colours."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (frames, 4, 6, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def write_video(path: Path, images: np.ndarray, codec: str = "h264", times: Any = None) -> None:
    """Write images (T, H, W, 3) as mp4; ``times`` are their time stamps in frames, 0 to T - 1."""
    encoder, options = CODECS[codec]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=FPS, options=options)
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for at, image in zip(range(len(images)) if times is None else times, images, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    _freed()


def plainly_decoded(path: Path) -> np.ndarray:
    """Return all frames of a video (T, H, W, 3), as PyAV gives them without further ado."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    _freed()
    return np.stack(frames)


def _freed() -> None:
    """Free encoders and decoders now: container and stream hold each other until then.

    A process that was forked from this one would wait for ever for the threads of such.
    """
    gc.collect()


def write_dataset(
    folder: Path,
    codec: str = "h264",
    *,
    lengths: Sequence[int] = LENGTHS,
    names: Sequence[str] = ("x.vel", "y.vel", "theta.vel"),
    **info: Any,
) -> np.ndarray:
    """Write a dataset whose episodes stand one behind the other in a video for each camera.

    ``info`` replaces what ``meta/info.json`` says; what is None is left out of it.

    Returns:
        (rows, A) the actions.
    """
    rows = sum(lengths)
    numbers = np.concatenate([np.full(length, index) for index, length in enumerate(lengths)])
    within = np.concatenate([np.arange(length) for length in lengths])
    starts = np.cumsum([0, *lengths])
    actions = np.random.default_rng(2).normal(size=(rows, len(names))).astype(np.float32)
    file = "chunk-{chunk_index:03d}/file-{file_index:03d}"
    described = {
        "codebase_version": "v3.0",
        "fps": FPS,
        "data_path": f"data/{file}.parquet",
        "video_path": f"videos/{{video_key}}/{file}.mp4",
        "features": {
            "action": {"dtype": "float32", "shape": [len(names)], "names": list(names)},
            **{name: {"dtype": "video", "shape": list(SHAPE)} for name in (FRONT, WRIST)},
        },
        **info,
    }
    write_json(
        folder / "meta/info.json",
        {name: value for name, value in described.items() if value is not None},
    )
    index: dict[str, Any] = {
        "episode_index": list(range(len(lengths))),
        "tasks": [[f"go to the {side}"] for side, _ in zip("abcdefgh", lengths, strict=False)],
        "length": list(lengths),
        "data/chunk_index": [0] * len(lengths),
        "data/file_index": [0] * len(lengths),
    }
    for seed, camera in enumerate((FRONT, WRIST)):
        write_video(video_file(folder, camera), pictures(rows, seed), codec)
        for name in ("chunk_index", "file_index"):
            index[f"videos/{camera}/{name}"] = [0] * len(lengths)
        index[f"videos/{camera}/from_timestamp"] = (starts[:-1] / FPS).tolist()
    table = {
        "action": actions.tolist(),
        "timestamp": pa.array((within / FPS).astype(np.float32)),
        "frame_index": within,
        "episode_index": numbers,
    }
    for name, content in (("data", table), ("meta/episodes", index)):
        path = folder / name / "chunk-000/file-000.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table(content), path)
    return actions


def append_files(folder: Path) -> None:
    """Add the episodes of a dataset once more, in files of their own, as LeRobot appends others."""
    for name in ("data", "meta/episodes"):
        path = folder / name / "chunk-000/file-000.parquet"
        table = pq.read_table(path)
        count = pc.max(table["episode_index"]).as_py() + 1
        for column in table.column_names:
            add = 1 if column.endswith("/file_index") and "meta" not in column else 0
            add = count if column == "episode_index" else add
            if add:
                at = table.column_names.index(column)
                table = table.set_column(at, column, pc.add(table[column], add))
        pq.write_table(table, path.with_name("file-001.parquet"))
    for path in folder.glob("videos/*/chunk-000/file-000.mp4"):
        shutil.copy(path, path.with_name("file-001.mp4"))


def video_file(folder: Path, camera: str = FRONT) -> Path:
    """Return a camera's video."""
    return folder / f"videos/{camera}/chunk-000/file-000.mp4"
