"""What Slurm and Snakemake cost around each job, on the private cluster of the tests.

    python tests/benchmarks/cluster.py

For each job of the tests' smallest report: its time by Slurm, and what of it the stages themselves
say that they took (`seconds` of their provenance, which begins after Python's imports).
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


def elapsed(slurm: Slurm) -> dict[str, float]:
    """Return the seconds of each job that Slurm has run, by its comment."""
    found = {}
    form = "%k|%S|%e"  # comment, start and end
    lines = slurm.call("squeue", "--noheader", "--states=all", f"--format={form}")
    for line in lines.splitlines():
        comment, start, end = line.split("|")
        if comment.startswith("rule_"):
            taken = datetime.fromisoformat(end) - datetime.fromisoformat(start)
            found[comment.removeprefix("rule_")] = taken.total_seconds()
    return found


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
        stages = [
            json.loads(file.read_text())["seconds"]
            for file in (there.folder / "results").rglob("*.provenance.json")
        ]
        episodes = jobs["episodes_ingest_simulate"]
    print(f"report on this machine {times[0]:.0f} s, on the cluster {times[1]:.0f} s")
    print(f"{len(jobs)} Slurm jobs, {sum(jobs.values()):.0f} s in all")
    print(f"{len(stages)} stages, {sum(stages):.0f} s in all by themselves")
    alone = [seconds for name, seconds in jobs.items() if "_wildcards_" in name]
    print(f"a job of one stage: {statistics.median(alone):.0f} s, median of {len(alone)}")
    print(f"around a job: {(sum(jobs.values()) - sum(stages)) / len(jobs):.1f} s, mean")
    print(f"24 episodes simulated and ingested in one job: {episodes:.0f} s")


if __name__ == "__main__":
    main()
