"""Settings of the evaluation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mobile_vla.config.base import Settings
from mobile_vla.config.features import Precision
from mobile_vla.config.model import PolicySettings
from mobile_vla.config.windows import Windows


class Evaluation(Settings):
    """How a policy is scored."""

    batch_size: Annotated[int, Field(ge=1)] = 64
    """Windows evaluated at a time."""


class EvaluateSettings(Settings):
    """What the ``evaluate`` stage is given: one run of one experiment."""

    experiment: str
    run: str
    fold: Annotated[int, Field(ge=0)] = 0
    subset: Annotated[int, Field(ge=1)] | None = None
    windows: Windows
    policy: PolicySettings
    precision: Precision
    threads: Annotated[int, Field(ge=1)]
    evaluation: Evaluation
