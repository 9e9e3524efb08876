"""A policy over HTTP: the answers are the policy's own, and no request harms another session."""

import socket
import threading
import time

import numpy as np
import pytest
import torch

from mobile_vla.robot.app import Limits, Sessions
from mobile_vla.robot.middleware import RequestError
from mobile_vla.robot.policy import load_robot_policy, predict_drive
from mobile_vla.serving.pictures import decode
from support.policy_server import LIMITS, Client, encoded, png, serving
from support.ros import STOP, Robot
from support.training_run import Inputs, run, settings_of

LEFT, RIGHT = "pass on the left", "pass on the right"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    inputs = Inputs.make(folder)
    run(inputs, folder / "run", settings_of(epochs=1))
    return load_robot_policy(folder / "run/policy", inputs.backbone)


@pytest.fixture(scope="module")
def served(loaded):
    with serving(loaded) as (client, server):
        yield client, server


@pytest.fixture
def client(served):
    """A connection of its own, to a server without sessions."""
    client, server = served
    server.sessions.of.clear()
    return Client(client.port)


def frames(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def expected(loaded, seen, prompt):
    return predict_drive(loaded, seen, loaded.policy.texts.index(prompt))


def drive(client, session, seen, first=0):
    answers = [client.step(session, first + step, png(one)) for step, one in enumerate(seen)]
    assert [status for status, _ in answers] == [200] * len(seen), answers
    return np.array([answer["actions"] for _, answer in answers], dtype=np.float32)


def test_the_answers_are_the_policys_own_bit_for_bit(client, loaded):
    seen = frames(4)
    status, begun = client.reset("robot", RIGHT)
    assert status == 200
    assert begun == {
        "session": "robot",
        "prompt": RIGHT,
        "step": 0,
        "dimensions": ["linear_x", "linear_y"],
        "unit": "raw command units",
        "ahead": [1, 2, 3],
    }
    np.testing.assert_array_equal(drive(client, "robot", seen), expected(loaded, seen, RIGHT))
    # a reset forgets the drive
    client.reset("robot", LEFT)
    np.testing.assert_array_equal(drive(client, "robot", seen), expected(loaded, seen, LEFT))


def test_the_node_of_the_docs_drives_by_its_answers(client, loaded):
    seen, robot = frames(3), Robot()

    def script(robot):
        for frame in seen:
            robot.picture(encoded(frame, "JPEG"))
            robot.tick()

    server = ("127.0.0.1", client.port)
    assert robot.run(server, LEFT, script, PERIOD=10.0, OLDEST=1.0) is None, robot.logged
    decoded = np.stack([decode(encoded(frame, "JPEG")) for frame in seen])
    due = expected(loaded, decoded, LEFT)[:, 0]  # (T, A)
    metres = [STOP] + [(0.2 * x, 0.2 * y, 0.0) for x, y in due[:2].tolist()]
    # each when its picture is taken, and again with the answer
    np.testing.assert_allclose(robot.published[1:-1], np.repeat(metres, 2, axis=0), rtol=1e-6)


def test_health_says_what_is_served(client):
    status, found = client.ask("GET", "/health")
    assert status == 200 and found["status"] == "ok"
    assert found["policy"] == {"experiment": "lora", "run": "seed0", "epoch": 0}
    assert found["prompts"] == [LEFT, RIGHT] and found["window"] == 2 and found["sessions"] == 0
    assert found["precision"] == "fp32" and found["backbone"] == "tiny"


def test_robots_side_by_side_each_have_their_own_drive(client, loaded):
    one, two = frames(4), frames(4, seed=1)
    client.reset("one", LEFT)
    client.reset("two", RIGHT)
    found = {"one": [], "two": []}
    for step in range(4):
        for name, seen in (("one", one), ("two", two)):
            found[name].append(drive(client, name, seen[step : step + 1], step)[0])
    np.testing.assert_array_equal(found["one"], expected(loaded, one, LEFT))
    np.testing.assert_array_equal(found["two"], expected(loaded, two, RIGHT))


def test_a_raw_picture_and_a_png_are_the_same_and_both_are_resized_as_in_training(client, loaded):
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    client.reset("a", LEFT)
    status, as_png = client.step("a", 0, png(image))
    answers = [as_png["actions"]]
    for color, stored in (("rgb", image), ("bgr", image[..., ::-1])):
        client.reset("a", LEFT)
        kind = "application/octet-stream"
        raw = stored.tobytes()
        status, answer = client.step("a", 0, raw, kind, width=160, height=90, color=color)
        assert status == 200, answer
        answers.append(answer["actions"])
    assert answers[0] == answers[1] == answers[2]
    client.reset("a", LEFT)
    assert client.step("a", 0, encoded(image, "JPEG", quality=95), "image/jpeg")[0] == 200


MALFORMED = {
    "no JSON": ("/reset", b"{", None, 400, "malformed"),
    "no session": ("/reset", b"{}", None, 400, "malformed"),
    "an unknown key": ("/reset", b'{"session": "a", "prompt": "go"}', None, 400, "malformed"),
    "a name with a slash": ("/reset", b'{"session": "../a"}', None, 400, "malformed"),
    "another prompt": ("/reset", b'{"session": "a", "instruction": "go"}', None, 422, "unusable"),
    "no prompt": ("/reset", b'{"session": "a"}', None, 422, "unusable"),
    "no step": ("/step?session=robot", b"", "image/png", 400, "malformed"),
    "no number": ("/step?session=robot&step=x", b"", "image/png", 400, "malformed"),
    "no such session": ("/step?session=other&step=0", b"", "image/png", 404, "no_session"),
    "a step back": ("/step?session=robot&step=0", b"", "image/png", 409, "out_of_order"),
    "a step ahead": ("/step?session=robot&step=2", b"", "image/png", 409, "out_of_order"),
    "no picture": ("/step?session=robot&step=1", b"hello", "image/jpeg", 422, "unusable"),
    "an empty body": ("/step?session=robot&step=1", b"", "image/png", 422, "unusable"),
    "another type": ("/step?session=robot&step=1", b"x", "text/plain", 415, "unknown_type"),
    "a raw picture without its size": (
        "/step?session=robot&step=1",
        b"x",
        "application/octet-stream",
        400,
        "malformed",
    ),
    "too few bytes": (
        "/step?session=robot&step=1&width=2&height=2&color=rgb",
        b"x",
        "application/octet-stream",
        422,
        "unusable",
    ),
    "a huge size": (
        "/step?session=robot&step=1&width=99999999&height=99999999&color=rgb",
        b"x",
        "application/octet-stream",
        422,
        "unusable",
    ),
    "another place": ("/drive", b"", None, 404, "no_such_request"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_is_named_and_harms_no_session(client, loaded, case):
    path, body, kind, status, code = MALFORMED[case]
    seen = frames(3)
    client.reset("robot", LEFT)
    first = drive(client, "robot", seen[:1])
    found, answer = client.ask("POST", path, body, kind)
    assert (found, answer["error"]) == (status, code), answer
    assert len(answer["message"]) > 20
    if code == "out_of_order":
        assert answer["expected"] == 1
    rest = drive(client, "robot", seen[1:], first=1)
    np.testing.assert_array_equal(np.concatenate([first, rest]), expected(loaded, seen, LEFT))


def test_a_picture_that_would_fill_the_memory_is_refused_unseen(client):
    bomb = encoded(np.zeros((5000, 5000, 3), dtype=np.uint8), "PNG")
    assert len(bomb) < LIMITS.body_bytes
    client.reset("robot", LEFT)
    status, answer = client.step("robot", 0, bomb)
    assert status == 422 and "5000×5000 pixels" in answer["message"]


@pytest.mark.parametrize("declared", [True, False])
def test_an_oversized_body_is_refused_in_words(client, declared):
    client.reset("robot", LEFT)
    size = 20 * LIMITS.body_bytes
    # a generator has no length: it is sent in chunks
    body = bytes(size) if declared else (bytes(50_000) for _ in range(size // 50_000))
    status, answer = client.step("robot", 0, body)
    assert (status, answer["error"], answer["limit"]) == (413, "too_large", LIMITS.body_bytes)
    assert client.step("robot", 0, png(frames(1)[0]))[0] == 200


def test_an_answer_before_the_body_arrives_even_where_the_connection_is_closed_after(client):
    status, answer = client.ask("POST", "/drive", bytes(30_000_000), Connection="close")
    assert (status, answer["error"]) == (404, "no_such_request")


def test_what_is_no_http_is_answered_and_forgotten(client):
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"POST /step\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as line:
            line.sendall(garbage)
            assert b"400" in line.recv(1000)
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as line:
        line.sendall(b"POST /step?session=robot&step=0 HTTP/1.1\r\nHost: x\r\n")
        line.sendall(b"Content-Length: 100\r\n\r\nonly this")
    assert client.ask("GET", "/health")[0] == 200


class Slow:
    """Holds the policy's only thread until it is let go."""

    def __init__(self, server):
        self.let_go = threading.Event()
        server.model.submit(self.let_go.wait)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.let_go.set()


def test_a_second_step_of_a_session_is_refused_while_the_first_is_under_way(served, client, loaded):
    _, server = served
    seen, found = frames(2), {}
    client.reset("robot", LEFT)

    def first():
        found["first"] = Client(client.port).step("robot", 0, png(seen[0]))

    with Slow(server):
        thread = threading.Thread(target=first)
        thread.start()
        while not server.sessions.of["robot"].busy:
            time.sleep(0.001)
        for answer in (
            client.step("robot", 0, png(seen[0])),
            client.step("robot", 1, png(seen[1])),
        ):
            assert (answer[0], answer[1]["error"]) == (409, "busy")
    thread.join()
    assert found["first"][0] == 200
    np.testing.assert_array_equal(
        [found["first"][1]["actions"], *drive(client, "robot", seen[1:], 1)],
        expected(loaded, seen, LEFT),
    )


def test_no_more_requests_than_the_limit_are_taken_in_at_a_time(served, client):
    _, server = served
    client.reset("robot", LEFT)
    threads = [
        threading.Thread(target=lambda: Client(client.port).reset("robot", LEFT))
        for _ in range(LIMITS.requests)
    ]
    with Slow(server):
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while (found := client.ask("GET", "/health"))[0] == 200:
            assert time.monotonic() < deadline
        assert (found[0], found[1]["error"]) == (503, "too_many_requests")
    for thread in threads:
        thread.join()
    assert client.ask("GET", "/health")[0] == 200


def test_sessions_are_bounded_and_an_idle_one_makes_room(client):
    now = [0.0]
    sessions = Sessions(most=2, idle_seconds=10, clock=lambda: now[0])
    sessions.begin("a", None)
    now[0] = 5.0
    sessions.begin("b", None)
    with pytest.raises(RequestError, match="all 2 sessions are taken"):
        sessions.begin("c", None)
    sessions.begin("b", None)  # a reset takes no further place
    now[0] = 12.0
    sessions.begin("c", None)
    assert sorted(sessions.of) == ["b", "c"]
    for name in "wxyz":
        answer = client.reset(name, LEFT)
    assert (answer[0], answer[1]["error"]) == (503, "too_many_sessions")


def test_a_fault_of_the_model_ends_the_session_and_no_other(served, client, loaded, caplog):
    _, server = served
    seen = frames(2)
    for name in ("broken", "whole"):
        client.reset(name, LEFT)
        drive(client, name, seen[:1])
    stream = server.sessions.of["broken"].stream
    stream.readouts = torch.full_like(stream.readouts, float("nan"))
    status, answer = client.step("broken", 1, png(seen[1]))
    assert (status, answer["error"]) == (500, "not_finite")
    assert client.step("broken", 1, png(seen[1]))[1]["error"] == "no_session"
    client.reset("broken", LEFT)
    server.sessions.of["broken"].stream.prompts = "nothing that a model could take"
    status, answer = client.step("broken", 0, png(seen[0]))
    assert (status, answer["error"]) == (500, "fault")
    assert "Traceback" in caplog.text
    np.testing.assert_array_equal(
        drive(client, "whole", seen[1:], 1), expected(loaded, seen, LEFT)[1:]
    )


def test_only_who_shows_the_token_is_answered(loaded):
    token = "0123456789abcdef"
    with serving(loaded, token=token) as (client, _):
        assert client.ask("GET", "/health")[0] == 200
        for wrong in (None, "0123456789abcdeF", ""):
            status, answer = Client(client.port, wrong).step("robot", 0, bytes(300_000))
            assert (status, answer["error"]) == (401, "no_token")


def test_web_pages_are_not_answered(client):
    status, answer = client.ask("POST", "/reset", b"{}", Origin="http://127.0.0.1:8765")
    assert (status, answer["error"]) == (403, "browser")


def test_other_prompts_are_taken_where_they_are_allowed_and_only_so_many(loaded, monkeypatch):
    monkeypatch.setattr(loaded.prompts, "others", True)
    monkeypatch.setattr("mobile_vla.robot.policy.MOST", 1)
    texts = loaded.policy.texts
    seen = frames(2)
    try:
        with serving(loaded, Limits(2, 600.0, 0.4)) as (client, _):
            client.reset("one", LEFT)
            before = drive(client, "one", seen[:1])
            other = "pass on the left on the left on the left on the left"  # longer than the others
            assert client.reset("two", other)[1]["prompt"] == other
            changed = drive(client, "two", seen)
            after = drive(client, "one", seen[1:], 1)
            status, answer = client.reset("two", "pass")
            assert status == 422 and "1 other instructions already" in answer["message"]
        own = expected(loaded, seen, LEFT)
        np.testing.assert_array_equal(np.concatenate([before, after]), own)
        assert np.abs(changed - own).max() > 1e-6
    finally:
        loaded.prompts.policy.use_prompts(texts, loaded.prompts.processor)
