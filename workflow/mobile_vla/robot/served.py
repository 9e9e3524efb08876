"""A loaded policy as the server asks it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.errors import UserError
from mobile_vla.model.result import StoredGuard
from mobile_vla.model.streaming import Stream
from mobile_vla.robot.images import Color, frame_of
from mobile_vla.robot.policy import RobotPolicy, predict_drive
from mobile_vla.serving.guard import Guard
from mobile_vla.serving.pictures import Unusable


def guard_of(stored: StoredGuard, dimensions: list[str]) -> Guard:
    """Return the guard of a policy's folder, for its dimensions in their order."""
    lowest, highest, change = (
        np.array([values[name] for name in dimensions], dtype=np.float32)
        for values in (stored.lowest, stored.highest, stored.change)
    )
    return Guard(lowest, highest, change, stored.beyond, stored.jump)


class TorchPolicy:
    """A :class:`~mobile_vla.serving.application.ServedPolicy` of PyTorch."""

    def __init__(self, loaded: RobotPolicy):
        self.loaded = loaded
        described = loaded.described
        self.dimensions: list[str] = list(loaded.policy.settings.actions.dimensions)
        self.ahead = loaded.ahead
        self.guard = guard_of(described.guard, self.dimensions)
        self.facts: dict[str, Any] = {
            "policy": described.model_dump(include={"experiment", "run", "epoch"}),
            "backbone": described.backbone.name,
            "precision": loaded.precision,
            "window": described.settings.window,
            "prompts": list(loaded.prompts.trained),
        }

    @property
    def recorded(self) -> dict[str, Any]:
        """What is kept with a recorded drive."""
        described = self.loaded.described
        name = f"{described.experiment} {described.run}, epoch {described.epoch}"
        return {"policy": name, "dimensions": self.dimensions, "ahead": self.ahead}

    def warm_up(self) -> None:
        """Predict once, so that the first robot waits no longer than the others."""
        predict_drive(self.loaded, np.zeros((2, *FRAME_SHAPE), dtype=np.uint8), 0)

    def begin(self, instruction: str | None) -> tuple[str, Stream]:
        """Return the prompt of an instruction, and the stream of a new drive."""
        try:
            prompt = self.loaded.prompts.index(instruction)
        except UserError as error:
            raise Unusable(str(error)) from None
        policy = self.loaded.policy
        return policy.texts[prompt], Stream(policy, [prompt], self.loaded.precision)

    def frame(self, image: np.ndarray, color: str) -> np.ndarray:
        """Make a frame as in training."""
        return frame_of(image, self.loaded.images, cast(Color, color))

    def step(self, state: Stream, frame: np.ndarray) -> np.ndarray:
        """Return the chunk (C, A)."""
        chunk: np.ndarray = state.step(frame[None])[0]
        return chunk
