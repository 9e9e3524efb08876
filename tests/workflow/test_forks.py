"""The tests' forks behave as an interpreter that is started anew."""

import os
import signal
import subprocess
import sys

import pytest

from support.project import Project

TELL = """\
import os, sys
print(os.getcwd(), os.environ["WORD"], sys.argv[1:], "torch" in sys.modules, sys.stdin.read())
sys.exit(3)
"""
KILL = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
WAIT = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("forks") / "project")


def start(project, main, *arguments):
    """Start a command of the project's library, whose main module is another one."""
    (project.folder / "workflow/mobile_vla/__main__.py").write_text(main)
    library = {"PYTHONPATH": str(project.folder / "workflow"), "WORD": "word"}
    return subprocess.Popen(
        [project.python, "-m", "mobile_vla", *arguments],
        cwd=project.folder,
        env={**os.environ, **library},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("command", "with_torch"), [("split", False), ("train", True)])
def test_a_fork_runs_the_projects_library_in_its_folder(project, command, with_torch):
    process = start(project, TELL, command, "--a", "b c")
    output, _ = process.communicate("given", timeout=300)
    arguments = [command, "--a", "b c"]
    assert output == f"{project.folder} word {arguments} {with_torch} given\n"
    assert process.returncode == 3


def test_a_killed_fork_is_a_killed_process(project):
    assert start(project, KILL, "split").wait(timeout=300) == -signal.SIGKILL


def test_a_signal_reaches_the_fork(project):
    process = start(project, WAIT, "split")
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.wait(timeout=300) == 128 + signal.SIGTERM


def test_all_else_is_run_by_the_interpreter(project):
    asked = [project.python, "-c", "import sys; print(sys.executable)"]
    assert subprocess.check_output(asked, text=True).strip() == sys.executable
