"""A server of the protocol without PyTorch and without this project: its policy is some numpy.

    python tests/support/numpy_server.py [SECONDS A STEP]

It needs Python 3.8, numpy and Pillow, prints its port, and serves until it is told to end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

from mobile_vla.serving.access import Access
from mobile_vla.serving.application import Limits, Server
from mobile_vla.serving.guard import Guard
from mobile_vla.serving.listening import open_listener, until_signal
from mobile_vla.serving.pictures import Unusable

PROMPTS = ("pass on the left", "pass on the right")
WINDOW = 3


class NumpyPolicy:
    """Its actions are means of the last pictures' colours, and depend on the prompt."""

    def __init__(self, seconds: float = 0.0):
        self.seconds = seconds
        self.dimensions = ["linear_x", "angular_z"]
        self.ahead = [0, 1]
        self.facts = {"prompts": list(PROMPTS)}
        self.guard = Guard(*np.float32([[-1, -1], [1, 1], [2, 2]]), "clamp", "clamp")

    def begin(self, instruction):
        """Return the prompt, and what is to be kept: the pictures so far."""
        if instruction not in PROMPTS:
            raise Unusable("the policy knows two prompts: " + " and ".join(PROMPTS))
        return instruction, [PROMPTS.index(instruction)]

    def frame(self, image, color):
        """Make a frame as the project does."""
        picture = Image.fromarray(np.ascontiguousarray(image)).resize((224, 224), Image.BICUBIC)
        frame = np.asarray(picture)
        return frame[..., ::-1] if color == "bgr" else frame

    def step(self, state, frame):
        """Return (2, 2) float32."""
        time.sleep(self.seconds)
        state.append(frame.mean(axis=(0, 1)))
        means = np.mean(state[1:][-WINDOW:], axis=0) / 255  # (3,)
        sign = -1 if state[0] else 1
        return np.float32([[means[0], sign * means[1]], [means[2], 0.0]])


def main(seconds: float) -> None:
    """Serve on a free port."""
    policy = NumpyPolicy(seconds)
    server = Server(policy, Limits(sessions=8, max_body_mb=0.4))
    with open_listener("127.0.0.1", 0) as listener:
        print(listener.getsockname()[1], flush=True)
        asyncio.run(until_signal(server.http(Access(None, "127.0.0.1")), listener))
    assert "torch" not in sys.modules and "mobile_vla.errors" not in sys.modules
    print("ended", flush=True)
    os._exit(0)  # a step may be under way


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0)
