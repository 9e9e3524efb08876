"""Result files that a test changes as no stage would have written them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobile_vla.files import read_json, write_json
from mobile_vla.result import SEAL


def rewrite(path: Path, content: Any) -> None:
    """Write the content of a result file without the digest that tells that it was changed."""
    write_json(path, {name: own for name, own in content.items() if name != SEAL})


def change(path: Path, **values: Any) -> None:
    """Change entries of a result file."""
    rewrite(path, {**read_json(path), **values})
