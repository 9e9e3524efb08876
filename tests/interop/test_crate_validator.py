"""The library `roc-validator` accepts the report's crate: `make test-interop`."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from support.crates import make_packable, packed
from support.project import ROOT

PYTHON = ROOT / ".venv-interop/bin/python"
VALIDATOR = ROOT / "tests/interop/validator.py"
METADATA = "ro-crate-metadata.json"


def validated(file: Path) -> dict[str, Any]:
    """Return what the library says of a crate."""
    done = subprocess.run(
        [PYTHON, VALIDATOR, file], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_the_crate_is_a_workflow_run_crate_and_a_spoiled_one_is_none(tmp_path: Path) -> None:
    file = packed(make_packable(tmp_path / "made"), tmp_path / "made")
    assert validated(file) == {"passed": True, "issues": []}
    spoiled = tmp_path / "spoiled.zip"
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(spoiled, "w") as other:
        for name in whole.namelist():
            content = whole.read(name)
            if name == METADATA:
                content = content.replace(b'"instrument"', b'"other"')
            other.writestr(name, content)
    said = validated(spoiled)
    assert not said["passed"] and said["issues"]
