"""A trial over HTTP: the ticket picks the policy, nobody knows which, each drive is judged."""

import errno
import fcntl
import json
import logging
import os

import h5py
import numpy as np
import pytest

from mobile_vla.errors import UserError
from mobile_vla.robot.blind import alike
from mobile_vla.robot.policy import AS_TRAINED
from mobile_vla.robot.serve import Address, serve, trial_server
from mobile_vla.serving.access import Access
from mobile_vla.serving.application import Server
from mobile_vla.serving.web import Request, RequestError
from mobile_vla.trials.files import DRIVES, DRIVING, OUTCOMES, SCHEDULE
from mobile_vla.trials.ledger import Ledger, judge
from mobile_vla.trials.reading import read_trial
from support.numpy_server import PROMPTS, NumpyPolicy
from support.policy_server import LIMITS, Client, encoded, png, serving
from support.protocol import frames
from support.ros import STOP, Robot
from support.trials import CONFIG, DIGESTS, POLICIES, Page, next_of, numpy_trial, scheduled

LEFT = PROMPTS[0]


@pytest.fixture
def files(tmp_path):
    return scheduled(tmp_path / "hall")


@pytest.fixture
def client(files):
    """A client of a server that drives the trial."""
    server = trial_server(numpy_trial(files), LIMITS)
    with serving(server) as client:
        client.server = server
        yield client
    server.trial.ledger.close()


def begin(client, files, **changes):
    """Begin the drive that is due, and return its ticket."""
    ticket = next_of(files).ticket
    status, answer = client.reset("robot", None, ticket=ticket, **changes)
    assert status == 200, answer
    return ticket


def test_the_ticket_picks_the_policy_and_its_guard(client, files):
    seen, found = frames(3), {}
    for _ in range(2):
        ticket = begin(client, files)
        answers = [client.step("robot", step, png(one))[1] for step, one in enumerate(seen)]
        found[files.key().policies[ticket]] = np.float32([one["actions"] for one in answers])
        judge(files, ticket, "success")
    policy, state = NumpyPolicy(), NumpyPolicy().begin(LEFT)[1]
    expected = np.stack([policy.step(state, one) for one in seen])
    np.testing.assert_allclose(found[POLICIES[0]], expected, atol=1e-6)
    np.testing.assert_allclose(found[POLICIES[1]], -expected, atol=1e-6)


def test_no_answer_log_or_file_names_a_policy_before_unblinding(client, files, caplog, tmp_path):
    caplog.set_level(logging.INFO)
    page, said = Page(client.port), []
    said.append(client.ask("GET", "/health"))
    for step, outcome in enumerate(("success", "void", "timeout", "collision")):
        said.append(client.reset("robot", "fly", ticket=next_of(files).ticket))
        said.append(client.reset("robot", None, ticket="NOTHERE2"))
        ticket = next_of(files).ticket
        said.append(client.reset("robot", LEFT, ticket=ticket))
        said += [client.step("robot", step, png(one)) for step, one in enumerate(frames(2))]
        if step == 2:
            client.server.tried.state = None  # a fault of the policy
            said.append(client.step("robot", 2, png(frames(1)[0])))
            assert said[-1][1]["error"] == "fault"
        said.append(client.reset("robot", LEFT, ticket=ticket))
        assert said[-1][0] == 409
        page.press(outcome, **({"reason": "scene"} if outcome == "void" else {}))
        said.append(client.ask("GET", "/health"))
    assert len(files.lines(OUTCOMES)) == 4 and len(page.seen) == 8
    written = {path.name: path.read_text() for path in files.path.iterdir()}
    assert {SCHEDULE, "key.json", DRIVES, OUTCOMES} <= written.keys()
    texts = [json.dumps(said), caplog.text, *page.seen, *written.values()]
    for secret in (*POLICIES, "lora", "head_only", "seed0", *map(str, DIGESTS.values())):
        assert not any(secret in text for text in texts), secret
    # no two drives have anything in common that would tell which policies they share
    drives = [json.loads(line) for line in files.lines(DRIVES)]
    assert len({drive["policy"] for drive in drives}) == len(drives) == 4
    assert [drive["ending"] for drive in drives] == ["scored", "scored", "fault", "scored"]
    assert [drive["steps"] for drive in drives] == [2] * 4
    found = read_trial(files.path, DIGESTS)
    assert found.drives == 3 and [one.kind for one in found.left_out] == ["void"]


