"""The ROS 2 node of docs/robot.md: whatever goes wrong, its last command is the stop."""

import contextlib
import json
import socket
import threading
import time

import pytest

from support.ros import STOP, Robot

PERIOD = 0.25
DRIVE = "0123456789abcdef" * 2
BEGUN = {
    "session": "robot1",
    "drive": DRIVE,
    "prompt": "go",
    "step": 0,
    "dimensions": ["linear_x", "linear_y"],
    "unit": "raw command units",
    "ahead": [1],
}
ACTION = [1.0, 0.5]
MOVING = (0.2, 0.1, 0.0)


def answer(content, status="200 OK"):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def stepped(step, **changes):
    good = {"drive": DRIVE, "step": step, "actions": [ACTION], "stopped": None}
    return {"session": "robot1", **good, "usable_seconds": 2 * PERIOD, **changes}


def cut(line, whole):
    line.sendall(whole[:-10])


def drip(line, whole):
    for byte in whole:
        line.sendall(bytes([byte]))
        time.sleep(PERIOD / 5)


def hang(line, whole):
    line.settimeout(20 * PERIOD)
    line.recv(1)


def instead(content, status="200 OK"):
    return lambda line, whole: line.sendall(answer(content, status))


FAULTS = {
    "a cut answer": cut,
    "no HTTP": lambda line, whole: line.sendall(b"garbage\r\n\r\n"),
    "no JSON": instead(b"garbage"),
    "no answer": lambda line, whole: None,
    "a slow drip": drip,
    "silence": hang,
    "a busy server": instead({"error": "too_many_sessions", "message": "…"}, "503 Busy"),
    "a refusal": instead({"error": "out_of_order", "message": "…"}, "409 Conflict"),
    "another drive's answer": instead(stepped(2, drive="f" * 32)),
    "a stop of the server": instead(stepped(2, stopped="late", actions=[[0.0, 0.0]])),
    "another step's answer": instead(stepped(1)),
    "too few values": instead(stepped(2, actions=[[1.0]])),
    "no number": instead(stepped(2, actions=[["fast", 0.0]])),
    "NaN": instead(stepped(2, actions=[[float("nan"), 0.0]])),
    "no actions": instead({"drive": DRIVE, "step": 2, "stopped": None}),
}


class FaultyServer:
    """Answers two steps as the server does, and the third by a fault."""

    def __init__(self, fault=None, ahead=1):
        self.fault, self.ahead = fault, ahead
        self.steps = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.close()
        self.thread.join(timeout=30)

    def close(self):
        self.listener.close()
        # a closed listener wakes no thread that waits in accept
        with socket.socket() as line:
            line.connect_ex(self.address)

    def serve(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            with line:
                request = b""
                while b"\r\n\r\n" not in request:
                    part = line.recv(65536)
                    if not part:
                        break
                    request += part
                with contextlib.suppress(OSError):  # the node has gone
                    self.answer(line, request)

    def answer(self, line, request):
        if request.startswith(b"POST /reset"):
            line.sendall(answer({**BEGUN, "ahead": [self.ahead]}))
        elif request.startswith(b"POST /step"):
            whole = answer(stepped(self.steps))
            self.steps += 1
            if self.steps == 3 and self.fault is not None:
                self.fault(line, whole)
            else:
                line.sendall(whole)


def drive(robot, pictures=3):
    for _ in range(pictures):
        robot.picture()
        robot.tick()


def run(server, script, **constants):
    robot = Robot()
    ended = robot.run(server.address, "go", script, PERIOD=PERIOD, **constants)
    return robot, ended


@pytest.mark.parametrize(("ahead", "commands"), [(1, 2), (0, 3)])
def test_fresh_and_whole_answers_move_the_robot(ahead, commands):
    """With `target: next` the first answer's command comes with the second picture."""
    with FaultyServer(ahead=ahead) as server:
        robot, ended = run(server, drive)
    assert ended is None and robot.logged == []
    assert robot.published[0] == STOP
    assert robot.published[-1] == STOP  # the page's `finally`
    moved = [command for command in robot.published if command != STOP]
    assert set(moved) == {MOVING} and len(moved) == (2 * commands if ahead else commands)


@pytest.mark.parametrize("ahead", [1, 0])
@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_the_last_command_is_the_stop(fault, ahead):
    with FaultyServer(FAULTS[fault], ahead) as server:
        begun = time.monotonic()
        robot, ended = run(server, drive)
        taken = time.monotonic() - begun
    assert server.steps == 3 and MOVING in robot.published
    assert isinstance(ended, SystemExit) and "stopped" in robot.logged[-1]
    assert robot.published[-2:] == [STOP, STOP]  # at once, and at the end
    if fault in ("a slow drip", "silence"):
        whole = len(answer(stepped(2))) * PERIOD / 5  # until a drip would have come to its end
        assert taken < whole / 2


def test_a_server_that_is_gone_stops_the_robot():
    server = FaultyServer()

    def script(robot):
        drive(robot, 2)
        server.close()
        drive(robot, 1)

    with server:
        robot, ended = run(server, script)
    assert isinstance(ended, SystemExit) and MOVING in robot.published
    assert robot.published[-1] == STOP


def test_without_a_server_nothing_moves():
    server = FaultyServer()
    server.close()
    robot, ended = run(server, drive)
    assert isinstance(ended, OSError) and robot.published == [STOP]


@pytest.mark.parametrize("age", [0.3, 3600.0, 1e9, -5.0])
def test_an_old_picture_stops_the_robot_whatever_the_server_answers(age):
    """A camera that died, one that repeats itself, one without stamps, and another clock."""

    def script(robot):
        drive(robot, 2)
        robot.picture(age=age)
        robot.tick()

    with FaultyServer() as server:
        robot, ended = run(server, script)
    assert isinstance(ended, SystemExit) and server.steps == 2
    assert robot.published[-1] == STOP and "s old by its header" in robot.logged[-1]


def test_a_camera_that_died_moves_the_robot_no_further():
    def script(robot):
        drive(robot, 2)
        for _ in range(20):
            time.sleep(0.05)
            robot.tick()

    with FaultyServer() as server:
        robot, ended = run(server, script, OLDEST=0.04)
    assert isinstance(ended, SystemExit) and robot.published[-1] == STOP
    assert server.steps == 2


def test_without_a_camera_the_robot_stands_still():
    def script(robot):
        for _ in range(5):
            robot.tick()

    with FaultyServer() as server:
        robot, ended = run(server, script)
    assert ended is None and set(robot.published) == {STOP}


def test_an_interrupted_node_stops_the_robot():
    def script(robot):
        drive(robot, 2)
        raise SystemExit  # as Ctrl-C between two pictures

    with FaultyServer() as server:
        robot, _ = run(server, script)
    assert MOVING in robot.published and robot.published[-1] == STOP
