"""Make the probe: pictures with the actions that PyTorch answers to them.

Pictures of another size than a frame's, and not of its shape, so that resizing counts; colours are
those of the validation episodes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mobile_vla.bundle.runtime import Probe
from mobile_vla.config.ingest import Images
from mobile_vla.files import atomic_path
from mobile_vla.ingest.resize import to_frame
from mobile_vla.model.policy import Policy
from mobile_vla.model.streaming import Stream

WIDTH, HEIGHT = 333, 250  # no multiples of 224, and another shape
PROMPTS = 8  # at most so many: each costs a step at every start
SEED = 0


def make_probe(policy: Policy, frames: np.ndarray, prompt: int, images: Images) -> Probe:
    """Make the probe of a policy in fp32.

    It is a drive of W + 2 pictures under one prompt, and the first of them under each of the
    others.

    Args:
        policy: with its adapters, as it was trained.
        frames: (N, 224, 224, 3) uint8 RGB, successive ones of an episode.
        prompt: that episode's.
        images: how pictures become frames.
    """
    pictures = np.stack([_enlarged(frame, place) for place, frame in enumerate(frames)])
    count, rgb = len(pictures), images.model_copy(update={"color": "rgb"})
    others = [other for other in range(len(policy.texts)) if other != prompt][: PROMPTS - 1]
    seen = [np.array(to_frame(picture, rgb)) for picture in pictures]
    stream, actions = Stream(policy, [prompt]), []
    actions += [stream.step(frame[None]) for frame in seen]
    actions += [Stream(policy, [other]).step(seen[0][None]) for other in others]
    first = [place == 0 for place in range(count)]
    return Probe(
        pictures=pictures,
        picture=np.array([*range(count), *[0] * len(others)]),
        prompt=np.array([*[prompt] * count, *others]),
        begins=np.array([*first, *[True] * len(others)]),
        actions=np.concatenate(actions),
    )


def write_probe(probe: Probe, path: Path) -> None:
    """Write ``probe.npz``."""
    with atomic_path(path) as temporary:
        np.savez(temporary, **vars(probe))


def _enlarged(frame: np.ndarray, place: int) -> np.ndarray:
    """Return a picture of another size, with fine noise that only the right resizing averages."""
    picture = Image.fromarray(frame).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    noise = np.random.default_rng([SEED, place]).integers(-20, 21, (HEIGHT, WIDTH, 1))
    return np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
