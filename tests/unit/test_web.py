"""The HTTP server's limits: of time, bytes and connections, and its end."""

import asyncio
import contextlib
import json
import socket
import threading
import time

import pytest

from mobile_vla.serving import web
from mobile_vla.serving.access import Access
from mobile_vla.serving.web import HttpServer
from support.policy_server import Client

MOST = 10_000
HEAD = b"POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


class Application:
    """Answers with the number of bytes; ``/wait`` when it is let go."""

    def __init__(self):
        self.waiting = 0

    def admit(self, request):
        return MOST

    async def answer(self, request):
        if request.path == "/wait":
            self.waiting += 1
            await asyncio.sleep(60)
        if request.path == "/large":
            return {"large": "x" * 1_000_000}
        return {"bytes": len(request.body)}


@contextlib.contextmanager
def running():
    listener = socket.create_server(("127.0.0.1", 0))
    application = Application()
    http = HttpServer(application.admit, application.answer, Access(None, "127.0.0.1").check, MOST)
    thread = threading.Thread(target=asyncio.run, args=(http.run(listener),))
    thread.start()
    while not http.started:
        time.sleep(0.001)
    try:
        yield listener.getsockname()[1], http, application
    finally:
        http.end()
        thread.join()


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def answered(line):
    """Read until the connection's end: status and JSON."""
    data = b""
    while part := line.recv(65536):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.fixture
def hasty(monkeypatch):
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "KEPT_SECONDS"):
        monkeypatch.setattr(web, name, 0.05)


def test_a_head_has_its_time(hasty):
    with running() as (port, http, _):
        with connected(port) as line:
            line.sendall(HEAD[:-3])
            status, answer = answered(line)
        assert (status, answer["error"]) == (408, "too_slow")
        with connected(port) as silent:
            assert silent.recv(1) == b""
        while http.connections:
            time.sleep(0.001)


def test_a_head_in_drops_has_no_more_time(hasty):
    with running() as (port, _, _), connected(port) as line:
        try:
            for byte in HEAD:
                line.sendall(bytes([byte]))
                time.sleep(0.01)
            raise AssertionError("the whole head was taken in")
        except OSError:
            pass  # closed on the way


def test_a_body_has_its_time(hasty):
    with running() as (port, _, _), connected(port) as line:
        line.sendall(HEAD + b"x" * 999)
        status, answer = answered(line)
    assert (status, answer["error"]) == (408, "too_slow")


def test_a_kept_connection_has_its_time(hasty):
    with running() as (port, _, _):
        client = Client(port)
        assert client.ask("POST", "/", b"abc") == (200, {"bytes": 3})
        assert client.connection.sock.recv(1) == b""


def test_requests_follow_each_other_on_a_connection():
    with running() as (port, http, _):
        client = Client(port)
        for size in (0, 1, MOST):
            assert client.ask("POST", "/", bytes(size)) == (200, {"bytes": size})
        assert len(http.connections) == 1
        with connected(port) as line:  # both at once
            one = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
            line.sendall(one + b"\r\nx" + one + b"Connection: close\r\n\r\nx")
            data = b""
            while part := line.recv(65536):
                data += part
        assert data.count(b'{"bytes": 1}') == 2


def test_of_too_many_connections_the_oldest_that_did_nothing_goes(monkeypatch):
    monkeypatch.setattr(web, "CONNECTIONS", 4)
    with running() as (port, http, application):
        robot = Client(port)
        assert robot.ask("POST", "/", b"")[0] == 200
        asking = connected(port)
        asking.sendall(HEAD + bytes(1000))
        while not application.waiting:
            time.sleep(0.001)
        lines = [connected(port) for _ in range(10)]
        for line in lines[:-2]:
            line.sendall(b"POST")
            line.settimeout(20)
        for line in lines[:8]:  # the last two are among the four
            with pytest.raises(ConnectionError):
                while True:
                    line.sendall(b" ")
                    if line.recv(1) == b"":
                        raise ConnectionError
        while len(http.connections) > 4:
            time.sleep(0.001)
        kept = robot.connection.sock
        assert robot.ask("POST", "/", b"")[0] == 200 and robot.connection.sock is kept
        for line in (*lines, asking):
            line.close()


def test_bodies_that_do_not_end_are_dropped_for_those_that_do(monkeypatch):
    monkeypatch.setattr(web, "HELD_BODIES", 2)
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MOST}\r\n\r\n".encode()
    with running() as (port, http, _):
        lines = []
        for _ in range(6):
            line = connected(port)
            line.sendall(head + bytes(MOST - 1))
            lines.append(line)
            time.sleep(0.01)
        client = Client(port)
        assert client.ask("POST", "/", bytes(MOST)) == (200, {"bytes": MOST})
        assert sum(len(one.body) for one in http.connections) <= 2 * MOST
        for line in lines:
            line.close()


def test_an_ending_server_says_so_to_who_waits():
    with running() as (port, http, application):
        waiting, idle, half = connected(port), connected(port), connected(port)
        waiting.sendall(HEAD + bytes(1000))
        half.sendall(HEAD[:-3])
        while not application.waiting:
            time.sleep(0.001)
        begun = time.monotonic()
        http.end()
        assert answered(waiting)[0] == 503
        for line in (idle, half):
            with contextlib.suppress(ConnectionError):
                assert line.recv(1) == b""
        assert time.monotonic() - begun < 20
        for line in (waiting, idle, half):
            line.close()


def test_a_client_that_takes_no_answers_is_dropped(monkeypatch):
    monkeypatch.setattr(web, "SENDING_SECONDS", 0.1)
    with running() as (port, http, _), connected(port) as line:
        line.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        while not http.connections:
            time.sleep(0.001)
        while http.connections:
            time.sleep(0.001)
