"""Settings of the audit, and the catalogue of its findings: every code, with its severity.

Stages name codes as plain words, so that a reworded meaning reruns only the audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints, WithJsonSchema

from mobile_vla.config.base import Settings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.conventions import Language

Severity = Literal["error", "warning", "info"]
"""``error`` makes an episode or an experiment unusable, ``warning`` makes results doubtful,
``info`` is good to know."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Kind:
    """What a code means: its severity, the heading that it is listed under, and a line."""

    severity: Severity
    topic: str
    meaning: str


_MEANINGS: dict[tuple[str, Severity], dict[str, str]] = {
    ("Files", "error"): {
        "missing": "there is no such file",
        "broken_link": "a link, on disk or in the file, that leads nowhere or in a circle",
        "permission_denied": "the file may not be read",
        "not_a_file": "a directory, pipe or device stands under the episode's name",
        "empty_file": "the file has 0 bytes",
        "lfs_pointer": "a Git-LFS pointer stands there instead of the data",
        "not_hdf5": "the file is something else than HDF5",
        "truncated": "the file is shorter than it says itself",
        "unreadable": "a part that HDF5 cannot read or loops at, or a video that cannot be opened",
        "damaged_chunk": "a chunk or file of images, or a frame of a video, that cannot be decoded",
        "damaged_index": "the list of chunks leads nowhere, or chunks overlap",
        "incomplete": "parts were never written; HDF5 would read zeros in their place",
        "unknown_filter": "compressed by a filter that no HDF5 has",
        "chunk_too_large": "a chunk too large to be decompressed in bounded memory",
        "external_link": "the data lie in another file: external link or storage, or virtual",
    },
    ("Files", "warning"): {
        "left_open": "the recorder did not close the file: what it wrote last may be missing",
    },
    ("Structure", "error"): {
        "missing_dataset": "images, actions or a state that `fields` names are not there",
        "not_a_dataset": "a group stands where an array should",
        "wrong_shape": "an array of another rank or shape, or without a column that `fields` names",
        "wrong_dtype": "an array of another type than the contract's",
        "no_frames": "T = 0",
        "unequal_length": "images, actions, states, events or a video's times of different lengths",
        "absurd_size": "a declared length or width that no episode has",
        "not_finite": "NaN or infinity among the actions or states",
    },
    ("Structure", "warning"): {
        "num_frames_differs": "the attribute num_frames is not the number of images",
    },
    ("Images", "error"): {
        "color_contradicts_file": "the file says another order of colours than `images.color`",
    },
    ("Images", "warning"): {
        "black_frames": "frames that are black",
        "white_frames": "frames that are white",
        "flat_frames": "frames nearly of one colour",
        "frozen_frames": "frames equal to the one before while the robot moves",
        "other_image_size": "another image size than in most episodes",
        "images_normalised": "no value above 1: the images were scaled before they were stored",
        "probable_bgr": "the pictures look as if red and blue were swapped",
        "other_color_order": "red and blue look swapped in an episode, unlike in the others",
    },
    ("Images", "info"): {
        "encoded_images": "images stored as JPEG or PNG files: decoded",
        "video_images": "images decoded from a video: lossy, not those of the camera",
    },
    ("Actions", "warning"): {
        "actions_beyond_scale": "commands beyond the declared scale, which would be clipped",
        "actions_normalised": "the largest command is exactly 1 while the scale is not",
        "constant_dimension": "a predicted dimension that never varies",
        "unused_dimension": "a velocity that is not zero and not predicted",
        "first_action_not_zero": "an episode that does not start at rest",
        "actions_all_zero": "an episode in which the robot never moves",
        "side_sign": "linear_y points away from the side in the name",
        "events_disagree": "event types that do not fit the actions",
        "unclear_events": "event types in a form without a clear meaning, which are not read",
    },
    ("Actions", "info"): {
        "no_event_types": "the file has no event types",
        "actions_rounded": "actions stored with few digits, as bfloat16 or float8",
    },
    ("Language", "error"): {
        "same_prompt": "episodes pass on different sides, and their prompts are the same",
        "prompt_incomplete": "a prompt needs what some episodes do not say",
    },
    ("Language", "warning"): {
        "scenario_incomplete": "nothing says on which side the robot passes",
        "unclear_instruction": "no instruction where `fields` says, or one without a clear meaning",
        "instruction_contradicts_name": "the file's instruction names the other side",
        "episode_name_differs": "the attribute episode_name is not the file's name",
    },
    ("Language", "info"): {
        "name_outside_scheme": "a name that does not follow the scheme",
    },
    ("Demonstrations", "warning"): {
        "blurred": "pictures far less sharp than those of the other episodes",
        "clipped_pixels": "far more pixels black or white to the camera than in other episodes",
        "near_duplicate": "the commands of another episode, and nearly its pictures",
        "other_command_offset": "pictures move sooner or later after commands than in the others",
    },
    ("Demonstrations", "info"): {
        "much_idle": "far more frames without a command than in the other episodes",
        "many_reversals": "velocities change their sign far more often than in the others",
        "jerky_commands": "commands far less smooth than in the other episodes",
        "other_length": "far more or fewer frames than the other episodes of the scenario",
        "blurred_frames": "single frames far less sharp than those around them",
        "other_brightness": "pictures far darker or brighter than in the other episodes",
        "other_pictures": "pictures unlike those of the other episodes",
        "command_offset": "pictures do not move in the frame after a command, but sooner or later",
    },
    ("Set", "error"): {
        "no_episodes": "no episode of the dataset can be used",
        "no_windows": "no episode is long enough for an experiment's window and chunk",
    },
    ("Set", "warning"): {
        "duplicate_file": "two episodes with the same bytes",
        "duplicate_content": "two episodes with the same frames and actions",
        "same_sequence": "most episodes of a side share one sequence of actions",
        "too_short": "episodes that give an experiment no window",
        "cell_too_short": "a combination whose episodes give an experiment no window at all",
        "missing_side": "no episode at all of one side",
        "empty_cell": "a combination of side, distance and style without an episode",
    },
    ("Set", "info"): {
        "files_left_out": "files that look like episodes and do not match the pattern",
        "missing_scenario": "no episode at all of one distance or style",
        "thin_cells": "combinations with too few episodes to be in every role of a split",
    },
}

