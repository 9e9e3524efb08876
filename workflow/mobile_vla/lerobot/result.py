"""The files of a LeRobotDataset v3, and the form of the one that an export adds to them.

The format is that of LeRobot 0.4 (huggingface/lerobot, docs/source/lerobot-dataset-v3.mdx and
src/lerobot/datasets): many episodes to a Parquet file, and an index that says which rows are whose.
"""

from __future__ import annotations

from pydantic import ConfigDict, JsonValue

from mobile_vla.result import Result

VERSION = "v3.0"
ACTION = "action"
STATE = "observation.state"
INFO = "meta/info.json"
OURS = "meta/mobile_vla.json"
"""What the format has no place for, such as the episodes' names; LeRobot does not read it."""


class ExportedEpisode(Result):
    """What LeRobot's format has no place for of an episode."""

    episode: str
    """Name of the episode."""
    frames: int
    """T, its number of frames."""
    instruction: str | None
    """The raw file's ``language_instruction``."""
    event_types: list[str] | None
    """(T,) the collector's events; None where the raw file has none."""
    attributes: dict[str, JsonValue]
    """The raw file's attributes."""
    raw_sha256: str
    """SHA-256 of the raw file."""


class ExportedDataset(Result):
    """``meta/mobile_vla.json``: where a LeRobotDataset was exported from, and its episodes."""

    model_config = ConfigDict(extra="ignore")  # earlier versions wrote more

    format: int
    """Version of this form."""
    dataset: str
    """Name of the dataset that was exported."""
    manifest: str
    """Digest of its manifest."""
    episodes: tuple[ExportedEpisode, ...]
    """The episodes, in the order of their numbers."""
