"""Measure how good a demonstration is: numbers of one episode, which peers are compared by."""

from __future__ import annotations

import math

import numpy as np

from mobile_vla.audit.episode_checks import actions_of, plain_frames_of
from mobile_vla.ingest.result import EpisodeFacts

DEAD = 0.05  # of an episode's largest command: what is smaller has no direction
KEYS = 9  # distinct values of a velocity up to which commands are taken for key presses
GREY = 128.0  # of 255: the brightness at which frames' sharpness is compared
AROUND = 2  # frames on each side that a frame's sharpness is compared with
TRACE = 0.1  # added before a logarithm, for numbers that may be 0
BLUR = 1.4  # in the logarithm of the sharpness: a quarter


def idle_share(facts: EpisodeFacts) -> float | None:
    """Return the share of the frames after the first that have no command; None of no drive."""
    moving: np.ndarray = np.any(actions_of(facts)[1:], axis=1)  # (T - 1,)
    return float(1 - moving.mean()) if moving.any() else None


def idle_frames(facts: EpisodeFacts) -> list[int]:
    """Return the frames without a command, but the first."""
    return [row for row in np.flatnonzero(~actions_of(facts).any(axis=1)).tolist() if row]


def reversal_frames(facts: EpisodeFacts) -> list[int]:
    """Return the frames at which a velocity has changed its sign since it last had one."""
    actions = actions_of(facts)  # (T, 3)
    rows: set[int] = set()
    for values in actions.T:
        moving = np.flatnonzero(np.abs(values) > DEAD * np.abs(actions).max(initial=0.0))
        turned = np.diff(np.sign(values[moving])) != 0
        rows.update(moving[1:][turned].tolist())
    return sorted(rows)


def reversals(facts: EpisodeFacts) -> float:
    """Return how often a velocity changes its sign, per 100 frames: for key presses, too."""
    return 100 * len(reversal_frames(facts)) / facts.frames


def log_jerk(velocity: np.ndarray) -> float | None:
    """Return the logarithm of the dimensionless jerk of velocities, (T, D): higher is rougher.

    None where there is no jerk: they change evenly, or not at all.

    It is the negative of Balasubramanian et al.'s LDLJ ("On the analysis of movement smoothness",
    Journal of NeuroEngineering and Rehabilitation 12:112, 2015, equation 8; after Hogan and
    Sternad 2009): the integral of the squared jerk times the duration cubed, over the squared
    largest speed. The unit of time is a frame.
    """
    jerk = np.diff(velocity, n=2, axis=0)  # (T - 2, D)
    if not jerk.any():
        return None
    largest = float((velocity**2).sum(axis=1).max())
    return math.log((len(velocity) - 1) ** 3 * float((jerk**2).sum()) / largest)


def roughness(facts: EpisodeFacts) -> float | None:
    """Return the log dimensionless jerk of commands; None where they are key presses.

    Those jump between fixed values by their nature, which says nothing about the driver.
    """
    actions = actions_of(facts)
    if max(len(np.unique(values.round(3))) for values in actions.T) <= KEYS:
        return None
    return log_jerk(actions)


def clear_frames(facts: EpisodeFacts) -> np.ndarray:
    """Return the frames that show something, (n,); none where they are fewer than half.

    Black, white and single-coloured frames, and images that were normalised, have findings of their
    own.
    """
    clear = np.flatnonzero(~plain_frames_of(facts))
    usable = 2 * len(clear) >= facts.frames and facts.image_statistics.max != 1
    return clear if usable else clear[:0]


def frame_sharpness(facts: EpisodeFacts) -> np.ndarray:
    """Return each frame's variance of the Laplacian at a brightness of 128, (T,).

    It grows with the square of the brightness, which is none of the lens's doing.
    """
    mean = np.maximum(facts.image_statistics.frame_mean, 1.0)  # (T,)
    return np.array(facts.image_statistics.sharpness) * (GREY / mean) ** 2


def sharpness(facts: EpisodeFacts) -> float | None:
    """Return the median over the clear frames of the variance of the Laplacian."""
    clear = clear_frames(facts)
    return float(np.median(frame_sharpness(facts)[clear])) if len(clear) else None


def blurred_frames(facts: EpisodeFacts) -> list[int]:
    """Return the clear frames that are far less sharp than those around them."""
    levels = np.full(facts.frames + 2 * AROUND, np.inf)
    clear = clear_frames(facts)
    levels[clear + AROUND] = np.log(frame_sharpness(facts)[clear] + TRACE)
    shifts = [shift for shift in range(2 * AROUND + 1) if shift != AROUND]
    near = np.sort([levels[shift : shift + facts.frames] for shift in shifts], axis=0)  # (4, T)
    # The lower median of two to four: unclear frames, and those beyond the ends, are sorted last.
    count = np.isfinite(near).sum(axis=0)  # (T,)
    median = np.take_along_axis(near, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    judged = clear[count[clear] >= AROUND]
    return judged[median[judged] - levels[judged + AROUND] > BLUR].tolist()


def clipped(facts: EpisodeFacts) -> float | None:
    """Return the share of the clear frames' pixels that are black or white to the camera."""
    clear = clear_frames(facts)
    return float(clipped_shares(facts)[clear].mean()) if len(clear) else None


def clipped_shares(facts: EpisodeFacts) -> np.ndarray:
    """Return the share of each frame's pixels that are black or white to the camera, (T,)."""
    return np.add(facts.image_statistics.dark, facts.image_statistics.bright)


def clipped_frames(facts: EpisodeFacts) -> list[int]:
    """Return the clear frames with as many clipped pixels as their mean, or more."""
    shares, clear = clipped_shares(facts), clear_frames(facts)
    return [frame for frame in clear.tolist() if shares[frame] >= shares[clear].mean()]


def brightness(facts: EpisodeFacts) -> float | None:
    """Return the mean of the clear frames' values, 0 to 255."""
    clear = clear_frames(facts)
    return (
        float(np.mean(np.array(facts.image_statistics.frame_mean)[clear])) if len(clear) else None
    )
