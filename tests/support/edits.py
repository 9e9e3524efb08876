"""The table of edits and what they rerun, and its page in the docs.

python tests/support/edits.py > docs/reruns.md
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).with_name("edits.yaml")

HEAD = """\
# What an edit makes run again

Each row was tried by a dry run on a finished project with two experiments, `lora` and `head_only`,
on twelve simulated episodes: `tests/workflow/test_reruns.py` does so in every `make test`, and this
page is printed from the same table by `python tests/support/edits.py > docs/reruns.md`. A number is
that of the jobs; `report` stands for figures, tables and page.

| edit | in | runs again |
| --- | --- | --- |
"""

FOOT = """
Besides edits: touching every file, `cp -r` of the whole folder, and `git checkout` of another
branch and back rerun nothing. A recorded episode reruns its own ingest and what depends on the
manifest when its bytes change, even under an older time. `--cores` changes nothing. An experiment
that leaves config.yaml leaves the report, and its results stay on disk until `make clean-stale`,
which lists them first.

Without `.snakemake/metadata`, Snakemake has forgotten what results were made with. It then goes by
the times of files alone, and an edit of settings or code is not noticed for results that are there
already. Keep that folder with `results/`, or begin anew with `make clean`.
"""


def rows() -> list[dict[str, Any]]:
    """Return the table."""
    return yaml.safe_load(TABLE.read_text(encoding="utf-8"))


def page() -> str:
    """Return docs/reruns.md."""
    lines = [f"| {row['edit']} | `{row['file']}` | {_words(row['reruns'])} |" for row in rows()]
    return HEAD + "\n".join(lines) + "\n" + FOOT


def _words(reruns: str | dict[str, int]) -> str:
    if isinstance(reruns, str):
        return reruns
    return ", ".join(
        f"{name} {count}" if name != "report" else name for name, count in reruns.items()
    )


if __name__ == "__main__":
    print(page(), end="")