def test_a_drive_needs_the_ticket_that_is_due_and_the_last_ones_outcome(client, files):
    first, second = [row.ticket for row in files.schedule()[:2]]
    for ticket, code in ((None, "no_ticket"), (second, "not_due"), ("a b", "malformed")):
        status, answer = client.reset("robot", LEFT, ticket=ticket)
        assert status in (400, 409, 422) and answer["error"] == code
    assert first in client.reset("robot", LEFT, ticket=second)[1]["message"]
    status, answer = client.reset("robot", PROMPTS[1], ticket=first)
    assert (status, answer["error"]) == (422, "unusable")
    assert not (files.path / DRIVING).exists()
    assert client.reset("robot", LEFT, ticket=first.lower())[0] == 200
    assert (files.path / DRIVING).exists()
    status, answer = client.reset("robot", LEFT, ticket=second)
    assert (status, answer["error"]) == (409, "not_due") and first in answer["message"]
    status, answer = client.reset("robot", LEFT, ticket=first)
    assert f"score {first}" in answer["message"]
    judge(files, first, "success")
    assert client.reset("robot", LEFT, ticket=second)[0] == 200
    assert not client.step("robot", 0, png(frames(1)[0]))[1]["stopped"]


def test_an_outcome_on_the_page_ends_the_drive(client, files):
    page, ticket = Page(client.port), next_of(files).ticket
    assert f'Next: <span class="ticket">{ticket}</span>' in page.shown()
    assert "<button" not in page.shown() and 'http-equiv="refresh"' in page.shown()
    begin(client, files)
    assert client.step("robot", 0, png(frames(1)[0]))[0] == 200
    shown = page.shown()
    assert f'What came of <span class="ticket">{ticket}</span>?' in shown
    assert shown.count('name="outcome"') == 5 and "refresh" not in shown
    page.press("success", note="a <b>bold</b>\nnote")
    assert client.step("robot", 1, png(frames(1)[0]))[1]["error"] == "no_drive"
    assert files.lines(OUTCOMES)[0].startswith(f"{ticket},success,,a <b>bold</b> note,")
    assert json.loads(files.lines(DRIVES)[0])["steps"] == 1
    assert next_of(files).ticket != ticket


def test_a_void_drive_needs_its_reason_and_gets_another_ticket(client, files):
    page, ticket = Page(client.port), begin(client, files)
    assert "has one of robot, network, scene" in page.press("void")
    assert "has one of robot, network, scene" in page.press("success", reason="robot")
    assert files.lines(OUTCOMES) == []
    shown = page.press("void", reason="network")
    again = next_of(files)
    assert again.ticket in shown and again.ticket != ticket
    assert (again.block, again.position) == (1, 1)


def test_the_page_is_for_browsers_on_this_machine_that_the_page_led_here(client, files):
    page, ticket = Page(client.port), begin(client, files)
    good = page.shown()
    secret = good.split('name="secret" value="')[1][:32]
    form = f"secret={secret}&ticket={ticket}&outcome=success"
    own = {"Origin": page.origin}
    for body, headers in (
        (form, {}),
        (form, {"Origin": "http://evil.example"}),
        (form, {"Origin": "null"}),
        (form, {**own, "Sec-Fetch-Site": "cross-site"}),
        (form, {"Origin": "http://evil.example", "Host": "evil.example"}),
        (form.replace(secret, "0" * 32), own),
        (f"ticket={ticket}&outcome=success", own),
        ("\xff", own),
    ):
        assert page.ask("POST", body, **headers)[0] == 403
    assert page.ask("GET", Host="evil.example:1")[0] == 403
    assert page.ask("GET", Origin="http://evil.example")[0] == 403
    assert page.ask("PUT", "", **own)[0] == 405
    assert page.ask("POST", "x" * 20_000, **own)[0] == 413
    assert files.lines(OUTCOMES) == []
    assert page.ask("POST", form, **own, **{"Sec-Fetch-Site": "same-origin"})[0] == 200
    assert len(files.lines(OUTCOMES)) == 1
    # sent again, as a browser that loads the page again does, it changes nothing
    page.ask("POST", form, **own)
    assert len(files.lines(OUTCOMES)) == 1


