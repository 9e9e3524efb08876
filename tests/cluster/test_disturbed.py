"""A training as a Slurm job, disturbed in every way: it ends like one that nothing happened to."""

import re
import signal
import time

import pytest

from support.long_run import TARGET, lengthen, saved, training_of

LOG = "results/logs/train/head_only/seed0.log"
PATIENCE = 240  # seconds; Snakemake asks for the state of its jobs ever more rarely


@pytest.fixture(scope="module")
def undisturbed(slurm, finished, tmp_path_factory):
    """What the training leaves on this machine, without Slurm."""
    project = finished.copy(tmp_path_factory.mktemp("undisturbed") / "project")
    lengthen(project)
    project.build(TARGET)
    return training_of(project)


@pytest.fixture
def project(slurm, copied):
    """A project of a user of the cluster, whose next training takes some seconds."""
    lengthen(copied)
    copied.environment = slurm.environment
    yield copied
    slurm.scancel("--user", "root")


class Submitted:
    """Snakemake under way, with its training as a Slurm job."""

    def __init__(self, slurm, project, *arguments):
        self.slurm, self.project = slurm, project
        self.before = {job["id"] for job in slurm.jobs()}
        self.process = project.start(TARGET, *arguments)

    def jobs(self):
        """Return the training's jobs, the first attempt first."""
        mine = [job for job in self.slurm.jobs() if job["id"] not in self.before]
        return [job for job in mine if job["comment"].startswith("rule_train")]

    def trains(self):
        """Wait until a job has saved a state, and return it."""

        def it_does():
            assert self.process.poll() is None, self.process.communicate()[0]
            return saved(self.project) and self.jobs()[-1]["state"] == "RUNNING"

        self.slurm.wait(it_does, "the job does not train", PATIENCE)
        return self.jobs()[-1]

    def output(self):
        """Wait for the end and return what Snakemake said."""
        output, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, output
        return output

    def saves(self):
        """Wait until the training says that it has stopped on request, before the next one does."""
        log, said = self.project.folder / LOG, r"stopped on request after step \d+"
        self.slurm.wait(lambda: re.search(said, log.read_text()), "it does not stop as asked")

    def log_of(self, job):
        """Return what a job that failed has said."""
        (log,) = self.project.folder.glob(f".snakemake/slurm_logs/**/{job['id']}.log")
        return log.read_text()


@pytest.fixture
def submitted(slurm, project, arguments):
    """Start the training on the cluster; what is left of it is killed after the test."""
    started = []

    def start(*more):
        started.append(Submitted(slurm, project, *arguments, *more))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def last_log(project):
    return (project.folder / LOG).read_text()


def test_cancelled(submitted, project, slurm, undisturbed):
    run = submitted()
    slurm.scancel(run.trains()["id"])
    run.saves()
    run.output()
    first, second = run.jobs()
    assert [first["state"], second["state"]] == ["CANCELLED", "COMPLETED"]
    assert "goes on after step" in last_log(project)
    assert training_of(project) == undisturbed


def test_killed_by_the_memory_limit_it_gets_more(submitted, project, slurm, undisturbed):
    run = submitted("--set-resources", "train:mem_mb=300 * 4 ** (attempt - 1)")
    run.output()
    first, second = run.jobs()
    assert first["state"] in ("OUT_OF_MEMORY", "CANCELLED", "FAILED")
    assert "memory" in run.log_of(first)
    asked = [slurm.call("scontrol", "show", "job", job["id"]) for job in (first, second)]
    assert ["mem=300M" in asked[0], "mem=1200M" in asked[1]] == [True, True]
    assert second["state"] == "COMPLETED"
    assert training_of(project) == undisturbed


def test_preempted_and_requeued(submitted, project, slurm, undisturbed):
    run = submitted()
    job = run.trains()
    urgent = ["sbatch", "-p", "urgent", "-w", job["node"], "-c", str(slurm.cpus), "-t", "1"]
    slurm.call(*urgent, "--output=/dev/null", "--wrap=sleep 1")

    def waits():
        return run.jobs()[-1]["state"] == "PENDING"

    slurm.wait(waits, "the training was not preempted")
    # Slurm gives a requeued job two minutes before it may start again.
    slurm.call("scontrol", "update", f"JobId={job['id']}", "StartTime=now")
    run.output()
    (only,) = run.jobs()
    assert only["id"] == job["id"] and only["state"] == "COMPLETED"
    assert "Restarts=1" in slurm.call("scontrol", "show", "job", job["id"])
    assert "goes on after step" in last_log(project)
    assert training_of(project) == undisturbed


def test_a_node_daemon_is_killed_and_comes_back(submitted, project, slurm, undisturbed):
    run = submitted()
    node = run.trains()["node"]
    slurm.stop_node(node, signal.SIGKILL)
    time.sleep(3)  # long enough to be missed
    slurm.start_node(node)
    run.output()
    assert run.jobs()[-1]["state"] == "COMPLETED"
    assert training_of(project) == undisturbed


def test_warned_of_the_time_limit(submitted, project, slurm, undisturbed):
    run = submitted()
    slurm.call("scancel", "--signal=TERM", run.trains()["id"])  # as `sbatch --signal` has it sent
    run.saves()
    run.output()
    first, second = run.jobs()
    assert [first["state"], second["state"]] == ["FAILED", "COMPLETED"]
    limits = [slurm.call("scontrol", "show", "job", job["id"]) for job in (first, second)]
    hours = [re.search(r"TimeLimit=(\d+):", limit)[1] for limit in limits]
    assert int(hours[1]) == 2 * int(hours[0])
    assert training_of(project) == undisturbed


def test_the_jobs_of_a_killed_snakemake_keep_a_second_one_out(submitted, project, slurm):
    run = submitted()
    orphan = run.trains()
    run.process.kill()
    run.process.communicate()
    # Stopped, or it would be done before the second has asked for the lock.
    slurm.call("scancel", "--signal=STOP", orphan["id"])
    assert project.snakemake("--unlock").status == 0
    second = submitted("--retries", "0")
    second.process.communicate(timeout=PATIENCE)
    assert second.process.returncode != 0
    refused = last_log(project)
    assert "trains this run already" in refused and f"scancel {orphan['id']}" in refused
    slurm.scancel(orphan["id"])


def test_ctrl_c_cancels_the_jobs(submitted, project, slurm, undisturbed):
    run = submitted()
    job = run.trains()
    run.process.send_signal(signal.SIGINT)
    run.process.communicate(timeout=PATIENCE)

    def cancelled():
        return run.jobs()[-1]["state"] == "CANCELLED"

    slurm.wait(cancelled, "the job runs on")
    again = submitted()
    again.output()
    assert "goes on after step" in last_log(project)
    assert again.jobs()[-1]["id"] != job["id"]
    assert training_of(project) == undisturbed
