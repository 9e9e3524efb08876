"""Simulated demonstrations, without files: clean ones, and ones with a planted fault of quality."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import Simulation, World, simulated_episodes
from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.files import digest_of
from mobile_vla.ingest.image_statistics import FrameMeasures
from mobile_vla.ingest.resize import to_frame
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.simulator.camera import render
from mobile_vla.simulator.driver import drive
from mobile_vla.simulator.world import SPEED, Pose, Scene
from support.synthetic_datasets import facts_of

NOISE = 0.6  # of frames, standard deviation: that of a camera, less what resizing averages away
LIGHT = 0.15  # by which the light of two scenes may differ, either way
TAIL = 4  # frames after the arrival, at most


@dataclass(frozen=True)
class Demonstration:
    """An episode before it is measured."""

    name: str
    frames: np.ndarray  # (T, 224, 224, 3) uint8, without a camera's noise
    actions: np.ndarray  # (T, 3) float32
    camera: int = 0
    """What the camera's noise is drawn from, with the name."""

    def facts(self) -> EpisodeFacts:
        """Return what ``ingest`` would say of it."""
        rng = np.random.default_rng(int(digest_of(self.name, 8), 16) + self.camera)
        measures = FrameMeasures(len(self.frames))
        for index, frame in enumerate(self.frames):
            measures.add(index, noisy(frame, rng))
        pressed = ["start_action" if action.any() else "stop_action" for action in self.actions]
        return facts_of(
            self.name,
            len(self.frames),
            actions=self.actions.tolist(),
            event_types=["episode_start", *pressed[1:]],
            image_statistics=measures.result([]),
        )


@cache
def _noise() -> np.ndarray:
    """Return one field of noise, a shifted part of which is a frame's: drawing it takes long."""
    return np.random.default_rng(0).normal(0, NOISE, (400, 400, 3)).astype(np.float32)


