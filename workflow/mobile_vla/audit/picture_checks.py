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
from mobile_vla.sentence import Sentence, say

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
                found=say(
                    "the commands of {episode}, and pictures of which {share:.2%} of the change "
                    "differs",
                    episode=same[nearest].episode,
                    share=shares[nearest],
                ),
                expected=say("each drive once: more than {share:.1%}", share=SAME),
                remedy=say(
                    "look whether one drive was stored twice, and remove one: on both sides of "
                    "the split it falsifies the scores"
                ),
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
            found=say(
                "the mean picture resembles that of no {n} other episodes (correlation "
                "{value:.2f})",
                n=NEAREST,
                value=likeness[index],
            ),
            expected=say(
                "{low:.2f} to {high:.2f}, as in 80 % of {n} other episodes",
                low=low,
                high=high,
                n=len(every) - 1,
            ),
            remedy=say("look whether it is the same camera, its place and the same surroundings"),
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
            found=say(
                "pictures move {when}, in {n} of {all} episodes (agreement {agreement:.1f} of 3; "
                "{usual:.1f} {after})",
                when=_when(OFFSETS[usual]),
                n=best[usual],
                all=len(known),
                agreement=mean[usual],
                usual=mean[OFFSETS.index(AFTER)],
                after=_when(AFTER),
            ),
            expected=say("{after}: a picture is what the driver saw before", after=_when(AFTER)),
            remedy=say(
                "keep `target: next`, so that no command is predicted that the picture shows "
                "already"
            )
            if OFFSETS[usual] < AFTER
            else say(
                "look whether the camera's pictures arrive late: a policy has to act on them so"
            ),
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
            found=say(
                "pictures move {when} (agreement {agreement:.1f} of 3; {usual:.1f} {after})",
                when=_when(OFFSETS[there]),
                agreement=score[there],
                usual=score[usual],
                after=_when(OFFSETS[usual]),
            ),
            expected=say(
                "{when}, as in {n} of {all} episodes",
                when=_when(OFFSETS[usual]),
                n=best[usual],
                all=len(known),
            ),
            remedy=say(
                "look whether commands and pictures were shifted against each other when the "
                "episode was stored, and shift them back"
            ),
            frames=[facts.frames // 2],
        )


def _when(offset: int) -> Sentence:
    if offset == 0:
        return say("in the frame of a command")
    frames = say("1 frame") if abs(offset) == 1 else say("{n} frames", n=abs(offset))
    if offset > 0:
        return say("{frames} after a command", frames=frames)
    return say("{frames} before a command", frames=frames)


PICTURE_CHECKS: tuple[SetCheck, ...] = (near_duplicates, other_pictures, command_offsets)
