"""The outcomes of a rollout."""

from __future__ import annotations

from typing import Literal, get_args

Outcome = Literal["success", "collision", "wrong_side", "timeout"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
