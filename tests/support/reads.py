"""Call a command's function, and print which files below some folders it opens for reading.

python tests/support/reads.py STAGE COMMAND SETTINGS_CLASS RESULTS < settings.json

Opened files are noted by an audit hook, which no library's way of reading evades, in an interpreter
that ends with it. The command line itself is left out: it reads all inputs for their digests.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main(stage: str, command: str, settings: str, folder: str) -> None:
    """Print the files below the results and the report's sources, and the modules imported."""
    sys.path.insert(0, str(ROOT / "workflow"))
    results = Path(folder)
    opened: set[str] = set()

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            path, mode, flags = arguments
            if not (flags or 0) & WRITING and "w" not in (mode or ""):
                opened.add(os.fspath(path))

    given = getattr(importlib.import_module(f"mobile_vla.config.{stage}"), settings)
    function = getattr(importlib.import_module(f"mobile_vla.{stage}.{command}"), command)
    values: dict[str, Any] = {"settings": given.model_validate_json(sys.stdin.read())}
    values["results"] = results
    if command == "compare":
        from mobile_vla.layout import ComparisonFiles

        values["outputs"] = ComparisonFiles.below(results)
    sys.addaudithook(note)
    function(**values)
    # Temporary files, which are opened again to be synchronised, are no longer there.
    folders = (results.resolve(), ROOT / "workflow/report")
    files = {path for path in (Path(name).resolve() for name in opened) if path.is_file()}
    kept = sorted(str(path) for path in files if any(map(path.is_relative_to, folders)))
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps({"opened": kept, "packages": packages}))


if __name__ == "__main__":
    main(*sys.argv[1:])
