"""A policy leaves the project: copied elsewhere, asked by hand, and served."""

import csv
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from support.policy_server import Client, png

POLICY = "results/experiments/lora/seed0/policy"


def command(project, *arguments, python=sys.executable, **options):
    """Return a process of the project's program."""
    return subprocess.Popen(
        [python, "-m", "mobile_vla", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(project.folder / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def output(project, *arguments, **options):
    process = command(project, *arguments, python=project.python, **options)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    return out


@pytest.fixture(scope="module")
def episode(finished):
    """A raw test episode of the finished project."""
    scores = np.load(finished.folder / "results/experiments/lora/seed0/predictions.npz")
    return f"results/datasets/demo/raw/{scores['episode'][0]}.h5"


@pytest.fixture(scope="module")
def predicted(finished, episode):
    """What the policy predicts where it was trained."""
    return output(finished, "predict", POLICY, episode, cwd=finished.folder)


def test_a_copied_folder_predicts_the_same_bytes(finished, episode, predicted, tmp_path):
    away = tmp_path / "robot"
    shutil.copytree(finished.folder / POLICY, away / "policy")
    shutil.copytree(finished.folder / "results/backbones/tiny", away / "backbone")
    shutil.copy(finished.folder / episode, away)
    name = os.path.basename(episode)  # noqa: PTH119
    asked = ["predict", "policy", name, "--backbone", "backbone"]
    assert output(finished, *asked, cwd=away) == predicted
    # a checkpoint as the hub gives it, without a description of ours
    for file in (away / "backbone").glob("backbone.*"):
        file.unlink()
    assert output(finished, *asked, cwd=away) == predicted


def test_what_is_predicted_by_hand_is_what_was_scored(finished, episode, predicted):
    scores = np.load(finished.folder / "results/experiments/lora/seed0/predictions.npz")
    own = scores["episode"] == scores["episode"][0]
    rows = list(csv.DictReader(io.StringIO(predicted.decode())))
    found = {
        (int(row["frame"]), int(row["ahead"])): (float(row["linear_x"]), float(row["linear_y"]))
        for row in rows
    }
    assert own.sum() > 3
    for last, chunk in zip(scores["last_frame"][own], scores["prediction"][own], strict=True):
        by_hand = [found[int(last), int(ahead)] for ahead in scores["ahead"]]
        np.testing.assert_allclose(by_hand, chunk, atol=1e-5, rtol=1e-5)


def test_a_policy_is_served_until_it_is_told_to_end(finished, predicted, tmp_path):
    asked = ("serve", POLICY, "--port", "0", "--record", tmp_path / "drives")
    process = command(finished, *asked, cwd=finished.folder)
    try:
        said = ""
        while (found := re.search(r"serving at http://127\.0\.0\.1:(\d+)", said)) is None:
            line = process.stderr.readline().decode()
            assert line, said
            said += line
        assert "lora seed0, epoch" in said and "in fp32, cpu with 1 threads" in said
        client = Client(int(found[1]))
        assert client.reset("robot", "pass on the left")[0] == 200
        frame = np.zeros((224, 224, 3), dtype=np.uint8)
        status, answer = client.step("robot", 0, png(frame))
        assert status == 200 and np.shape(answer["actions"]) == (4, 2)
        # another client has sent half of a head
        held = socket.create_connection(("127.0.0.1", client.port))
        held.sendall(b"POST /step")
        began = time.monotonic()
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
    assert time.monotonic() - began < 5  # a second where nothing else runs
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in rest.decode()
    # the drive that was under way is an episode, which a policy can be asked again
    said = output(finished, "replay", tmp_path / "drives", POLICY, cwd=finished.folder).decode()
    assert "1 frames; the first actions differ by 0 on average" in said


def test_a_mistake_is_said_before_anything_is_loaded(finished):
    asked = ("serve", POLICY, "--host", "0.0.0.0")
    process = command(finished, *asked, python=finished.python, cwd=finished.folder)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1 and b"expected a token" in errors
