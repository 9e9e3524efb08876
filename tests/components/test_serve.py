"""A policy over HTTP: the answers are the policy's own, and no request harms another drive."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from mobile_vla.robot.policy import load_robot_policy, predict_drive
from mobile_vla.robot.serve import server_of
from mobile_vla.robot.served import TorchPolicy
from mobile_vla.serving.application import Limits
from mobile_vla.serving.drives import Drive, Drives
from mobile_vla.serving.web import RequestError
from support.policy_server import LIMITS, PERIOD, Client, png, serving
from support.protocol import Protocol, Served, drive, frames
from support.training_run import Inputs, run, settings_of

LEFT, RIGHT = "pass on the left", "pass on the right"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    inputs = Inputs.make(folder)
    run(inputs, folder / "run", settings_of(epochs=1))
    return load_robot_policy(folder / "run/policy", inputs.backbone)


@pytest.fixture(scope="module")
def running(loaded):
    server = server_of(loaded, LIMITS)
    with serving(server) as client:
        yield client, server


@pytest.fixture
def server(running):
    """A server without drives."""
    server = running[1]
    server.drives.of.clear()
    return server


@pytest.fixture
def client(running, server):
    """A connection of its own, to a server without drives."""
    return Client(running[0].port)


def expected(loaded, seen, prompt):
    """Return what goes out: the policy's predictions, within the guard's limits."""
    chunks = predict_drive(loaded, seen, loaded.policy.texts.index(prompt))
    guard, before, found = TorchPolicy(loaded).guard, np.zeros(2, dtype=np.float32), []
    for chunk in chunks:
        found.append(guard.check(chunk, before).chunk)
        before = found[-1][0]
    return np.stack(found)


class TestProtocol(Protocol):
    @pytest.fixture
    def served(self, running, server, loaded):
        def predict(seen, prompt):
            return expected(loaded, seen, prompt)

        dimensions = ["linear_x", "linear_y"]
        return Served(running[0].port, (LEFT, RIGHT), dimensions, [1, 2, 3], predict)


def test_health_names_policy_and_backbone(client):
    _, found = client.ask("GET", "/health")
    assert found["policy"] == {"experiment": "lora", "run": "seed0", "epoch": 0}
    assert found["window"] == 2 and found["sessions"] == 0
    assert found["precision"] == "fp32" and found["backbone"] == "tiny"


class Slow:
    """Holds the policy's only thread until it is let go."""

    def __init__(self, server):
        self.let_go = threading.Event()
        server.model.submit(self.let_go.wait)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.let_go.set()


def test_a_second_step_of_a_drive_is_refused_while_the_first_is_under_way(server, client, loaded):
    seen, found = frames(2), {}
    client.reset("robot", LEFT)
    other = Client(client.port)
    other.drives = client.drives

    def first():
        found["first"] = other.step("robot", 0, png(seen[0]))

    with Slow(server):
        thread = threading.Thread(target=first)
        thread.start()
        while not server.drives.get(client.drives["robot"]).busy:
            time.sleep(0.001)
        for answer in (
            client.step("robot", 0, png(seen[0])),
            client.step("robot", 1, png(seen[1])),
            client.reset("robot", RIGHT),
        ):
            assert (answer[0], answer[1]["error"]) == (409, "busy")
    thread.join()
    assert found["first"][0] == 200
    np.testing.assert_array_equal(
        [found["first"][1]["actions"], *drive(client, "robot", seen[1:], 1)],
        expected(loaded, seen, LEFT),
    )


def test_no_more_drives_than_the_limit_are_begun_at_a_time(server, client):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(Client(client.port).reset("robot", LEFT)))
        for _ in range(LIMITS.sessions)
    ]
    with Slow(server):
        for thread in threads:
            thread.start()
        while server.resets < LIMITS.sessions:
            time.sleep(0.001)
        status, answer = client.reset("robot", LEFT)
        assert (status, answer["error"]) == (503, "too_many_requests")
        assert client.ask("GET", "/health")[0] == 200
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200, 409, 409]


