"""The table of edits and what they rerun, and its page in the docs.

python tests/support/edits.py    writes it there anew
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:  # as a script, it finds no other module of the tests
    from support.project import Project

TABLE = Path(__file__).with_name("edits.yaml")
PAGE = Path(__file__).parents[2] / "docs/reruns.md"
REPORT = {"figures": 1, "tables": 1, "page": 1}

HEAD = """\
# What an edit reruns

Jobs that rerun after an edit of a finished project with two experiments, `lora` and `head_only`, on
twelve simulated episodes; for the rows about folders, on recorded ones with a local checkpoint; for
those about files of several episodes, `fields` and tables of scenarios, on six episodes in a file;
for those about mixtures, `mixed` on two simulated datasets and `alone` on the first of them; for
those of a trial both experiments take part in one; for those about videos, one experiment on eight
episodes in a video. `report` stands for figures, tables and page. Each row is checked by a test in
`tests/workflow`: `test_reruns.py`, `test_moved.py`, `test_other_layouts.py`, `test_mixture.py`,
`test_trial_reruns.py` or `test_lerobot_datasets.py`. `make docs` writes this page.

| edit | in | reruns |
| --- | --- | --- |
"""

FOOT = """
Touching every file, `cp -r` of the whole folder, `git checkout` of another branch and back, and
another `--cores` rerun nothing. A recorded episode whose bytes change reruns its ingest and what
depends on the manifest, even if the file's time is older. Where recorded episodes, a LeRobotDataset
or a local checkpoint lies is part of no result. An experiment that is removed from config.yaml
leaves the report; its results stay on disk until `make clean-stale` removes them.

Keep `.snakemake/metadata` with `results/`: it records what results were made with. Without it
Snakemake compares times of files only, and does not notice edits of settings or code. To begin
again, run `make clean`.
"""


def rows() -> list[dict[str, Any]]:
    """Return the table."""
    return yaml.safe_load(TABLE.read_text(encoding="utf-8"))


def expected(reruns: str | Mapping[str, int]) -> dict[str, int]:
    """Return the jobs that a row of the table names, by rule."""
    if isinstance(reruns, str):
        return {}  # nothing
    jobs = {name: count for name, count in reruns.items() if name != "report"}
    return {**jobs, **(REPORT if "report" in reruns else {})}


@contextmanager
def edited(project: Project, row: Mapping[str, str]) -> Iterator[None]:
    """Make a row's edit, and undo it at the end, the file's time included.

    A row without an old text is about a file that is not there before.
    """
    file = project.folder / row["file"]
    if "old" not in row:
        file.write_text(row["new"])
        yield
        file.unlink()
        return
    before, times = file.read_bytes(), file.stat()
    project.edit(row["file"], row["old"], row["new"])
    try:
        yield
    finally:
        file.write_bytes(before)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def page() -> str:
    """Return docs/reruns.md."""
    lines = [
        f"| {row['edit']} | {_place(row['file'])} | {_words(row['reruns'])} |" for row in rows()
    ]
    return HEAD + "\n".join(lines) + "\n" + FOOT


def _place(file: str) -> str:
    return "nothing" if file == "nothing" else f"`{file}`"


def _words(reruns: str | dict[str, int]) -> str:
    if isinstance(reruns, str):
        return reruns
    return ", ".join(
        f"{name} {count}" if name != "report" else name for name, count in reruns.items()
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
