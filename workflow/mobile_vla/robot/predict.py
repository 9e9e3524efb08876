"""Predict: ask a policy about an episode or pictures, without a robot."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mobile_vla.config.features import Precision
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.data.prompts import lacking, lacks, prompt_values, render
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import write_text
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.result import Defect, EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from mobile_vla.robot.images import decode, frame_of
from mobile_vla.robot.policy import Opened, ask, description_of, images_of, open_policy

log = logging.getLogger(__name__)

EPISODES = (".h5", ".hdf5")


def predict(
    policy: Path,
    observed: list[Path],
    *,
    instruction: str | None = None,
    backbone: Path | None = None,
    output: Path | None = None,
    precision: Precision | None = None,
    threads: int | None = None,
    allow_other_prompts: bool = False,
) -> None:
    """Print the velocities that a policy predicts at each frame, in raw command units.

    A line of the table is an action: `frame` counts from 0 and is the newest one that the policy
    had seen; `ahead` says how many frames later the action is due.

    Args:
        policy: the policy's folder.
        observed: an episode (.h5) or pictures (JPEG, PNG) in the order in which they were seen.
        instruction: the prompt; by default that which training had for such an episode.
        backbone: the backbone's folder; by default that of the results which the policy lies in.
        output: file for the table, as CSV; by default it is printed.
        precision: number format, fp32, bf16, fp16 or auto; by default that of the training.
        threads: CPU threads; by default those of the training.
        allow_other_prompts: allow an instruction that the policy was not trained with.

    Raises:
        UserError: the policy or what it is to look at cannot be read, or the prompt is not its own.
    """
    images = images_of(description_of(policy))
    values: dict[str, str | None] | None = None
    if any(path.suffix in EPISODES for path in observed):
        if len(observed) > 1:
            raise UserError(f"found {len(observed)} files, expected one episode, or pictures alone")
        frames, values = _episode(observed[0], images)
    else:
        frames = np.stack([_picture(path, images) for path in observed])
    opened = open_policy(
        policy,
        backbone,
        precision=precision,
        threads=threads,
        allow_other_prompts=allow_other_prompts,
    )
    if instruction is None and values is not None:
        instruction = _instruction(observed[0], opened.policy.settings.prompt, values)
    prompt = opened.prompts.index(instruction)
    log.info("%d frames, asked with %r", len(frames), opened.policy.texts[prompt])
    table = "".join(_table(opened, ask(opened, frames, prompt)))
    if output is not None:
        write_text(output, table)
    else:
        sys.stdout.write(table)


def _episode(path: Path, images: Images) -> tuple[np.ndarray, dict[str, str | None]]:
    """Return an episode's frames as ``ingest`` makes them, and what its prompt is made of."""
    with tempfile.TemporaryDirectory() as folder:
        files = EpisodeFiles(Path(folder, "facts.json"), Path(folder, "frames.npy"))
        wanted = IngestSettings(dataset="predict", episode=path.stem, images=images)
        ingest(wanted, files, raw=path)
        facts = EpisodeFacts.read(files.facts)
        if facts.errors:
            raise Problems(
                f"{path} cannot be used", [_problem(path, defect) for defect in facts.errors]
            )
        return np.load(files.frames), prompt_values(facts)


def _problem(path: Path, defect: Defect) -> Problem:
    return Problem(f"{path} ({defect.place})", defect.found, defect.expected, defect.remedy)


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
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _table(opened: Opened, predicted: np.ndarray) -> Iterator[str]:
    """Yield the lines of a CSV table; 9 digits give each float32 back."""
    dimensions = opened.policy.settings.actions.dimensions
    yield ",".join(["frame", "ahead", *dimensions]) + "\n"
    for frame, chunk in enumerate(predicted):
        for ahead, action in zip(opened.ahead, chunk, strict=True):
            yield ",".join([str(frame), str(ahead), *(f"{one:.9g}" for one in action)]) + "\n"
