"""What a second process brings: windows a second with one and two processes of one thread each.

    python tests/benchmarks/processes.py

The global batch is the same. Needs two cores with nothing else to do.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.project import SMALL, Project

ROUNDS = 3
WIDTHS = (64, 256)
EXPERIMENTS = """\
experiments:
  one: {lora: {r: 16}}
  two: {lora: {r: 16}, training: {processes: 2}}
"""


def project(folder: Path, width: int) -> Project:
    """Return a project whose text model has that width and four layers."""
    text = SMALL[: SMALL.index("experiments:")] + EXPERIMENTS
    for old, new in (
        ("text: {hidden_size: 32, layers: 1, heads: 2, ffn: 32", f"text: {{hidden_size: {width}, "
         f"layers: 4, heads: 4, ffn: {4 * width}"),
        ("image_tokens: 4", "image_tokens: 64"),
        ("batch_size: 8", "batch_size: 16"),
        ("timing: {warmup_steps: 1, steps: 3}", "timing: {warmup_steps: 3, steps: 20}"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    return Project(folder, text)


def rate(made: Project, experiment: str) -> float:
    """Time an experiment anew and return its windows a second."""
    target = f"results/experiments/{experiment}/timing.json"
    made.build(target, "--forcerun", "timing")
    return float(json.loads((made.folder / target).read_text())["windows_per_second"])


def main() -> None:
    """Print a line for each width."""
    print("| width | one process, windows/s | two, windows/s | efficiency |")
    print("| --- | --- | --- | --- |")
    for width in WIDTHS:
        with tempfile.TemporaryDirectory() as folder:
            made = project(Path(folder) / "project", width)
            rounds = [(rate(made, "one"), rate(made, "two")) for _ in range(ROUNDS)]
        one, two = (statistics.median(values) for values in zip(*rounds, strict=True))
        efficiency = statistics.median(b / a / 2 for a, b in rounds)
        print(f"| {width} | {one:.1f} | {two:.1f} | {100 * efficiency:.0f} % |", flush=True)


if __name__ == "__main__":
    main()