def noisy(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a frame with a camera's noise."""
    top, left = rng.integers(400 - FRAME_SIZE, size=2)
    noise = _noise()[top : top + FRAME_SIZE, left : left + FRAME_SIZE]
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


def view(scene: Scene, pose: Pose, light: float = 1.0) -> np.ndarray:
    """Return the frame that the camera gives in some light, (224, 224, 3) uint8."""
    frame = to_frame(render(scene, pose), Images().settled())
    return np.clip(np.rint(frame * np.float32(light)), 0, 255).astype(np.uint8)


def demonstrations(seed: int, count: int) -> list[Demonstration]:
    """Return the first episodes of a simulated dataset, each until shortly after its arrival."""
    return [demonstration(seed, index) for index in range(count)]


def demonstration(seed: int, index: int, beside: float = 0.0) -> Demonstration:
    """Return an episode of a simulated dataset; ``beside`` moves its way to the left, in metres."""
    world = World(seed=seed, variation=2)
    listed = simulated_episodes(Simulation(scenes=index // 2 + 1, world=world))
    name, settings = list(listed.items())[index]
    driven = drive(settings)
    arrival = driven.arrival if driven.arrival is not None else world.frames
    tail = int(np.random.default_rng([seed, index]).integers(TAIL))
    length = min(arrival + 2 + tail, world.frames)
    light = float(np.random.default_rng([seed, index // 2]).uniform(1 - LIGHT, 1 + LIGHT))
    seen = [
        view(driven.scene, Pose(pose.x, pose.y + beside), light) for pose in driven.poses[:length]
    ]
    return Demonstration(name, np.stack(seen), driven.actions[:length])


def joystick(actions: np.ndarray, rng: np.random.Generator, tremor: float = 0.02) -> np.ndarray:
    """Return commands as of a joystick at five times the rate, (5 T, 3), with a tremor (std)."""
    window = np.hanning(13)[1:-1]
    slow = np.repeat(actions, 5, axis=0)
    smooth = [
        np.convolve(np.pad(values, 5, mode="edge"), window / window.sum(), "valid")
        for values in slow.T
    ]
    commands = np.stack(smooth, axis=1)
    moving = np.abs(commands) > 0.01
    return commands + moving * rng.normal(0, tremor, commands.shape)


Plant = Callable[[Demonstration, np.random.Generator], Demonstration]


def pause(length: int) -> Plant:
    """Let the driver wait for some frames, and the recording end as much earlier."""

    def plant(drive: Demonstration, rng: np.random.Generator) -> Demonstration:
        at, frames = int(rng.integers(3, 8)), len(drive.actions)
        rows = [*range(at), *[at] * length, *range(at, frames)][:frames]
        actions = drive.actions[rows]
        actions[at : at + length] = 0
        return replace(drive, frames=drive.frames[rows], actions=actions)

    return plant


def dither(times: int) -> Plant:
    """Press left and right in turns."""

    def plant(drive: Demonstration, rng: np.random.Generator) -> Demonstration:
        at, actions = int(rng.integers(2, 8)), drive.actions.copy()
        actions[at : at + times, 1] = SPEED * (-1.0) ** np.arange(times)
        return replace(drive, actions=actions)

    return plant


def cut(length: int) -> Plant:
    """Lose what comes after so many frames."""
    return lambda drive, rng: replace(
        drive, frames=drive.frames[:length], actions=drive.actions[:length]
    )


def blur(radius: float, count: int | None = None) -> Plant:
    """Put the lens out of focus: the standard deviation in pixels of a frame, 5.7 of 1280 each.

    All frames, or so many neighbours.
    """

    def plant(drive: Demonstration, rng: np.random.Generator) -> Demonstration:
        frames = drive.frames.copy()
        first = 0 if count is None else int(rng.integers(2, len(frames) - count - 2))
        for index in range(len(frames))[first : None if count is None else first + count]:
            picture = Image.fromarray(frames[index]).filter(ImageFilter.GaussianBlur(radius))
            frames[index] = np.asarray(picture)
        return replace(drive, frames=frames)

    return plant


def expose(factor: float) -> Plant:
    """Multiply the light; what is beyond 255 is clipped."""

    def plant(drive: Demonstration, rng: np.random.Generator) -> Demonstration:
        light = np.rint(drive.frames.astype(np.float32) * factor)
        return replace(drive, frames=np.clip(light, 0, 255).astype(np.uint8))

    return plant


def compress(quality: int) -> Plant:
    """Store a drive once more, under a name of its own, as JPEG files."""

    def plant(drive: Demonstration, rng: np.random.Generator) -> Demonstration:
        frames = []
        for frame in drive.frames:
            file = io.BytesIO()
            Image.fromarray(frame).save(file, "JPEG", quality=quality)
            frames.append(np.asarray(Image.open(file)))
        name = drive.name.replace("_2025", "_2026", 1)
        return replace(drive, name=name, frames=np.stack(frames), camera=1)

    return plant


def shift(frames: int) -> Plant:
    """Store each command with the picture of so many frames later; negative: of earlier ones."""

    def plant(drive: Demonstration, rng: np.random.Generator) -> Demonstration:
        if frames > 0:
            return replace(drive, frames=drive.frames[frames:], actions=drive.actions[:-frames])
        return replace(drive, frames=drive.frames[:frames], actions=drive.actions[-frames:])

    return plant


def upside_down(drive: Demonstration, rng: np.random.Generator) -> Demonstration:
    """Mount the camera upside down."""
    return replace(drive, frames=drive.frames[:, ::-1, ::-1])


def elsewhere(drive: Demonstration, rng: np.random.Generator) -> Demonstration:
    """Show other surroundings: smooth random patterns that move slowly."""
    pattern = rng.integers(0, 256, size=(10, 30, 3)).astype(np.uint8)
    wide = np.asarray(Image.fromarray(pattern).resize((400, FRAME_SIZE), Image.Resampling.BICUBIC))
    shown = [wide[:, 4 * index : 4 * index + FRAME_SIZE] for index in range(len(drive.frames))]
    return replace(drive, frames=np.stack(shown))
