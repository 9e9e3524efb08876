"""The protocol spoken by a server without PyTorch: the same tests, in a process of its own.

With ``MOBILE_VLA_OLD_PYTHON`` it is that interpreter, such as a Python 3.8 with numpy and Pillow.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from support.numpy_server import PROMPTS, NumpyPolicy
from support.policy_server import Client, png
from support.project import ROOT
from support.protocol import Protocol, Served, frames

PYTHON = os.environ.get("MOBILE_VLA_OLD_PYTHON", sys.executable)


@contextmanager
def running(*arguments):
    process = subprocess.Popen(
        [PYTHON, "tests/support/numpy_server.py", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def predict(seen, prompt):
    policy = NumpyPolicy()
    _, state = policy.begin(prompt)
    return np.stack([policy.step(state, frame) for frame in seen])


@pytest.fixture(scope="module")
def port():
    with running() as (_, port):
        yield port


class TestProtocol(Protocol):
    @pytest.fixture
    def served(self, port):
        policy = NumpyPolicy()
        return Served(port, PROMPTS, policy.dimensions, policy.ahead, predict, tolerance=1e-6)


def test_a_server_that_is_told_to_end_does_so_within_a_second_even_in_a_step():
    with running("20") as (process, port):
        client, answers = Client(port), []
        assert client.reset("robot", PROMPTS[0])[0] == 200
        step = threading.Thread(
            target=lambda: answers.append(client.step("robot", 0, png(frames(1)[0])))
        )
        step.start()
        other = Client(port)
        while other.reset("robot", PROMPTS[0])[1]["error"] != "busy":
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        process.wait(timeout=15)
        taken = time.monotonic() - begun
        step.join()
        assert process.stdout.read() == "ended\n"
    (status, answer) = answers[0]
    assert (status, answer["error"]) == (503, "ending")
    assert taken < 10  # a second where nothing else runs; the step would take twenty
