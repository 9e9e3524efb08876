"""A client that sends what is dear to take in, as fast as it can, in a drive of its own.

    python tests/support/hostile.py PORT ATTACK PROMPT

It runs until it is ended, with low priority: on a robot it would be another machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "workflow")]

from support.policy_server import Client, encoded  # noqa: E402

Bodies = list[tuple[bytes, str]]
LARGE = (4000, 4000, 3)


def many_scans() -> Bodies:
    """Return a progressive JPEG of 2 MB with a scan for every few bytes."""
    data = encoded(np.full(LARGE, 50, dtype=np.uint8), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return [(data[:-2] + last * (2_000_000 // len(last)) + b"\xff\xd9", "image/jpeg")]


def many_segments() -> Bodies:
    """Return a JPEG of two million empty comments."""
    data = encoded(np.zeros((16, 16, 3), dtype=np.uint8), "JPEG")
    return [(data[:2] + b"\xff\xfe\x00\x02" * 1_900_000 + data[2:], "image/jpeg")]


def large_pictures() -> Bodies:
    """Return pictures of 16 megapixels."""
    image = np.zeros(LARGE, dtype=np.uint8)
    return [(encoded(image, "JPEG"), "image/jpeg"), (encoded(image, "PNG"), "image/png")]


def large_bodies() -> Bodies:
    """Return 8 MB that are no picture."""
    return [(bytes(7_900_000), "image/jpeg")]


ATTACKS: dict[str, Callable[[], Bodies]] = {
    "scans": many_scans,
    "segments": many_segments,
    "pictures": large_pictures,
    "bodies": large_bodies,
}


def main(port: int, attack: str, prompt: str) -> None:
    """Attack a server, and say so when it has begun."""
    os.nice(15)
    bodies, client, step, sent = ATTACKS[attack](), Client(port), 0, 0
    while client.reset(attack, prompt)[0] != 200:
        time.sleep(0.1)
    while True:
        for body, kind in bodies:
            status, _ = client.step(attack, step, body, kind)
            step += status == 200
            sent += 1
        print(sent, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
