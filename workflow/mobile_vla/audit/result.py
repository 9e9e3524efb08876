"""The form of ``audit.json``: findings about a dataset, and what the dataset covers."""

from __future__ import annotations

from typing import Literal

from mobile_vla.conventions import ScenarioKey
from mobile_vla.result import Result
from mobile_vla.sentence import Sentence


class Finding(Result):
    """One thing that is wrong or odd about a dataset or one of its episodes."""

    code: str
    """A code of the catalogue, such as ``black_frames``; ``config/audit.py`` lists all."""
    severity: Literal["error", "warning", "info"]
    """How bad it is; always the same for one code."""
    episode: str | None
    """Name of the episode; None for the dataset as a whole."""
    file: str | None
    """Path of the raw file; None for the dataset as a whole."""
    place: str
    """Where in the file or dataset, such as ``images, frames 3-5``."""
    frames: tuple[int, ...]
    """Indices of the frames concerned, ascending, the first 50; empty where there are none."""
    found: Sentence
    """What stands there."""
    expected: Sentence
    """What should stand there."""
    remedy: Sentence
    """What to do about it."""
    accepted: str | None
    """The user's reason to accept it; None where it is not accepted."""


class FindingTotals(Result):
    """Numbers of findings; accepted ones count apart."""

    error: int
    """Errors."""
    warning: int
    """Warnings that are not accepted."""
    info: int
    """Remarks that are not accepted."""
    accepted: int
    """Accepted findings."""


class WindowYield(Result):
    """The windows that the episodes give with the settings of some experiments."""

    experiments: tuple[str, ...]
    """Experiments with these settings."""
    window: int
    """Observed frames W."""
    chunk: int
    """Actions to predict C."""
    stride: int
    """Frames between the starts of neighbouring windows."""
    target: str
    """``next`` or ``current``: the chunk's first action."""
    start: str
    """``whole`` or ``repeat``: windows that begin before the episode."""
    tail: str
    """``drop`` or ``mask``: windows whose chunk runs over the episode's end."""
    frames_needed: int
    """Length of the shortest episode that gives a window."""
    windows: int
    """Number of windows."""
    episodes: int
    """Episodes that give a window or more."""
    too_short: tuple[str, ...]
    """Names of the episodes that give none."""


class CoveredCell(Result):
    """A combination of side, distance and style."""

    cell: dict[ScenarioKey, str]
    """Its values; ``unknown`` where a name does not say."""
    episodes: int
    """Number of episodes that are used."""


class Lengths(Result):
    """Numbers of frames of an episode."""

    min: int
    """Of the shortest episode."""
    median: float
    """Median over the episodes."""
    max: int
    """Of the longest episode."""


class ActionStatistics(Result):
    """Statistics of one column of the actions over all frames, in command units."""

    mean: float
    """Mean."""
    std: float
    """Standard deviation."""
    min: float
    """Smallest value."""
    max: float
    """Largest value."""
    nonzero: float
    """Share of the frames whose value is not 0."""


class SharedSequence(Result):
    """How many episodes of a side share its most frequent sequence of actions."""

    episodes: int
    """Episodes with that sequence."""
    of: int
    """Episodes of the side."""
    share: float
    """Their ratio."""


class EpisodeCounts(Result):
    """Numbers of episodes: all there is to say where none is used."""

    usable: int
    """Episodes that are used."""
    rejected: int
    """Unusable episodes."""
    flagged: int
    """Episodes that are left out for their warnings."""


class DatasetStatistics(EpisodeCounts):
    """Statistics of the episodes that are used."""

    frames: int
    """Frames of all episodes together."""
    lengths: Lengths
    """Frames per episode."""
    actions: dict[str, ActionStatistics]
    """By column of the actions."""
    motions: dict[str, int]
    """Number of frames by the signs of the velocities, such as ``forward left``."""
    image_mean: list[float]
    """(3,) mean of red, green and blue over all frames."""
    same_sequence: dict[str, SharedSequence]
    """By side, ``unknown`` included."""
    time_periods: dict[str, int]
    """Number of episodes by the attribute ``time_period``."""
    dates: dict[str, int]
    """Number of episodes by day, as YYYY-MM-DD."""


class Thumbnail(Result):
    """A small picture of a frame that a finding is about."""

    code: str
    """The finding's code."""
    episode: str
    """Name of the episode."""
    frame: int
    """Index of the frame."""
    swapped: bool
    """Whether red and blue are exchanged in the picture."""
    image: str
    """JPEG of 112×112 pixels, as a data URI."""


class DataAudit(Result):
    """``audit_data.json``: the part of ``audit.json`` that depends on no experiment."""

    dataset: str
    """Name of the dataset."""
    episodes: int
    """Number of its episodes, those that are left out included."""
    used: tuple[str, ...]
    """Names of the episodes that are used, in order."""
    findings: tuple[Finding, ...]
    """By severity, then episode, those about the whole dataset first; accepted ones come last."""
    coverage: tuple[CoveredCell, ...]
    """All known combinations, and after them those with an ``unknown``."""
    statistics: DatasetStatistics | EpisodeCounts
    """Statistics of the episodes that are used."""
    thumbnails: tuple[Thumbnail, ...]
    """Pictures of the frames that findings are about, by code; 48 at most."""


class Audit(Result):
    """``audit.json``: what is wrong or odd about a dataset, and what it covers."""

    dataset: str
    """Name of the dataset."""
    episodes: int
    """Number of its episodes, those that are left out included."""
    totals: FindingTotals
    """Numbers of findings."""
    findings: tuple[Finding, ...]
    """By severity, then episode, those about the whole dataset first; accepted ones come last."""
    windows: tuple[WindowYield, ...]
    """One entry for each distinct way of cutting windows, in the order of config.yaml."""
    coverage: tuple[CoveredCell, ...]
    """All known combinations, and after them those with an ``unknown``."""
    statistics: DatasetStatistics | EpisodeCounts
    """Statistics of the episodes that are used."""
    thumbnails: tuple[Thumbnail, ...]
    """Pictures of the frames that findings are about, by code; 48 at most."""
