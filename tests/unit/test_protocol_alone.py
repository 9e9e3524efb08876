"""The protocol spoken by a server without PyTorch: the same tests, in a process of its own.

With ``MOBILE_VLA_OLD_PYTHON`` it is that interpreter, such as a Python 3.8 with numpy and Pillow.
"""

import os
import signal
import socket
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


def test_a_request_with_changed_bytes_is_never_a_fault(port):
    client, rng = Client(port), np.random.default_rng(0)
    picture = png(np.zeros((9, 9, 3), dtype=np.uint8))
    head = (
        "POST /step?drive={}&step=0&age=0.1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n"
    )
    whole = head.format("0" * 32, len(picture)).encode() + b"\r\n" + picture
    begun = b'{"session": "changed", "instruction": "pass on the left", "period": 1}'
    reset = f"POST /reset HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(begun)}\r\n\r\n"
    for number in range(300):
        data = bytearray((whole, reset.encode() + begun)[number % 2])
        for place in rng.integers(0, 150, int(rng.integers(1, 4))).tolist():
            data[place : place + int(rng.integers(0, 3))] = rng.bytes(int(rng.integers(0, 4)))
        with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
            line.sendall(bytes(data))
            line.shutdown(socket.SHUT_WR)
            assert line.recv(100)[9:10] in (b"", b"2", b"4")
    assert client.ask("GET", "/health")[0] == 200
