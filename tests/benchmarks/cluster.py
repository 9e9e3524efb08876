"""What Slurm and Snakemake cost around each job, on the private cluster of the tests.

    python tests/benchmarks/cluster.py

For each job of the tests' smallest report, as many at a time as the two nodes take, and then for
one job by itself: its time by Slurm, and what of it the stages themselves say that they took
(`seconds` of their provenance, which begins after Python's imports).
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.project import ROOT, Project
from support.slurm import Slurm

PROFILES = (
    "--profile",
    "workflow/profiles/slurm",
    "--profile",
    str(ROOT / "tests/cluster/profile"),
)
ALONE = "results/backbones/tiny/backbone"
ROUNDS = 3


def elapsed(slurm: Slurm) -> list[tuple[str, float]]:
    """Return the comment and the seconds of each job that Slurm has run, the first one first."""
    found = []
    form = "%k|%S|%e"  # comment, start and end
    lines = slurm.call("squeue", "--noheader", "--states=all", "--sort=i", f"--format={form}")
    for line in lines.splitlines():
        comment, start, end = line.split("|")
        if comment.startswith("rule_"):
            taken = datetime.fromisoformat(end) - datetime.fromisoformat(start)
            found.append((comment.removeprefix("rule_"), taken.total_seconds()))
    return found


def seconds_of(record: Path) -> float:
    """Return what a stage says that it took."""
    return float(json.loads(record.read_text())["seconds"])


def alone(slurm: Slurm, project: Project) -> tuple[float, float]:
    """Return the medians of the seconds around one job, and from `snakemake` to its end."""
    around, whole = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        done = project.snakemake(f"{ALONE}.json", "--forcerun", "random_backbone", *PROFILES)
        assert done.status == 0, done.output
        whole.append(time.perf_counter() - started)
        record = project.folder / f"{ALONE}.provenance.json"
        around.append(elapsed(slurm)[-1][1] - seconds_of(record))
    return statistics.median(around), statistics.median(whole)


def main() -> None:
    """Make the report on this machine and on the cluster, and print what a job costs."""
    with tempfile.TemporaryDirectory() as folder, Slurm() as slurm:
        here, there = Project(Path(folder) / "here"), Project(Path(folder) / "there")
        there.environment = slurm.environment
        times = []
        for project, arguments in ((here, ("--cores", "2")), (there, PROFILES)):
            started = time.perf_counter()
            done = project.snakemake("results/report.html", *arguments)
            assert done.status == 0, done.output
            times.append(time.perf_counter() - started)
        jobs = elapsed(slurm)
        stages = list(map(seconds_of, (there.folder / "results").rglob("*.provenance.json")))
        own = alone(slurm, there)
    total = sum(seconds for _, seconds in jobs)
    print(f"report on this machine {times[0]:.0f} s, on the cluster {times[1]:.0f} s")
    print(f"{len(jobs)} Slurm jobs, {total:.0f} s in all")
    print(f"{len(stages)} stages, {sum(stages):.0f} s in all by themselves")
    print(f"around a job: {(total - sum(stages)) / len(jobs):.1f} s, mean")
    print(f"12 episodes simulated and ingested: {dict(jobs)['episodes_ingest_simulate']:.0f} s")
    print(f"around a job by itself: {own[0]:.1f} s; from `snakemake` to its end {own[1]:.1f} s")


if __name__ == "__main__":
    main()
