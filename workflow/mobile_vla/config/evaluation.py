"""Settings of the evaluation."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from mobile_vla.config.base import Count, NotNegative, Positive, Settings
from mobile_vla.config.model import TrainedRunSettings
from mobile_vla.config.uncertainty import Uncertainty


class DeadBand(Settings):
    """The largest absolute command that counts as 0, in command units."""

    linear_x: NotNegative = 0.5
    """Of linear_x; the default is a little less than half a key press."""
    linear_y: NotNegative = 0.5
    """Of linear_y."""
    angular_z: NotNegative = 0.1
    """Of angular_z, whose key presses are smaller."""


class Evaluation(Settings):
    """How a policy is scored."""

    batch_size: Count = 64
    """Windows evaluated at a time."""
    dead_band: DeadBand = DeadBand()
    """Which commands count as 0 when directions and motions are compared."""
    tolerances: Annotated[tuple[Positive, ...], Field(min_length=2)] = (
        *(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2),
    )
    """Errors in command units at which the share of matching steps is reported."""
    neighbours: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 4, 8, 16, 32)
    """Of these numbers the nearest-neighbours baseline takes the best on validation."""
    ridge: Annotated[tuple[Positive, ...], Field(min_length=1)] = (
        *(0.001, 0.01, 0.1, 1.0, 10.0, 100.0),
    )
    """Of these penalties the ridge baseline takes the best on validation."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        for name in ("tolerances", "neighbours", "ridge"):
            values = getattr(self, name)
            if list(values) != sorted(set(values)):
                raise ValueError(f"{name}: each value once and rising, found {list(values)}")
        return self


class EvaluateSettings(TrainedRunSettings):
    """What the ``evaluate`` stage is given: one run of one experiment."""

    huber_delta: Positive
    evaluation: Evaluation
    uncertainty: Uncertainty
