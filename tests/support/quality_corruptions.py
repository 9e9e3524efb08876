"""Ways to make demonstrations bad whose files are good, and what must be said of them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from support.corruption_cases import THE_SET, THIN, info, warning
from support.episode_corruptions import (
    FRAMES,
    actions,
    duplicate,
    each,
    edit,
    events,
    images,
    several,
    values,
)

SPEED = 1.15


def nearly_duplicate(path):
    """Store a drive once more, with pictures that differ by a grey level here and there."""
    twin = duplicate(path)
    images(lambda found: found ^ (found % 7 == 0))(twin)
    return twin


def enlarged(found):
    """Make pictures eight times as wide and high, with a texture that frames keep."""
    large = found.repeat(8, axis=1).repeat(8, axis=2).astype(int)
    texture = np.random.default_rng(0).integers(-30, 30, size=(*large.shape[1:3], 1))
    return np.clip(large + texture, 6, 249)


def out_of_focus(*frames):
    """Blur frames, without any all of them."""

    def change(found):
        for frame in frames or range(len(found)):
            picture = Image.fromarray(found[frame]).filter(ImageFilter.GaussianBlur(3))
            found[frame] = np.asarray(picture)
        return found

    return change


def late_pictures(found):
    """Let each picture arrive a frame late; the first two differ in their last bit."""
    return np.concatenate([found[:1] ^ 1, found[:-1]])


def one_place(found):
    """Let pictures show little else than a light that falls from above."""
    return 0.3 * found + 0.7 * np.linspace(180, 60, found.shape[1])[:, None, None]


def other_place(found):
    """Show a bright thing on the left, a dark one on the right, in the noise that was there."""
    return np.where(np.arange(found.shape[2])[:, None] < 16, 160, 60) + found % 7


def lengthen(path):
    """Drive the same once more: frames twice as many."""

    def change(file):
        for name in ("images", "actions", "action_event_types"):
            kind, kept = file[name].dtype, file[name][()]
            again = kept ^ 1 if name == "images" else kept
            del file[name]
            file.create_dataset(name, data=np.concatenate([kept, again]), dtype=kind)
        file.attrs["num_frames"] = 2 * FRAMES

    return edit(change)(path)


def pause(first, last):
    """Press no key for a while."""
    rows = range(first, last)
    return several(
        *(values(row, 0.0) for row in rows), events(*((row, "stop_action") for row in rows))
    )


def dither(found):
    """Press left and right in turns."""
    found[8:16, 1] = SPEED * np.array([1, -1] * 4)
    return found


def smooth(found):
    """Turn key presses into a joystick's commands, none at first."""
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    wide = [np.convolve(values, kernel, "same") for values in found.T]
    return np.stack(wide, axis=1) * (np.arange(len(found)) > 0)[:, None]


def tremble(found):
    """Let a joystick tremble."""
    return found * (1 - 0.4 * (np.arange(len(found)) % 2))[:, None]


FILES = {
    "a lamp before the camera": (
        images(lambda found: np.where(np.arange(32)[:, None] < 8, 255, found)),
        [warning("clipped_pixels", "images")],
    ),
    "little light": (images(lambda found: found * 0.3), [info("other_brightness", "images")]),
    "nearly the same content twice": (nearly_duplicate, [warning("near_duplicate", "images")]),
    "pictures that are a frame late": (
        images(late_pictures), [warning("other_command_offset", "actions")],
    ),
    "a long wait": (pause(5, 13), [info("much_idle", "actions")]),
    "to and fro": (actions(dither), [info("many_reversals", "actions")]),
    "a drive of twice the length": (lengthen, [info("other_length", "actions")]),
}  # fmt: skip
"""Cases of one episode among the good set of 37."""

SETS = {
    "out of focus, one of them in two frames": (
        several(
            each(images(enlarged)),
            each(images(out_of_focus()), "_left_core_close"),
            each(images(out_of_focus(6, 12)), "_right_core_far"),
        ),
        [
            warning("blurred", "images"),
            (
                "info",
                "blurred_frames",
                "episode_20251103_100741_1box_hori_right_core_far",
                "images, frames 6, 12",
            ),
            THIN,
        ],
    ),
    "another place than that of the others": (
        several(each(images(one_place)), each(images(other_place), "_left_core_close")),
        [info("other_pictures", "images"), THIN],
    ),
    "a joystick that trembles": (
        several(each(actions(smooth)), each(actions(tremble), "_left_core_close")),
        [info("jerky_commands", "actions"), THIN],
    ),
    "pictures that are a frame late in all": (
        each(images(late_pictures)), [info("command_offset", "actions", THE_SET), THIN],
    ),
}  # fmt: skip
"""Cases of a set of 12."""
