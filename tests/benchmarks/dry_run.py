"""How long `snakemake -n` takes on a finished project, and how much memory, by experiments.

    python tests/benchmarks/dry_run.py 10 100 1000

The results are empty files that `snakemake --touch` records as made with today's settings and code;
what a plan costs does not depend on what is in them.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.project import SMALL, Project

RUN = ("policy/policy.json", "last/policy.json", "metrics.csv", "training_results.json",
       "training.provenance.json", "evaluation.json", "predictions.npz",
       "evaluation.provenance.json")  # fmt: skip
EXPERIMENT = ("timing.json", "timing.html", "timing.provenance.json")
REPEATS = 5


def finished_project(folder: Path, count: int) -> Project:
    """Return a project with that many experiments, all of them up to date."""
    experiments = "".join(
        f"  e{index:04d}: {{training: {{learning_rate: {1e-5 * (index + 1):.5f}}}}}\n"
        for index in range(count)
    )
    project = Project(folder, SMALL[: SMALL.index("experiments:")] + "experiments:\n" + experiments)
    # What all share is really made; the rest is recorded as if it had been.
    shared = ("results/datasets/demo/audit.json", "results/experiments/e0000/seed0/metrics.csv")
    project.build(*shared)
    for index in range(count):
        at = folder / "results/experiments" / f"e{index:04d}"
        for name in (*(f"seed0/{name}" for name in RUN), *EXPERIMENT):
            (at / name).parent.mkdir(parents=True, exist_ok=True)
            (at / name).write_text(f"{index}")
    for name in ("loss_curves", "error_by_dimension", "velocity_traces", "epoch_time"):
        for suffix in ("svg", "png"):
            path = folder / f"results/figures/{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    for name in ("tables/experiments.csv", "tables/epochs.csv", "tables/errors.csv", "report.html"):
        path = folder / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    touched = project.snakemake("--touch", "--cores", "1", timeout=3600)
    assert touched.status == 0, touched.output[-3000:]
    plan = project.plan()
    assert plan == {}, plan
    return project


def main() -> None:
    """Print a line for each number of experiments."""
    counts = [int(argument) for argument in sys.argv[1:]] or [10, 100, 1000]
    print("experiments   jobs   median s   max s   peak MB")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            project = finished_project(Path(folder) / "project", count)
            jobs = 3 * count + 12 * 2 + 9
            seconds = []
            for _ in range(REPEATS):
                started = time.perf_counter()
                process = subprocess.Popen(
                    [sys.executable, "-m", "snakemake", "-n"],
                    cwd=project.folder,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                _, status, usage = _wait(process)
                assert status == 0
                seconds.append(time.perf_counter() - started)
            peak = usage.ru_maxrss / 1e3
            print(
                f"{count:11d} {jobs:6d} {statistics.median(seconds):10.2f} {max(seconds):7.2f} "
                f"{peak:9.0f}",
                flush=True,
            )


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, int, resource.struct_rusage]:
    """Wait for a process; return its memory's peak with its exit status."""
    pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return pid, process.returncode, usage


if __name__ == "__main__":
    main()
