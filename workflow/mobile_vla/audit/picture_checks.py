"""Check what episodes show against their peers: pictures, and the time of their motion."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from mobile_vla.audit.episode_checks import actions_of
from mobile_vla.audit.findings import SetCheck, of_dataset, of_episode
from mobile_vla.audit.quality import clear_frames
from mobile_vla.audit.quality_checks import ORDINARY, PEERS
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.ingest.result import EpisodeFacts

SAME = 0.005  # share of the pictures' change that differs, up to which two drives are one
ROUNDING = 1 / 3  # squared grey levels: of the difference of two differences of whole numbers
STILL = 4.0  # squared grey levels: of less change nothing is concluded
CONTRAST = 10.0  # grey levels: a picture of less shows too little to be compared
UNLIKE = 0.4  # correlation of two pictures, below which they show different things
ALIKE = 0.6  # of most others: where they resemble each other less, all show different things
NEAREST = 2  # how many others an episode has to resemble: two of another place are odd, too

OFFSETS = (-1, 0, 1, 2, 3)
"""Frames from a command to the picture that is the first to show its motion."""
LONG = 12  # clear frames, at least, by which the time of motion is judged
AFTER = 1  # of a frame that is stored, and then its command carried out
CLEAR = 0.6  # agreement of 3 from which on the time of motion is known
AHEAD = 0.25  # by how much the time with the most agreement exceeds the others


def near_duplicates(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """No drive is stored twice with pictures that differ a little: compressed anew, or brightened.

    Two drives with the same commands start some centimetres apart, so that their pictures change
    differently.
    """
    drives: dict[str, list[EpisodeFacts]] = defaultdict(list)
    for facts in every:
        drives[str(facts.actions)].append(facts)
    for same in drives.values():
        if len(same) < 2 or same[0].frames < 2:
            continue
        changes = np.stack([picture_changes(facts) for facts in same])  # (m, D)
        strength = (changes**2).mean(axis=1)  # (m,)
        for index in range(1, len(same)):
            apart = ((changes[:index] - changes[index]) ** 2).mean(axis=1) - ROUNDING  # (index,)
            shares = np.maximum(apart, 0) / np.maximum(strength[:index] + strength[index], STILL)
            nearest = int(shares.argmin())
            exact = same[index].frame_file == same[nearest].frame_file
            still = min(strength[nearest], strength[index]) < STILL
            if shares[nearest] > SAME or exact or still:
                continue
            yield of_episode(
                same[index],
                "near_duplicate",
                "images",
                found=f"the commands of {same[nearest].episode}, and pictures of which "
                f"{shares[nearest]:.2%} of the change differs",
                expected=f"each drive once: more than {SAME:.1%}",
                remedy="look whether one drive was stored twice, and remove one: on both sides of "
                "the split it falsifies the scores",
                frames=[same[index].frames // 2],
            )


def picture_changes(facts: EpisodeFacts) -> np.ndarray:
    """Return how an episode's thumbnails change from each to the next, (D,) in grey levels."""
    pictures = facts.image_statistics.small_pictures().astype(np.float32)  # (K, 8, 8)
    return np.diff(pictures, axis=0).ravel()