def test_another_machine_is_not_shown_the_page_even_with_the_token():
    access = Access("0123456789abcdef", "0.0.0.0", ("/trial",))
    head = b"GET /trial HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer 0123456789abcdef"
    with pytest.raises(RequestError, match="for the server's machine alone"):
        access.check(Request(head, 0.0, "192.168.1.7"))
    access.check(Request(head, 0.0, "127.0.0.1"))
    with pytest.raises(RequestError, match="Bearer TOKEN"):
        access.check(Request(b"GET /health HTTP/1.1\r\nHost: localhost", 0.0, "127.0.0.1"))


def test_the_node_of_the_docs_drives_a_ticket(client, files):
    robot, ticket = Robot(), next_of(files).ticket

    def script(robot):
        robot.picture(encoded(frames(1)[0], "JPEG"))
        robot.tick()

    server, constants = ("127.0.0.1", client.port), {"PERIOD": 10.0, "OLDEST": 1.0}
    ended = robot.run(server, None, script, TICKET=ticket, **constants)
    assert ended is None and set(robot.published) > {STOP}, robot.logged
    assert client.server.tried.ticket == ticket


def test_an_ending_server_writes_and_records_the_drive(files, tmp_path):
    server = trial_server(numpy_trial(files), LIMITS, tmp_path / "drives")
    with serving(server) as client:
        ticket = begin(client, files)
        client.step("robot", 0, png(frames(1)[0]))
    assert server.recorder.close(10)
    (episode,) = (tmp_path / "drives").glob("*.h5")
    with h5py.File(episode) as file:
        assert (file.attrs["policy"], file.attrs["ticket"]) == ("trial hall", ticket)
    drive = json.loads(files.lines(DRIVES)[0])
    assert (drive["ticket"], drive["ending"], drive["steps"]) == (ticket, "server_ended", 1)


def test_only_one_server_drives_a_trial(client, files):
    with pytest.raises(UserError, match="another server drives this trial"):
        Ledger(files, {})


def test_where_the_file_system_has_no_locks_a_trial_is_driven_with_a_warning(
    files, monkeypatch, caplog
):
    def refusing(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refusing)
    ledger = Ledger(files, {})
    assert ledger.state()[0].ticket == next_of(files).ticket
    ledger.close()
    assert "this file system has no locks" in caplog.text


def test_a_robot_begins_at_once_after_the_command_scored_the_last_drive(client, files):
    """Its program began again, and knows no drive."""
    ticket = begin(client, files)
    client.step("robot", 0, png(frames(1)[0]))
    judge(files, ticket, "timeout")
    assert Client(client.port).reset("robot", None, ticket=next_of(files).ticket)[0] == 200
    assert json.loads(files.lines(DRIVES)[0])["ending"] == "scored"


def test_what_cannot_be_served_as_a_trial_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"address": Address(port=0), "limits": LIMITS, "options": AS_TRAINED}
    for given in ({}, {"policy": tmp_path, "trials": "hall"}):
        with pytest.raises(UserError, match="a policy's folder, or `--trials NAME`, and not both"):
            serve(**given, **options)
    (tmp_path / "config.yaml").write_text(CONFIG)
    with pytest.raises(UserError, match="lora/seed0, head_only/seed0 is not trained"):
        serve(trials="hall", **options)


def test_a_server_without_a_trial_takes_no_ticket(files):
    with serving(Server(NumpyPolicy(), LIMITS)) as client:
        status, answer = client.reset("robot", LEFT, ticket="ABC")
        assert (status, answer["error"]) == (422, "no_trial")
        assert Page(client.port).ask("GET")[0] == 404
        assert Client(client.port).reset("robot", LEFT)[0] == 200


def test_answers_are_cut_to_what_all_policies_predict(files):
    long, short = NumpyPolicy(), NumpyPolicy()
    short.ahead, short.step = [0], lambda state, frame: np.float32([[0.5, 0.5]])
    made = alike({"a": (long, 1), "b": (short, 1)}, "here")
    assert [one.ahead for one in made.values()] == [[0], [0]]
    assert made["a"].step(made["a"].begin(LEFT)[1], frames(1)[0]).shape == (1, 2)
    short.dimensions = ["linear_x"]
    with pytest.raises(UserError, match="here: a answers linear_x, angular_z, the first 0"):
        alike({"a": (long, 1), "b": (short, 1)}, "here")
