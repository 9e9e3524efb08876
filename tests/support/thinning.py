"""Cases of one test of which `make test` keeps some; `make test-long` runs the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], every: int) -> list[Any]:
    """Return the cases for ``parametrize``: one of ``every`` in `make test`, the first one too.

    A case of several arguments is a tuple, and is named as pytest would name it.
    """
    found = []
    for number, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        marks = [pytest.mark.long] if number % every else []
        found.append(pytest.param(*values, marks=marks))
    return found
