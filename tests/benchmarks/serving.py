"""What serving adds to a control step: the policy's own step against a request's whole way.

    python tests/benchmarks/serving.py [STEPS]

The demo's policy, served by a process of its own; one robot on a kept connection. A step by itself
and a request of each kind are measured in turn, so that both see the same load of the machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "workflow")]

from mobile_vla.model.streaming import Stream  # noqa: E402
from mobile_vla.robot.images import frame_of  # noqa: E402
from mobile_vla.robot.policy import load_robot_policy  # noqa: E402
from support.demo import demo_pictures, demo_policy  # noqa: E402
from support.policy_server import Client, encoded  # noqa: E402

WARM_UP = 20
ROUND = 20  # steps in turn


def kinds(image: np.ndarray, frame: np.ndarray) -> dict[str, tuple[bytes, dict[str, object]]]:
    """Return what a robot may send of a camera's picture, or of one that it made smaller."""
    found: dict[str, tuple[bytes, dict[str, object]]] = {}
    for picture in (image, frame):
        height, width = picture.shape[:2]
        size = f"{width}×{height}"
        raw = {"kind": "application/octet-stream", "width": width, "height": height, "color": "rgb"}
        jpeg = encoded(picture, "JPEG", quality=90)
        found[f"JPEG, {size}"] = jpeg, {"kind": "image/jpeg"}
        found[f"raw, {size}"] = picture.tobytes(), raw
    return found


def main(steps: int) -> None:
    """Print a table: medians and 95 % quantiles in milliseconds."""
    image = demo_pictures()[5]
    with tempfile.TemporaryDirectory() as folder:
        policy = demo_policy(Path(folder))
        loaded = load_robot_policy(policy)
        frame = frame_of(image, loaded.images)
        stream = Stream(loaded.policy, [0])
        process = subprocess.Popen(
            [sys.executable, "-m", "mobile_vla", "serve", str(policy), "--port", "0"],
            cwd=TESTS.parent / "workflow",
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            line = ""
            while (found := re.search(r"serving at http://127\.0\.0\.1:(\d+)", line)) is None:
                line = process.stderr.readline()
            client = Client(int(found[1]))
            own: list[float] = []
            asked: dict[str, list[float]] = {}
            sent = kinds(image, frame)
            for name in sent:
                client.reset(name.replace(", ", "-").replace("×", "x"), loaded.policy.texts[0])
            for first in range(0, WARM_UP + steps, ROUND):
                for _ in range(ROUND):
                    started = time.perf_counter()
                    stream.step(frame[None])
                    own.append(time.perf_counter() - started)
                for name, (body, how) in sent.items():
                    session = name.replace(", ", "-").replace("×", "x")
                    for step in range(first, first + ROUND):
                        started = time.perf_counter()
                        status, answer = client.step(session, step, body, **how)
                        asked.setdefault(name, []).append(time.perf_counter() - started)
                        assert status == 200, answer
        finally:
            process.terminate()
            process.wait()
    before = 1000 * np.quantile(own[WARM_UP:], [0.5, 0.95])
    print(f"policy.step alone: p50 {before[0]:.2f} ms, p95 {before[1]:.2f} ms ({steps} steps)")
    print("| picture | p50, ms | p95, ms | p95 less the policy's p95, ms |")
    print("| --- | --- | --- | --- |")
    for name, seconds in asked.items():
        after = 1000 * np.quantile(seconds[WARM_UP:], [0.5, 0.95])
        print(f"| {name} | {after[0]:.2f} | {after[1]:.2f} | {after[1] - before[1]:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