def other_pictures(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """Pictures resemble those of some peers, whatever their brightness and contrast.

    Not the typical ones: a dataset may have been recorded in several places.
    """
    if len(every) <= PEERS:
        return
    means = np.stack([mean_picture(facts) for facts in every])  # (E, 64)
    likeness = resemblance(means)  # (E,)
    for index in np.flatnonzero((likeness < UNLIKE) & (means.std(axis=1) > 1 - 1e-6)).tolist():
        low, high = np.quantile(np.delete(likeness, index), ORDINARY)
        if low < ALIKE:
            continue
        yield of_episode(
            every[index],
            "other_pictures",
            "images",
            found=f"the mean picture resembles that of no {NEAREST} other episodes (correlation "
            f"{likeness[index]:.2f})",
            expected=f"{low:.2f} to {high:.2f}, as in 80 % of {len(every) - 1} other episodes",
            remedy="look whether it is the same camera, its place and the same surroundings",
            frames=[every[index].frames // 2],
        )


def mean_picture(facts: EpisodeFacts) -> np.ndarray:
    """Return the mean of an episode's thumbnails, (64,), with a mean of 0 and a contrast of 1.

    The contrast is less where there is too little of it.
    """
    mean = facts.image_statistics.small_pictures().mean(axis=0).ravel()  # (64,)
    return (mean - mean.mean()) / max(float(mean.std()), CONTRAST)


def resemblance(pictures: np.ndarray) -> np.ndarray:
    """Return the correlation of each picture, (E, D), with the second most similar one, (E,)."""
    alike = pictures @ pictures.T / pictures.shape[1]  # (E, E)
    np.fill_diagonal(alike, -np.inf)
    return np.partition(alike, -NEAREST, axis=1)[:, -NEAREST]


def agreement(facts: EpisodeFacts) -> np.ndarray:
    """Return how well pictures move as commands say, for each of :data:`OFFSETS`: (5,), up to 3.

    It is the sum of three correlations over the frames: of the shift to the right with commands to
    the left, of growth with commands ahead, of any change with any command. Frames that show
    nothing are left out, and episodes of a few frames have an agreement of 0.
    """
    clear = clear_frames(facts)
    shown = clear[np.isin(clear - 1, clear)]  # motion is that since the frame before
    statistics, actions = facts.image_statistics, actions_of(facts)
    largest = np.abs(actions).max(axis=0)
    ahead, left, turn = (actions / np.where(largest > 0, largest, 1)).T  # (T,) each
    commands = np.stack([left + turn, ahead, np.any(actions, axis=1)])  # (3, T)
    motions = np.array([statistics.pan, statistics.zoom, statistics.change])  # (3, T)
    # Near things move most: by the root of a motion, no single frame outweighs the others.
    motions = np.sign(motions) * np.sqrt(np.abs(motions))
    scores = np.zeros(len(OFFSETS))
    for place, offset in enumerate(OFFSETS):
        rows = shown[(shown >= offset) & (shown - offset < facts.frames)]
        if len(rows) >= LONG:
            scores[place] = correlations(motions[:, rows], commands[:, rows - offset]).sum()
    return scores


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each row, (K, n); 0 where one of both does not vary."""
    a, b = (values - values.mean(axis=1, keepdims=True) for values in (a, b))
    norm = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))  # (K,)
    return np.where(norm > 1e-9, (a * b).sum(axis=1) / np.maximum(norm, 1e-9), 0.0)


def command_offsets(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """Pictures move in the frame after a command, in all episodes alike."""
    scores = {facts.episode: agreement(facts) for facts in every}
    known = {name: score for name, score in scores.items() if score.max() >= CLEAR}
    if len(known) <= PEERS:
        return
    mean = np.mean(list(known.values()), axis=0)  # (5,)
    usual = int(mean.argmax())
    runner_up = np.delete(mean, usual).max()
    if mean[usual] < CLEAR or mean[usual] - runner_up < AHEAD:
        return
    best = Counter(int(score.argmax()) for score in known.values())
    if OFFSETS[usual] != AFTER:
        yield of_dataset(
            "command_offset",
            "actions",
            found=f"pictures move {_when(OFFSETS[usual])}, in {best[usual]} of {len(known)} "
            f"episodes (agreement {mean[usual]:.1f} of 3; {mean[OFFSETS.index(AFTER)]:.1f} "
            f"{_when(AFTER)})",
            expected=f"{_when(AFTER)}: a picture is what the driver saw before",
            remedy="keep `target: next`, so that no command is predicted that the picture shows "
            "already"
            if OFFSETS[usual] < AFTER
            else "look whether the camera's pictures arrive late: a policy has to act on them so",
        )
    for facts in every:
        score = scores[facts.episode]
        there = int(score.argmax())
        if there == usual or score[there] < CLEAR or score[there] - score[usual] < AHEAD:
            continue
        yield of_episode(
            facts,
            "other_command_offset",
            "actions",
            found=f"pictures move {_when(OFFSETS[there])} (agreement {score[there]:.1f} of 3; "
            f"{score[usual]:.1f} {_when(OFFSETS[usual])})",
            expected=f"{_when(OFFSETS[usual])}, as in {best[usual]} of {len(known)} episodes",
            remedy="look whether commands and pictures were shifted against each other when the "
            "episode was stored, and shift them back",
            frames=[facts.frames // 2],
        )


def _when(offset: int) -> str:
    if offset == 0:
        return "in the frame of a command"
    frames = "1 frame" if abs(offset) == 1 else f"{abs(offset)} frames"
    return f"{frames} {'after' if offset > 0 else 'before'} a command"


PICTURE_CHECKS: tuple[SetCheck, ...] = (near_duplicates, other_pictures, command_offsets)
