"""LeRobotDatasets: exported from raw files, written as others do, and read back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mobile_vla.config.data import ManifestSettings
from mobile_vla.config.entries import LerobotDataset
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.mistakes import Source
from mobile_vla.data.manifest import manifest
from mobile_vla.files import write_json
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles, ManifestFiles, RawFiles
from mobile_vla.lerobot.import_lerobot import import_lerobot
from mobile_vla.lerobot.import_videos import import_videos
from mobile_vla.lerobot.listing import ListedEpisode, lerobot_episodes, video_jobs
from mobile_vla.result import FileDigest
from support.policy_server import encoded

CAMERA = "observation.images.front"
CONFIG = """\
datasets:
  ours: {{kind: recorded, path: {path}, images: {{color: {color}}}}}
backbones:
  tiny: {{weights: random}}
defaults: {{dataset: ours, backbone: tiny, window: 2, chunk: 3}}
experiments:
  lora: {{}}
"""


def project(folder: Path, raws: list[Path], color: str = "rgb") -> dict[str, Path]:
    """Write config.yaml, and ingest raw files below it."""
    (folder / "config.yaml").write_text(CONFIG.format(path=raws[0].parent, color=color))
    place = folder / "results/datasets/ours"
    facts = []
    for raw in raws:
        facts.append(place / "episodes" / f"{raw.stem}.json")
        wanted = IngestSettings(
            dataset="ours", episode=raw.stem, images=Images.model_validate({"color": color})
        )
        ingest(wanted, EpisodeFiles(facts[-1], facts[-1].with_suffix(".npy")), raw=raw)
    manifest(
        ManifestSettings(dataset="ours", on_error="quarantine"),
        ManifestFiles(place / "manifest.json", place / "actions.npy"),
        facts=facts,
    )
    return {"config": folder / "config.yaml", "results": folder / "results"}


def listed(folder: Path, **settings: Any) -> dict[str, ListedEpisode]:
    """Return the episodes of a dataset."""
    dataset = LerobotDataset(kind="lerobot", path=str(folder), **settings)
    return lerobot_episodes("theirs", dataset, Source())


def imported(one: ListedEpisode, folder: Path) -> Path:
    """Import an episode into a folder, and return its raw file."""
    raw = folder / f"{one.settings.episode}.h5"
    files = RawFiles(raw, raw.with_suffix(".json"))
    import_lerobot(one.settings, files, data=one.data)
    assert FileDigest.read(raw.with_suffix(".json")) == FileDigest.of(raw)
    return raw


def decoded(
    dataset: Path, episodes: Iterable[ListedEpisode], folder: Path, **images: Any
) -> dict[str, tuple[EpisodeFacts, np.ndarray]]:
    """Import episodes of videos into a folder; return each one's facts and frames by its name."""
    folder.mkdir(exist_ok=True)
    found = {}
    for job in video_jobs(dataset, episodes, Images(**images).settled()):
        names = [one.episode for one in job.settings.episodes]
        facts, frames = ([folder / f"{name}{end}" for name in names] for end in (".json", ".npy"))
        import_videos(job.settings, facts=facts, frames=frames, data=job.data, video=job.video)
        for name, own, pictures in zip(names, facts, frames, strict=True):
            read = EpisodeFacts.read(own)
            assert read.frame_file == FileDigest.of(pictures)
            found[name] = (read, np.load(pictures))
    return found


def contents(path: Path) -> dict[str, Any]:
    """Return all that a raw file holds."""
    with h5py.File(path) as file:
        has_events = "action_event_types" in file
        texts = file["action_event_types"].asstr()[()].tolist() if has_events else None
        return {
            "images": file["images"][()],
            "actions": file["actions"][()],
            "event_types": texts,
            "instruction": file["language_instruction"][0].decode(),
            "attributes": dict(file.attrs),
        }


def theirs(
    folder: Path,
    *,
    names: tuple[str, ...] = ("x", "linear_x", "angular_z"),
    version: str = "v3.0",
    **cameras: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Write a dataset as others do: no names of episodes, two of them in a row group."""
    lengths, rng = [3, 2], np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 8, 10, 3), dtype=np.uint8)
    actions = rng.normal(size=(5, len(names)))
    features = {
        CAMERA: {"dtype": "image", "shape": [8, 10, 3], "names": None},
        "action": {"dtype": "float64", "shape": [len(names)], "names": {"motors": list(names)}},
        **{name: {"dtype": kind, "shape": [8, 10, 3]} for name, kind in cameras.items()},
    }
    path = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    info = {"codebase_version": version, "data_path": path, "fps": 30, "features": features}
    write_json(folder / "meta/info.json", info)
    table = {
        CAMERA: [{"bytes": encoded(one, "PNG"), "path": None} for one in images],
        "action": actions.tolist(),
        "frame_index": [0, 1, 2, 0, 1],
        "episode_index": [0, 0, 0, 1, 1],
    }
    (folder / "data/chunk-000").mkdir(parents=True)
    pq.write_table(pa.table(table), folder / "data/chunk-000/file-000.parquet")
    index = {
        "episode_index": [0, 1],
        "tasks": [["pick"], ["place"]],
        "length": lengths,
        "data/chunk_index": [0, 0],
        "data/file_index": [0, 0],
    }
    (folder / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.table(index), folder / "meta/episodes/chunk-000/file-000.parquet")
    return images, actions