def test_drives_are_bounded_and_an_idle_one_makes_room(client):
    now = [0.0]
    drives = Drives(most=2, idle_seconds=20, clock=lambda: now[0])

    def begin(name, before=None):
        drives.begin(Drive(name, "go", None, PERIOD, now[0]), before)
        return next(one.id for one in drives.of.values() if one.session == name)

    def names():
        return sorted(one.session for one in drives.of.values())

    begin("a")
    now[0] = 5.0
    b = begin("b")
    with pytest.raises(RequestError, match="all 2 sessions are taken"):
        begin("c")
    b = begin("b", b)  # a reset takes no further place
    with pytest.raises(RequestError, match="'b' is driving"):
        begin("b")
    now[0] = 16.0  # a program that began again has waited
    begin("b")
    now[0] = 21.0
    begin("c")
    assert names() == ["b", "c"]
    for name in "wxyz":
        answer = client.reset(name, LEFT)
    assert (answer[0], answer[1]["error"]) == (503, "too_many_sessions")


def test_a_fault_of_the_model_stops_or_ends_its_drive_and_no_other(server, client, loaded, caplog):
    seen = frames(2)
    for name in ("broken", "whole"):
        client.reset(name, LEFT)
        drive(client, name, seen[:1])
    stream = server.drives.get(client.drives["broken"]).state
    stream.readouts = torch.full_like(stream.readouts, float("nan"))
    status, answer = client.step("broken", 1, png(seen[1]))
    assert (status, answer["stopped"], np.any(answer["actions"])) == (200, "not_finite", False)
    client.reset("broken", LEFT)
    server.drives.get(client.drives["broken"]).state.prompts = "nothing that a model could take"
    status, answer = client.step("broken", 0, png(seen[0]))
    assert (status, answer["error"]) == (500, "fault")
    assert "Traceback" in caplog.text
    assert client.step("broken", 0, png(seen[0]))[1]["error"] == "no_drive"
    np.testing.assert_array_equal(
        drive(client, "whole", seen[1:], 1), expected(loaded, seen, LEFT)[1:]
    )


def test_what_the_guard_changes_is_counted_and_said(server, client, monkeypatch):
    seen = frames(3)
    guard = server.policy.guard
    narrow = replace(guard, highest=guard.highest * 0, lowest=guard.lowest * 0)
    before = client.ask("GET", "/health")[1]["guard"]
    monkeypatch.setattr(server.policy, "guard", narrow)
    client.reset("robot", LEFT)
    _, answer = client.step("robot", 0, png(seen[0]))
    assert answer["stopped"] is None and answer["clamped"] == 3
    assert not np.any(answer["actions"])
    monkeypatch.setattr(server.policy, "guard", replace(narrow, beyond="stop"))
    _, answer = client.step("robot", 1, png(seen[1]))
    assert (answer["stopped"], answer["clamped"]) == ("beyond", 0)
    again = client.step("robot", 1, png(seen[1]))[1]
    assert again["stopped"] == "beyond"
    monkeypatch.setattr(server.policy, "guard", guard)
    client.step("robot", 2, png(seen[2]))
    after = client.ask("GET", "/health")[1]["guard"]
    assert after["answers"] == before["answers"] + 3
    assert after["stopped"] == before["stopped"] + 1
    assert after["clamped"] >= before["clamped"] + 1
    assert after["beyond"] == "clamp" and len(after["highest"]) == 2


def test_a_late_stop_is_what_the_next_command_follows(server, client, loaded):
    client.reset("robot", LEFT, period=1.0)
    _, answer = client.step("robot", 0, png(frames(1)[0]), age=100)
    assert answer["stopped"] == "late"
    assert not server.drives.get(client.drives["robot"]).command.any()


def test_only_who_shows_the_token_is_answered(loaded):
    token = "0123456789abcdef"
    with serving(server_of(loaded, LIMITS), token=token) as client:
        assert client.ask("GET", "/health", Host="robot.local")[0] == 200
        for wrong in (None, "0123456789abcdeF", ""):
            status, answer = Client(client.port, wrong).step("robot", 0, bytes(300_000))
            assert (status, answer["error"]) == (401, "no_token")


def test_other_prompts_are_taken_where_they_are_allowed_and_only_so_many(loaded, monkeypatch):
    monkeypatch.setattr(loaded.prompts, "others", True)
    monkeypatch.setattr("mobile_vla.robot.policy.MOST", 1)
    texts = loaded.policy.texts
    seen = frames(2)
    try:
        with serving(server_of(loaded, Limits(2, 600.0, 0.4))) as client:
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
