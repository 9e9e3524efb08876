"""Write a recorded drive as an episode in the format of the robot's collector."""

from __future__ import annotations

import io
import logging
import re
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from mobile_vla.conventions import ACTION_COLUMNS, columns_of
from mobile_vla.files import atomic_path
from mobile_vla.ingest.collector import INSTRUCTION_BYTES
from mobile_vla.ingest.ingest import COLOR
from mobile_vla.serving.pictures import unpack
from mobile_vla.serving.recorder import read_drive, read_pictures
from mobile_vla.serving.requests import RAW

log = logging.getLogger(__name__)

ANSWERS = "answers"
"""(T, C, A) float32: the answered chunks, in raw command units."""
DIMENSIONS, AHEAD = "dimensions", "ahead"
"""Attributes: the A dimensions of the answers, and the steps from a frame to each of C actions."""


def finish_drive(place: Path) -> None:
    """Write ``EPISODE.h5`` beside a drive's folder, and remove the folder.

    ``images`` are the pictures as files, as they came; those without compression become PNG.
    ``actions`` are the commands of a robot that carries out each answer's first action: with
    ``target: next`` a frame's command is that of the answer before. A drive without steps leaves
    nothing.
    """
    head, steps = read_drive(place)
    if steps:
        path = place.parent / f"{_name(head)}.h5"
        _write(path, head, steps, map(_file_of, read_pictures(place, steps), steps))
        log.info("%s: a drive of %d frames", path, len(steps))
    shutil.rmtree(place)


def _name(head: dict[str, Any]) -> str:
    """Return an episode's name, with the side where the prompt names one."""
    words = set(re.findall(r"\b(?:left|right)\b", head["prompt"].lower()))
    side = f"_{words.pop()}" if len(words) == 1 else ""
    return f"episode_{head['began']}{side}_{head['drive'][:8]}"


def _write(
    path: Path, head: dict[str, Any], steps: list[dict[str, Any]], images: Iterable[bytes]
) -> None:
    answers = np.array([step["actions"] for step in steps], dtype=np.float32)  # (T, C, A)
    actions = np.zeros((len(steps), len(ACTION_COLUMNS)), dtype=np.float32)
    late = head["ahead"][0]  # 1 with `target: next`: the robot stands at the first frame
    actions[late:, columns_of(head["dimensions"])] = answers[: len(steps) - late, 0]
    events = ["start_action" if action.any() else "stop_action" for action in actions]
    began = datetime.strptime(head["began"], "%Y%m%d_%H%M%S")
    text = head["prompt"].encode()
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        stored = file.create_dataset("images", (len(steps),), h5py.vlen_dtype(np.uint8))
        for frame, image in enumerate(images):
            stored[frame] = np.frombuffer(image, dtype=np.uint8)
        file.create_dataset("actions", data=actions)
        texts = h5py.string_dtype("utf-8")
        file.create_dataset("action_event_types", data=["episode_start", *events[1:]], dtype=texts)
        kind = f"S{max(INSTRUCTION_BYTES, len(text))}"
        file.create_dataset("language_instruction", data=np.array([text], dtype=kind))
        file.create_dataset(ANSWERS, data=answers)
        for name in ("time", "picture_age", "seconds", "clamped"):
            file.create_dataset(name, data=np.array([step[name] for step in steps], dtype=float))
        stopped = [step["stopped"] or "" for step in steps]
        file.create_dataset("stopped", data=stopped, dtype=texts)
        attributes = {
            "episode_name": path.stem,
            "total_duration": head["period"] * len(steps),
            "num_frames": len(steps),
            "action_chunk_size": answers.shape[1],
            COLOR: "rgb",
            "collection_datetime": began.isoformat(),
            "session": head["session"],
            "drive": head["drive"],
            "policy": head["policy"],
            "ticket": head.get("ticket", ""),
            DIMENSIONS: head["dimensions"],
            AHEAD: head["ahead"],
        }
        for name, value in attributes.items():
            file.attrs[name] = value


def _file_of(picture: bytes, step: dict[str, Any]) -> bytes:
    """Return a picture as a JPEG or PNG file."""
    if step["kind"] != RAW:
        return picture
    image = unpack(picture, step["width"], step["height"])
    image = image[..., ::-1] if step["color"] == "bgr" else image
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "PNG", compress_level=1)
    return file.getvalue()
