"""Thousands of odd inputs: each is taken, or refused in words that say where; none costs much."""

import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from support.limited import MEMORY
from support.project import ROOT

SEED = 20251106
FEW = {"configurations": 100, "texts": 40, "episodes": 20, "layouts": 6}
MANY = {"configurations": 600, "texts": 100, "episodes": 100, "layouts": 40}
SIZES = [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.long)]


def outcomes(kind, size):
    """Return how each input of a kind ended."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'workflow'}:{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "fuzz.trial", kind, str(SEED), str(size[kind])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == size[kind]
    return found


def check(found):
    """Check that no input ended in a traceback or without an end, or took much memory."""
    wrong = [
        one for one in found if one["kind"] not in ("accepted", "refused") or one["memory"] > MEMORY
    ]
    shown = "\n\n".join(f"{one['name']}: {one['kind']} {one['message'][-1500:]}" for one in wrong)
    assert not wrong, f"{len(wrong)} of {len(found)}\n{shown[:20000]}"


def check_places(found):
    """Check that each problem of a refused configuration begins with its place, on its line."""
    for one in found:
        if one["kind"] == "refused":
            first, *lines = one["message"].splitlines()
            problems = [line for line in lines if not line.startswith(("    ", "and "))]
            assert problems, (one["name"], first)
            for problem in problems:
                assert re.match(r"config\.yaml(:\d+)?( \(.*?\))?: ", problem), (one, problem)


@pytest.mark.parametrize("size", SIZES)
def test_configurations(size):
    found = outcomes("configurations", size)
    check(found)
    check_places(found)
    kinds = Counter(one["kind"] for one in found)
    assert min(kinds["accepted"], kinds["refused"]) > 0.02 * len(found), kinds


@pytest.mark.parametrize("size", SIZES)
def test_texts(size):
    found = outcomes("texts", size)
    check(found)
    check_places(found)


@pytest.mark.parametrize("size", SIZES)
def test_damaged_episodes(size):
    check(outcomes("episodes", size))


@pytest.mark.parametrize("size", SIZES)
def test_damaged_files_of_several_episodes(size):
    check(outcomes("layouts", size))
