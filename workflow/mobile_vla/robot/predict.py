"""Predict the actions at each frame of an episode or of pictures, without a robot."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np

from mobile_vla.config.ingest import Color, Images, IngestSettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.data.prompts import lacking, lacks, prompt_values, render
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import write_text
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from mobile_vla.robot.images import frame_of
from mobile_vla.robot.policy import (
    AS_TRAINED,
    PolicyOptions,
    RobotPolicy,
    description_of,
    images_of,
    load_robot_policy,
    predict_drive,
)
from mobile_vla.serving.pictures import Unusable, decode

log = logging.getLogger(__name__)

INGESTED = ".json"
EPISODES = (".h5", ".hdf5", INGESTED)


def predict(
    policy: Path,
    observed: list[Path],
    *,
    instruction: str | None = None,
    backbone: Path | None = None,
    output: Path | None = None,
    options: PolicyOptions = AS_TRAINED,
) -> None:
    """Print the velocities that a policy predicts at each frame, in raw command units.

    A line of the table is an action: `frame` counts from 0 and is the newest one that the policy
    had seen; `ahead` says how many frames later the action is due.

    Args:
        policy: the policy's folder.
        observed: an episode (.h5) of the collector's layout, one of any layout that the workflow
            has read (``results/datasets/NAME/episodes/EPISODE.json``), or pictures (JPEG, PNG) in
            the order in which they were seen.
        instruction: the prompt; by default that which training had for such an episode.
        backbone: the backbone's folder; by default that of the results which the policy lies in.
        output: file for the table, as CSV; by default it is printed.
        options: how the policy is run.

    Raises:
        UserError: the policy or an input cannot be read, or the policy does not accept the prompt.
    """
    images = images_of(description_of(policy))
    values: dict[str, str | None] | None = None
    if any(path.suffix in EPISODES for path in observed):
        if len(observed) > 1:
            raise UserError(f"found {len(observed)} files, expected one episode, or pictures alone")
        frames, values = frames_of_episode(observed[0], images)
    else:
        frames = np.stack([_picture(path, images) for path in observed])
    loaded = load_robot_policy(policy, backbone, options)
    if instruction is None and values is not None:
        instruction = _instruction(observed[0], loaded.policy.settings.prompt, values)
    prompt = loaded.prompts.index(instruction)
    log.info("%d frames, with the prompt %r", len(frames), loaded.policy.texts[prompt])
    table = "".join(_table(loaded, predict_drive(loaded, frames, prompt)))
    if output is not None:
        write_text(output, table)
    else:
        sys.stdout.write(table)


def frames_of_episode(path: Path, images: Images) -> tuple[np.ndarray, dict[str, str | None]]:
    """Return an episode's frames as ``ingest`` makes them, and the values of its prompt.

    Raises:
        Problems: it cannot be used.
        UserError: its files are not those that ``ingest`` wrote, or made in another way than the
            policy's.
    """
    if path.suffix == INGESTED:
        return _ingested(path, path, path.with_suffix(".npy"), images)
    with tempfile.TemporaryDirectory() as folder:
        files = EpisodeFiles(Path(folder, "facts.json"), Path(folder, "frames.npy"))
        declared = images.settled().color
        # A recorded drive says its order of colours, which need not be that of the training set.
        for color in sorted(get_args(Color), key=lambda one: one != declared):
            read = images.model_copy(update={"color": color})
            settings = IngestSettings(dataset="predict", episode=path.stem, images=read)
            ingest(settings, files, raw=path)
            errors = EpisodeFacts.read(files.facts).errors
            if all(error.code != "color_contradicts_file" for error in errors):
                break
        return _ingested(path, files.facts, files.frames, images)


def _ingested(
    path: Path, own: Path, pictures: Path, images: Images
) -> tuple[np.ndarray, dict[str, str | None]]:
    """Return the same of an episode whose facts and frames were written."""
    facts = EpisodeFacts.read(own)
    if facts.errors:
        raise Problems(
            f"{path} cannot be used",
            [
                Problem(
                    f"{path} ({error.place})",
                    *map(str, (error.found, error.expected, error.remedy)),
                )
                for error in facts.errors
            ],
        )
    if facts.resize != images.resize:
        raise UserError(
            f"{path}: its frames were resized by {facts.resize!r}, expected {images.resize!r}, as "
            "those that the policy was trained on; set `images.resize` of its dataset"
        )
    facts.frame_file.verify(pictures)
    return np.load(pictures), prompt_values(facts)


def _instruction(path: Path, prompt: Prompt, values: dict[str, str | None]) -> str:
    missing = lacks(prompt, values)
    if missing:
        raise UserError(
            f"{path}: {'; '.join(map(lacking, missing))}, and the prompt {prompt.template!r} needs "
            "it; rename the file, or give the prompt with `--instruction`"
        )
    return render(prompt, values)


def _picture(path: Path, images: Images) -> np.ndarray:
    try:
        return frame_of(decode(path.read_bytes()), images)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except Unusable as error:
        raise UserError(f"{path}: {error}") from None


def _table(loaded: RobotPolicy, predicted: np.ndarray) -> Iterator[str]:
    """Yield the lines of a CSV table; 9 digits give each float32 back."""
    dimensions = loaded.policy.settings.actions.dimensions
    yield ",".join(["frame", "ahead", *dimensions]) + "\n"
    for frame, chunk in enumerate(predicted):
        for ahead, action in zip(loaded.ahead, chunk, strict=True):
            yield ",".join([str(frame), str(ahead), *(f"{value:.9g}" for value in action)]) + "\n"
