"""How long `snakemake -n` takes on a finished project, and how much memory, by experiments.

    python tests/benchmarks/dry_run.py 10 100 1000

One experiment is really run. The others have copies of its results, of which Snakemake has no
record, and `snakemake --touch` records what was made of all. With `--forceall` it records the
copies, too, in a quarter of an hour for 1,000 experiments; a plan then costs the same.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.project import SMALL, Project

REPEATS = 5
FIRST = "e0000"
EXPERIMENTS = "results/experiments"


def finished_project(folder: Path, count: int) -> tuple[Project, int]:
    """Return a project with that many experiments, all up to date, and its number of jobs."""
    shared = SMALL[: SMALL.index("experiments:")] + "experiments:\n"
    own = "  e{index:04d}: {{training: {{learning_rate: {rate:.5f}}}}}\n"
    lines = [own.format(index=index, rate=1e-5 * (index + 1)) for index in range(count)]
    project = Project(folder, shared + lines[0])
    project.build()
    project.config = shared + "".join(lines)
    jobs = sum(project.plan("--forceall").values())
    made = folder / EXPERIMENTS / FIRST
    for index in range(1, count):
        shutil.copytree(made, made.with_name(f"e{index:04d}"))
    touched = project.snakemake("--touch", "--cores", "1", timeout=3600)
    assert touched.status == 0, touched.output[-3000:]
    plan = project.plan()
    assert plan == {}, plan
    return project, jobs


def main() -> None:
    """Print a line for each number of experiments."""
    counts = [int(argument) for argument in sys.argv[1:]] or [10, 100, 1000]
    print("experiments   jobs   median s   max s   peak MB")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            project, jobs = finished_project(Path(folder) / "project", count)
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
