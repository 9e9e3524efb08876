"""The stage ``ingest``: convert one raw file to frames and facts, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np

from mobile_vla.config.fields import Fields
from mobile_vla.config.ingest import Color, Images, IngestSettings
from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.files import atomic_path
from mobile_vla.ingest.chunks import image_blocks
from mobile_vla.ingest.episode import RawEpisode, read_episode
from mobile_vla.ingest.groups import content_of, matching, wild_parts
from mobile_vla.ingest.image_statistics import NO_STATISTICS, FrameMeasures
from mobile_vla.ingest.isolation import Announce, isolated
from mobile_vla.ingest.machine import named
from mobile_vla.ingest.places import Places
from mobile_vla.ingest.rawfile import Rejected, fingerprint, open_raw, reading, rejection
from mobile_vla.ingest.resize import to_frame
from mobile_vla.ingest.result import Defect, EpisodeFacts, ImageStatistics, Scenario
from mobile_vla.ingest.scenario import VALUES, parse_scenario
from mobile_vla.ingest.values import single
from mobile_vla.layout import EpisodeFiles
from mobile_vla.result import FileDigest
from mobile_vla.sentence import say, verbatim

COLOR = "color"
"""Attribute of a file that says its images' order of colours, as recorded drives do: rgb or bgr."""


def ingest(
    settings: IngestSettings, outputs: EpisodeFiles, *, raw: Path, raw_folder: Path | None = None
) -> None:
    """Read an HDF5 episode once; write its frames and its facts.

    A file that breaks the contract is no error here: its defects become facts, so that the
    problems of all episodes can be reported together.

    Args:
        raw: the episode's file, as the facts name it.
        raw_folder: the folder that ``raw`` is relative to, which no fact depends on.

    Raises:
        UserError: the machine could not read the file or write the frames.
    """
    file = str(raw)
    raw = raw if raw_folder is None else raw_folder / raw
    identity: FileDigest | None = None
    episode, statistics = RawEpisode(), NO_STATISTICS
    defects: list[Defect] = []
    with named(raw), atomic_path(outputs.frames) as temporary:
        try:
            identity = identify(raw, settings.fields, settings.inside)
            episode, statistics = isolated(partial(_read, raw, settings, temporary))
        except Rejected as rejected:
            defects = rejected.defects
            write_no_frames(temporary)
    EpisodeFacts(
        episode=settings.episode,
        file=file,
        sha256=None if identity is None else identity.sha256,
        size=0 if identity is None else identity.size,
        inside=settings.inside,
        scenario=_scenario(settings, raw),
        group=group_of(episode.attributes, settings.episode),
        frames=len(episode.actions),
        frame_file=FileDigest.of(outputs.frames),
        resize=settings.images.resize,
        image_place=episode.place,
        raw_shape=episode.shape,
        actions=episode.actions.tolist(),
        event_types=episode.event_types,
        instruction=episode.instruction,
        state=None if episode.state is None else episode.state.tolist(),
        attributes=episode.attributes,
        image_statistics=statistics,
        errors=_within(settings.inside, defects),
        notes=_within(settings.inside, episode.notes),
    ).write(outputs.facts)


def group_of(attributes: Mapping[str, Any], episode: str) -> str:
    """Return an episode's group, which stays on one side of a split: its scene, or itself."""
    scene = single(attributes.get("scene"))
    is_number = isinstance(scene, int) and not isinstance(scene, bool)
    return str(scene) if is_number or (isinstance(scene, str) and scene) else episode


def identify(raw: Path, fields: Fields | None, inside: str) -> FileDigest:
    """Return the identity of an episode's bytes: its file's, or its group's in a file of several.

    Raises:
        Rejected: there is nothing to read.
        MachineError: the machine could not read it.
    """
    return content_of(raw, fields, inside) if inside else fingerprint(raw)


def _without_groups(file: h5py.File, pattern: str) -> Rejected:
    """Return why a file of several episodes counted as one when the workflow was planned."""
    with reading("file"):
        found = matching(file, pattern)
    if found:
        said = say("groups that could not be read when the workflow was planned")
        return rejection("unreadable", "file", said, say("an intact HDF5 file"))
    said = say("no group that matches {pattern!r}", pattern=pattern)
    remedy = say("correct `fields.episodes`, or take the file out of the dataset's `pattern`")
    return rejection("missing_dataset", "file", said, say("a group for each episode"), remedy)


def _within(group: str, defects: Iterable[Defect]) -> list[Defect]:
    """Return defects with places that begin at the episode's group."""
    return [
        one.model_copy(update={"place": one.place.removeprefix(f"{group}/")}) for one in defects
    ]


def _scenario(settings: IngestSettings, raw: Path) -> Scenario:
    """Return what a table says of an episode, or its name."""
    if settings.scenario is not None:
        return {key: settings.scenario.get(key) for key in VALUES}
    # By the file's name: that of an episode in a subfolder begins with the folder's.
    pattern = settings.fields and settings.fields.episodes
    parts = wild_parts(pattern, settings.inside) if pattern and settings.inside else []
    return parse_scenario("_".join([raw.stem, *parts]))


def _read(
    raw: Path, settings: IngestSettings, path: Path, announce: Announce
) -> tuple[RawEpisode, ImageStatistics]:
    announce("file")
    fields = settings.fields
    with open_raw(raw) as file:
        if fields is not None and fields.episodes is not None and not settings.inside:
            raise _without_groups(file, fields.episodes)
        episode = read_episode(file, announce, Places.of(fields, settings.inside))
        _check_color(episode.attributes.get(COLOR), settings.images)
        blocks = image_blocks(file, episode.place, announce)
        return episode, write_frames(blocks, len(episode.actions), settings.images, path)


def _check_color(said: Any, images: Images) -> None:
    """Refuse a file that says another order of colours than its dataset.

    Raises:
        Rejected: it does.
    """
    if said in get_args(Color) and said != images.settled().color:
        raise rejection(
            "color_contradicts_file",
            f"attribute {COLOR}",
            verbatim(said),
            say("{color}, by `images.color`", color=images.settled().color),
            say(
                "put such files into a dataset of their own with `images: {{color: {said}}}`",
                said=said,
            ),
        )


def write_frames(
    blocks: Iterable[tuple[int, np.ndarray]], length: int, images: Images, path: Path
) -> ImageStatistics:
    """Write the frames of an episode's images, and return their statistics.

    Args:
        blocks: the first frame's index and images (n, H, W, 3) uint8, one block after another.
        length: T.
        images: how images become frames.
        path: ``.npy`` file to write.
    """
    measures = FrameMeasures(length)
    repeats: list[int] = []
    previous: tuple[np.ndarray, np.ndarray] | None = None  # the image and its frame
    # Written frame by frame: the pages of a memory map would count as memory of this job.
    with path.open("wb") as file:
        shape = (length, *FRAME_SHAPE)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for first, block in blocks:
            for index, image in enumerate(block, start=first):
                frame = to_frame(image, images)  # (224, 224, 3)
                file.write(frame.data)
                measures.add(index, frame)
                # Equal images have equal frames, which are smaller.
                if (
                    previous is not None
                    and np.array_equal(frame, previous[1])
                    and np.array_equal(image, previous[0])
                ):
                    repeats.append(index)
                previous = image, frame
            if len(block) > 1:  # a view would keep the whole block in memory
                previous = image.copy(), frame
            del block, image
    return measures.result(repeats)


def write_no_frames(path: Path) -> None:
    """Write the frames of an episode that cannot be used."""
    with path.open("wb") as file:
        np.save(file, np.zeros((0, *FRAME_SHAPE), dtype=np.uint8))
