"""Make the library and the tests' helpers importable without an installation."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent

sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(TESTS.parent / "workflow"))
