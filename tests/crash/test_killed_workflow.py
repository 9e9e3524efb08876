"""Snakemake and its jobs killed in every way: the same command, or the one it names, goes on."""

import os
import signal
import sys
import time

import psutil
import pytest

from support.long_run import RUN, TARGET, lengthen, saved, training_of


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory):
    """What a long run leaves that nothing happened to."""
    project = finished.copy(tmp_path_factory.mktemp("undisturbed") / "project")
    lengthen(project)
    project.build(TARGET)
    return training_of(project)


@pytest.fixture
def project(copied):
    """A project whose next training takes some seconds."""
    lengthen(copied)
    return copied


def under_way(project):
    """Start Snakemake and wait until its training has saved a state."""
    project.python, forks = sys.executable, project.python  # who is killed is really there
    process = project.start("--cores", "1", TARGET)
    project.python = forks
    until = time.monotonic() + 60
    while not saved(project):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until, "no state was saved"
        time.sleep(0.02)
    return process


def trainings(project):
    """Return the processes that train in the project's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        line = process.info["cmdline"] or []
        here = process.info["cwd"] == str(project.folder)
        if here and "mobile_vla" in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def wait_for_the_end(project, seconds=15):
    until = time.monotonic() + seconds
    while trainings(project):
        assert time.monotonic() < until, "an orphan trains on"
        time.sleep(0.1)


def goes_on(project, undisturbed, *arguments):
    """Run to the end, and check that it went on from the state and came to the same."""
    finished = project.snakemake("--cores", "1", *arguments, TARGET)
    assert finished.status == 0, finished.output
    assert "goes on after step" in finished.output
    assert training_of(project) == undisturbed
    assert not list((project.folder / RUN).glob(".work/*/state-*"))


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_job_is_killed(project, undisturbed, number):
    process = under_way(project)
    (job,) = [found for found in trainings(project) if found.name().startswith("python")]
    job.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    if number == signal.SIGTERM:
        assert "stopped on request after step" in output
    assert not (project.folder / TARGET).exists()
    goes_on(project, undisturbed)


def test_ctrl_c(project, undisturbed):
    process = under_way(project)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    wait_for_the_end(project)
    goes_on(project, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("whole_group", [False, True])
def test_snakemake_is_killed(project, undisturbed, whole_group):
    process = under_way(project)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    wait_for_the_end(project)

    locked = project.snakemake("--cores", "1", TARGET)
    assert locked.status != 0 and "--unlock" in locked.output
    assert project.snakemake("--unlock").status == 0
    incomplete = project.snakemake("--cores", "1", TARGET)
    if incomplete.status != 0:
        assert "--rerun-incomplete" in incomplete.output
        goes_on(project, undisturbed, "--rerun-incomplete")
    else:
        assert "goes on after step" in incomplete.output
        assert training_of(project) == undisturbed


@pytest.mark.long
def test_a_second_snakemake_is_refused_and_the_first_goes_on(project, undisturbed):
    process = under_way(project)
    (job,) = [found for found in trainings(project) if found.name().startswith("python")]
    job.suspend()  # or it might be done before the second has started
    second = project.snakemake("--cores", "1", TARGET)
    job.resume()
    assert second.status != 0 and "LockException" in second.output
    assert process.wait(timeout=120) == 0
    assert training_of(project) == undisturbed
