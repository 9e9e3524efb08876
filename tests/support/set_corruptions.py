"""What can be wrong with a folder of episodes, and what must be said of it."""

from __future__ import annotations

from pathlib import Path

from support.corruption_cases import THE_SET, THIN, error, info, warning
from support.episode_corruptions import (
    actions,
    attribute,
    each,
    same_actions,
    several,
    shorten,
    swap_colours,
    write,
)

SETS = {
    "left only": (
        each(Path.unlink, "_right_"),
        [warning("missing_side", "coverage, side", THE_SET), THIN],
    ),
    "no far ones": (
        each(Path.unlink, "_far"), [info("missing_scenario", "coverage, distance", THE_SET), THIN],
    ),
    "a combination missing": (
        each(Path.unlink, "_right_core_far"),
        [warning("empty_cell", "coverage, right far core", THE_SET), THIN],
    ),
    "no episode that can be used": (
        several(each(Path.unlink, "_(right|variant)_|_medium|_far"), each(write(b""))),
        [error("empty_file"), error("no_episodes", "dataset", THE_SET)],
    ),
    "all too short": (
        each(shorten(9)), [error("no_windows", "experiment usual", THE_SET), THIN],
    ),
    "all of a combination too short": (
        each(shorten(9), "_right_core_far"),
        [
            warning("cell_too_short", "experiment usual, right far core", THE_SET),
            warning("too_short", "experiment usual", THE_SET),
            ("info", "other_length", "episode_20251103_100741_1box_hori_right_core_far", "actions"),
            THIN,
        ],
    ),
    "one sequence for all of a side": (
        same_actions("_right_"),
        [warning("same_sequence", "actions, side right", THE_SET), THIN],
    ),
    "a predicted velocity that is always zero": (
        lambda folder: {"dimensions": ("linear_x", "linear_y", "angular_z")},
        [warning("constant_dimension", "actions, angular_z", THE_SET), THIN],
    ),
    "all normalised": (
        each(actions(lambda found: found / 1.15)),
        [warning("actions_normalised", "actions", THE_SET), THIN],
    ),
    "red and blue swapped in all": (
        each(swap_colours), [warning("probable_bgr", "images", THE_SET), THIN],
    ),
    "pictures from a video": (
        each(attribute("video_codec", "av1")),
        [info("video_images", "images", THE_SET), THIN],
    ),
    "files beside them that the pattern does not match": (
        lambda folder: {"left_out": "a.hdf5, b.H5"},
        [info("files_left_out", "dataset", THE_SET), THIN],
    ),
    "one prompt for both sides": (
        lambda folder: {"template": "drive around the box"},
        [error("same_prompt", "experiment usual, prompt", THE_SET), THIN],
    ),
}  # fmt: skip