CATALOGUE: dict[str, Kind] = {
    code: Kind(severity, topic, meaning)
    for (topic, severity), meanings in _MEANINGS.items()
    for code, meaning in meanings.items()
}
ACCEPTABLE: tuple[str, ...] = tuple(
    code for code, kind in CATALOGUE.items() if kind.severity != "error"
)
"""What can be accepted: an error makes an episode or an experiment unusable all the same."""

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "propertyNames": {"enum": list(ACCEPTABLE)},
    "additionalProperties": {"type": "string", "minLength": 1},
}
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Accepted = Annotated[dict[str, Reason], WithJsonSchema(_SCHEMA)]
"""Code → why it is no trouble here. Which codes there are is checked with the whole configuration,
where each mistake has its line."""

OnWarning = Literal["keep", "quarantine"]


class Declared(Settings):
    """What a dataset declares of itself, and its data are held against."""

    actions: Actions = Actions()
    """The predicted dimensions and their scale."""
    color_settled: bool = False
    """Whether config.yaml says in which order colours are stored."""
    has_scenarios: bool = False
    """Whether a table says the scenarios, and names need not."""


class AuditedExperiment(Settings):
    """What an experiment asks of the dataset."""

    name: str
    windows: Windows
    prompt: Prompt


class DataAuditSettings(Settings):
    """What ``audit_data`` is given: no experiment's setting among it."""

    dataset: str
    declared: Declared = Declared()
    on_warning: OnWarning = "keep"
    """Whether episodes with warnings are used: what is counted is what is used."""
    accept: Accepted = Field(default_factory=dict)
    """Findings that were looked at, each with a reason."""
    left_out: str = ""
    """Files that look like episodes and that the dataset's pattern does not match."""


class AuditSettings(DataAuditSettings):
    """What ``audit`` is given."""

    language: Language = "en"
    """That of its page."""

    experiments: tuple[AuditedExperiment, ...] = ()
    """The experiments that use the dataset."""


class FlagSettings(Settings):
    """What the ``flags`` stage is given: no experiment's setting among it."""

    dataset: str
    declared: Declared = Declared()
    accepted: tuple[str, ...] = ()
    """Codes that do not quarantine, sorted; their reasons concern the audit alone."""
