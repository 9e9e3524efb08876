"""The protocol of docs/robot.md as tests of a server's address, for every server that speaks it.

A test file derives a class of :class:`Protocol`, with a fixture ``served`` that returns where its
server listens and what it must answer. The server has at least 4 sessions, or none is driving when
a test begins, and bodies of at most :data:`MAX_BODY` bytes.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from mobile_vla.serving.pictures import decode
from support.malformed import DRIVE, MALFORMED, RAW
from support.policy_server import Client, encoded, png
from support.ros import STOP, Robot

MAX_BODY = 400_000


@dataclass(frozen=True)
class Served:
    """A server, and the policy that it serves."""

    port: int
    prompts: tuple[str, str]
    dimensions: list[str]
    ahead: list[int]
    predict: Callable[[np.ndarray, str], np.ndarray]
    """(T, 224, 224, 3) uint8 and a prompt to the chunks (T, C, A) that it must answer, within the
    limits of its guard."""
    tolerance: float = 0.0
    """How far an answer may be from it."""

    def check(self, answers: np.ndarray, seen: np.ndarray, prompt: str) -> None:
        """Check the answers to the last frames of those seen."""
        expected = self.predict(seen, prompt)[len(seen) - len(answers) :]
        np.testing.assert_allclose(answers, expected, rtol=0, atol=self.tolerance)


def frames(count: int, seed: int = 0) -> np.ndarray:
    """Return frames (T, 224, 224, 3) uint8 of noise."""
    return np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def drive(client: Client, session: str, seen: np.ndarray, first: int = 0) -> np.ndarray:
    """Send frames, and return the answered chunks (T, C, A)."""
    answers = [client.step(session, first + step, png(one)) for step, one in enumerate(seen)]
    assert [status for status, _ in answers] == [200] * len(seen), answers
    assert [answer["stopped"] for _, answer in answers] == [None] * len(seen)
    return np.array([answer["actions"] for _, answer in answers], dtype=np.float32)


DRIVES: dict[int, dict[str, str]] = {}
"""By port the drives of the tests' robots: a test resets those of the one before."""


