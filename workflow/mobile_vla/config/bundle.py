"""Settings of bundles: a policy as a folder that runs without PyTorch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from mobile_vla.config.base import Settings
from mobile_vla.config.latency import Latency
from mobile_vla.config.model import TrainedRunSettings
from mobile_vla.config.rollout import DatasetWorld, Rollout
from mobile_vla.config.uncertainty import Uncertainty

BundlePrecision = Literal["fp32", "int8"]


class BundleEntry(Settings):
    """Folders for the robot's computer, of an experiment's first run: docs/bundle.md."""

    precisions: tuple[BundlePrecision, ...] = ()
    """A bundle for each of these number formats, such as ``[fp32, int8]``; empty: none."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.precisions)) != len(self.precisions):
            raise ValueError(f"each precision once, found {', '.join(self.precisions)}")
        return self


class BundleSettings(TrainedRunSettings):
    """What ``export_bundle`` is given: one run of one experiment."""


class QuantiseSettings(Settings):
    """What ``quantise_bundle`` is given."""

    experiment: str
    run: str


class CertifySettings(BundleSettings):
    """What ``certify_bundle`` is given: a run, and how its rollouts and steps are measured."""

    bundle: BundlePrecision
    latency: Latency
    worlds: tuple[DatasetWorld, ...]
    """Those that are known of its dataset; without any the closed loop is left out."""
    rollout: Rollout
    uncertainty: Uncertainty
