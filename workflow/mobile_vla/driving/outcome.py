"""The names of a rollout's outcomes; ``simulation.outcome_of`` decides which applies."""

from __future__ import annotations

from typing import Literal, get_args

Outcome = Literal["success", "collision", "wrong_side", "timeout"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