class Protocol:
    """Each test has a connection of its own, and drives ``robot`` or ``other``."""

    @pytest.fixture
    def client(self, served: Served) -> Client:
        """A connection of its own."""
        client = Client(served.port)
        client.drives = DRIVES.setdefault(served.port, {})
        return client

    @pytest.fixture
    def left(self, served: Served) -> str:
        """One of two prompts."""
        return served.prompts[0]

    @pytest.fixture
    def right(self, served: Served) -> str:
        """The other one."""
        return served.prompts[1]

    def test_the_answers_are_the_policys(self, served, client, left, right):
        seen = frames(4)
        status, begun = client.reset("robot", right)
        assert status == 200
        assert len(begun.pop("drive")) == 32
        assert begun == {
            "session": "robot",
            "prompt": right,
            "step": 0,
            "dimensions": served.dimensions,
            "unit": "raw command units",
            "ahead": served.ahead,
        }
        served.check(drive(client, "robot", seen), seen, right)
        # a reset forgets the drive
        client.reset("robot", left)
        served.check(drive(client, "robot", seen), seen, left)

    def test_the_node_of_the_docs_drives_by_its_answers(self, served, left):
        seen, robot = frames(3), Robot()

        def script(robot: Robot) -> None:
            for frame in seen:
                robot.picture(encoded(frame, "JPEG"))
                robot.tick()

        server = ("127.0.0.1", served.port)
        constants = {"PERIOD": 10.0, "OLDEST": 1.0, "SESSION": "node"}
        assert robot.run(server, left, script, **constants) is None, robot.logged
        decoded = np.stack([decode(encoded(frame, "JPEG")) for frame in seen])
        due = served.predict(decoded, left)[:, 0]  # (T, A)
        commands = [dict(zip(served.dimensions, action, strict=True)) for action in due.tolist()]
        metres = [
            tuple(
                factor * command.get(name, 0.0)
                for name, factor in (("linear_x", 0.2), ("linear_y", 0.2), ("angular_z", 1.0))
            )
            for command in commands
        ]
        # with `target: next` each when the next picture is taken, and again with its answer
        first = [STOP, *metres[:2]] if served.ahead[0] else metres
        times = 2 if served.ahead[0] else 1
        expected = np.repeat(first, times, axis=0)
        np.testing.assert_allclose(robot.published[1:-1], expected, atol=served.tolerance + 1e-7)

    def test_health_says_what_is_served(self, served, client):
        status, found = client.ask("GET", "/health")
        assert status == 200 and found["status"] == "ok"
        assert found["prompts"] == list(served.prompts)
        assert found["dimensions"] == served.dimensions and found["ahead"] == served.ahead
        assert found["sessions"] >= 0
        assert {"lowest", "highest", "change", "beyond", "jump"} <= found["guard"].keys()
        assert found["guard"]["answers"] >= found["guard"]["clamped"] >= 0

    def test_robots_side_by_side_each_have_their_own_drive(self, served, client, left, right):
        one, two = frames(4), frames(4, seed=1)
        client.reset("robot", left)
        client.reset("other", right)
        found: dict[str, list[np.ndarray]] = {"robot": [], "other": []}
        for step in range(4):
            for name, seen in (("robot", one), ("other", two)):
                found[name].append(drive(client, name, seen[step : step + 1], step)[0])
        served.check(np.stack(found["robot"]), one, left)
        served.check(np.stack(found["other"]), two, right)

    def test_two_robots_of_one_name_do_not_mix(self, served, client, left, right):
        seen, other = frames(2), Client(served.port)
        client.reset("robot", left)
        first = drive(client, "robot", seen[:1])
        status, answer = other.reset("robot", right)
        assert (status, answer["error"]) == (409, "alive") and answer["seconds"] == 10.0
        status, answer = other.reset("robot", right, drive=DRIVE)
        assert (status, answer["error"]) == (409, "alive")
        rest = drive(client, "robot", seen[1:], first=1)
        served.check(np.concatenate([first, rest]), seen, left)
        # who knows the drive begins anew, and the old id is worth nothing
        old = client.drives["robot"]
        assert client.reset("robot", right)[0] == 200
        assert client.drives["robot"] != old
        status, answer = client.ask("POST", f"/step?drive={old}&step=2", b"", "image/png")
        assert (status, answer["error"]) == (404, "no_drive")

    def test_a_lost_answer_can_be_had_again(self, served, client, left):
        seen = frames(3)
        client.reset("robot", left)
        answers = []
        for step, frame in enumerate(seen):
            again = [client.step("robot", step, png(frame)) for _ in range(3)]
            assert [status for status, _ in again] == [200] * 3
            answers.append(again[0][1]["actions"])
            assert all(answer["actions"] == answers[-1] for _, answer in again)
            assert all(answer["step"] == step for _, answer in again)
        served.check(np.float32(answers), seen, left)
        # the same number with another picture, or sent otherwise, is another step
        status, answer = client.step("robot", 2, png(seen[0]))
        assert (status, answer["error"], answer["expected"]) == (409, "out_of_order", 3)
        status, answer = client.step("robot", 2, png(seen[2]), "image/jpeg")
        assert (status, answer["error"]) == (409, "out_of_order")

    def test_an_answer_says_how_old_the_picture_is_and_how_long_it_is_good(
        self, served, client, left
    ):
        period = 40.0
        client.reset("robot", left, period=period)
        _, answer = client.step("robot", 0, png(frames(1)[0]), age=3)
        assert answer["stopped"] is None
        assert 3.0 < answer["picture_age"] < 30 and 0 < answer["seconds"] < 20
        assert answer["picture_age"] == pytest.approx(3.0 + answer["seconds"], abs=1e-3)
        good = (served.ahead[0] + 1) * period
        left_over = good - answer["picture_age"]
        assert answer["usable_seconds"] == pytest.approx(left_over, abs=1e-3)

    def test_a_step_after_its_deadline_answers_the_stop_and_says_so(self, served, client, left):
        seen, period = frames(2), 20.0
        good = (served.ahead[0] + 1) * period
        client.reset("robot", left, period=period)
        status, answer = client.step("robot", 0, png(seen[0]), age=good + 1)
        assert (status, answer["stopped"], answer["usable_seconds"]) == (200, "late", 0.0)
        assert not np.any(answer["actions"])
        # the policy has seen it all the same
        status, answer = client.step("robot", 1, png(seen[1]))
        assert answer["stopped"] is None
        served.check(np.float32([answer["actions"]]), seen, left)
        # and an answer that is asked for again too late is the stop, too
        _, answer = client.step("robot", 1, png(seen[1]), age=good + 1)
        assert answer["stopped"] == "late" and not np.any(answer["actions"])

    def test_a_raw_picture_and_a_png_are_the_same(self, served, client, left):
        image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
        client.reset("robot", left)
        answers = [client.step("robot", 0, png(image))[1]["actions"]]
        for color, stored in (("rgb", image), ("bgr", image[..., ::-1])):
            client.reset("robot", left)
            size = {"width": 160, "height": 90, "color": color}
            status, answer = client.step("robot", 0, stored.tobytes(), RAW, **size)
            assert status == 200, answer
            answers.append(answer["actions"])
        assert answers[0] == answers[1] == answers[2]
        client.reset("robot", left)
        assert client.step("robot", 0, encoded(image, "JPEG", quality=95), "image/jpeg")[0] == 200

    @pytest.mark.parametrize("case", MALFORMED)
    def test_a_malformed_request_is_named_and_harms_no_drive(self, served, client, left, case):
        path, body, kind, status, code = MALFORMED[case]
        seen = frames(3)
        client.reset("robot", left)
        first = drive(client, "robot", seen[:1])
        path = path.replace("DRIVE", client.drives["robot"])
        found, answer = client.ask("POST", path, body, kind)
        assert (found, answer["error"]) == (status, code), answer
        assert len(answer["message"]) > 20
        if code == "out_of_order":
            assert answer["expected"] == 1
        rest = drive(client, "robot", seen[1:], first=1)
        served.check(np.concatenate([first, rest]), seen, left)

    def test_a_damaged_picture_can_be_sent_again_under_its_number(self, served, client, left):
        seen = frames(1)
        whole = encoded(seen[0], "JPEG", quality=90)
        gap = bytearray(whole)
        del gap[len(gap) // 2 : len(gap) // 2 + 100]
        client.reset("robot", left)
        for data in (whole[:-100], bytes(gap), encoded(seen[0], "JPEG", progressive=True)):
            status, answer = client.step("robot", 0, data, "image/jpeg")
            assert (status, answer["error"]) == (422, "unusable"), answer
        status, answer = client.step("robot", 0, whole, "image/jpeg")
        assert status == 200
        served.check(np.float32([answer["actions"]]), decode(whole)[None], left)

    def test_a_picture_that_would_fill_the_memory_is_refused_unseen(self, client, left):
        bomb = encoded(np.zeros((5000, 5000, 3), dtype=np.uint8), "PNG")
        assert len(bomb) < MAX_BODY
        client.reset("robot", left)
        status, answer = client.step("robot", 0, bomb)
        assert status == 422 and "5000×5000 pixels" in answer["message"]

    def test_an_oversized_body_is_refused_in_words(self, client, left):
        client.reset("robot", left)
        status, answer = client.step("robot", 0, bytes(20 * MAX_BODY))
        assert (status, answer["error"], answer["limit"]) == (413, "too_large", MAX_BODY)
        # a generator has no length: it is sent in chunks
        body = (bytes(50_000) for _ in range(20 * MAX_BODY // 50_000))
        status, answer = client.step("robot", 0, body)
        assert (status, answer["error"]) == (411, "no_length")
        assert client.step("robot", 0, png(frames(1)[0]))[0] == 200

    def test_an_answer_before_the_body_arrives_even_where_the_connection_is_closed(self, client):
        status, answer = client.ask("POST", "/drive", bytes(30_000_000), Connection="close")
        assert (status, answer["error"]) == (404, "no_such_request")

    def test_what_is_no_http_is_answered_and_forgotten(self, served, client):
        for garbage in (
            b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
            b"POST /step\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            b"GET /health HTTP/1.1\r\n folded: header\r\n\r\n",
            b"GET /health HTTP/1.1\r\nno header\r\n\r\n",
        ):
            with opened(served.port) as line:
                line.sendall(garbage)
                assert b"400" in line.recv(1000)
        with opened(served.port) as line:
            line.sendall(b"POST /reset HTTP/1.1\r\nHost: localhost\r\n")
            line.sendall(b"Content-Length: 100\r\n\r\nonly this")
        assert client.ask("GET", "/health")[0] == 200

    def test_a_head_is_bounded(self, served, client):
        with opened(served.port) as line:
            line.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
            assert b"431" in line.recv(1000)
        assert client.ask("GET", "/health")[0] == 200

    def test_web_pages_are_not_answered(self, client):
        status, answer = client.ask("POST", "/reset", b"{}", Origin="http://127.0.0.1:8765")
        assert (status, answer["error"]) == (403, "browser")

    @pytest.mark.parametrize("place", ["/health", "/reset"])
    def test_a_name_that_is_not_this_machines_is_not_answered(self, client, place):
        """A page on a name that leads here would read what stands there."""
        method = "GET" if place == "/health" else "POST"
        for host in ("evil.example", "evil.example:8765", "localhost.evil.example", "127.0.0.1.ev"):
            status, answer = client.ask(method, place, b"", Host=host)
            assert (status, answer["error"]) == (403, "other_host")
        for host in ("localhost", "localhost:1", "127.0.0.1:8765", "[::1]:8765", "192.168.1.7"):
            assert client.ask("GET", "/health", Host=host)[0] == 200
        with opened(client.port) as line:
            line.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            assert b"403" in line.recv(1000)

    def test_a_client_may_ask_before_it_sends(self, served, client, left):
        head = "POST /reset HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        client.reset("robot", left)
        asked = {"session": "robot", "period": 1, "drive": client.drives["robot"]}
        body = json.dumps({**asked, "instruction": left}).encode()
        with opened(served.port) as line:
            line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
            assert line.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            line.sendall(body)
            answer = line.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        client.drives["robot"] = json.loads(answer.partition(b"\r\n\r\n")[2])["drive"]

    def test_half_sent_heads_and_slow_bodies_hold_nobody_up(self, served, client, left):
        seen = frames(4)
        client.reset("robot", left)
        begun = time.monotonic()
        drive(client, "robot", seen[:2])
        alone = time.monotonic() - begun
        client.reset("other", left)
        victim = Client(served.port)
        head = "POST /step?drive={}&step=0 HTTP/1.1\r\nHost: localhost\r\n"
        rest = f"Content-Type: image/png\r\nContent-Length: {MAX_BODY}\r\n\r\n"
        with many(served.port, 60) as heads, many(served.port, 32) as bodies:
            for line in heads:
                line.sendall(b"POST /step?drive=")
            for line in bodies:
                line.sendall((head.format(client.drives["other"]) + rest).encode() + bytes(1000))
            time.sleep(0.05)
            victim.drives = client.drives
            begun = time.monotonic()
            drive(victim, "robot", seen[2:], first=2)
            taken = time.monotonic() - begun
            # the drive whose bodies they are goes on, too
            assert victim.step("other", 0, png(seen[0]))[0] == 200
        # a body may take 10 s
        assert taken < 5 * alone + 1.0

    def test_four_times_at_once_is_a_step_once(self, served, client, left):
        seen = frames(2)
        client.reset("robot", left)
        answers: list[tuple[int, dict]] = []

        def send() -> None:
            other = Client(served.port)
            other.drives = dict(client.drives)
            answers.append(other.step("robot", 0, png(seen[0])))

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        good = [answer["actions"] for status, answer in answers if status == 200]
        assert good and all(one == good[0] for one in good)
        assert {answer["error"] for status, answer in answers if status != 200} <= {"busy"}
        served.check(
            np.stack([np.float32(good[0]), *drive(client, "robot", seen[1:], 1)]), seen, left
        )


@contextmanager
def opened(port: int) -> Iterator[socket.socket]:
    """Open a plain connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        yield line


@contextmanager
def many(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open many connections."""
    lines: list[socket.socket] = []
    try:
        for _ in range(count):
            lines.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        yield lines
    finally:
        for line in lines:
            line.close()
