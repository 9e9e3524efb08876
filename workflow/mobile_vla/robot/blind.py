"""The policies of a trial behind one server, which picks by the ticket and tells nobody."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from mobile_vla.errors import UserError
from mobile_vla.robot.policy import PolicyOptions, load_robot_policy
from mobile_vla.robot.served import TorchPolicy
from mobile_vla.serving.pictures import Unusable
from mobile_vla.serving.trial import Due, RefusedError
from mobile_vla.trials.files import FOLDER, TrialFolder, now
from mobile_vla.trials.identity import check_distinct
from mobile_vla.trials.ledger import Ledger, judge
from mobile_vla.trials.records import Ending
from mobile_vla.trials.schedule import digests_of, policy_folder, trial_of

log = logging.getLogger(__name__)


class BlindPolicy:
    """A :class:`~mobile_vla.serving.application.ServedPolicy` whose answers look like the others'.

    Args:
        policy: one of the trial's.
        chunk: actions of an answer, as many as every policy of the trial predicts.
        threads: CPU threads that it computes with.
    """

    def __init__(self, policy: TorchPolicy, chunk: int, threads: int):
        self.policy, self.chunk, self.threads = policy, chunk, threads
        self.facts: dict[str, Any] = {}
        self.dimensions, self.ahead = policy.dimensions, policy.ahead[:chunk]
        self.guard = policy.guard

    def begin(self, instruction: str | None) -> tuple[str, Any]:
        """Return the prompt and the state of a new drive."""
        torch.set_num_threads(self.threads)
        return self.policy.begin(instruction)

    def frame(self, image: np.ndarray, color: str) -> np.ndarray:
        """Make a frame of an image."""
        return self.policy.frame(image, color)

    def step(self, state: Any, frame: np.ndarray) -> np.ndarray:
        """Return the part of the chunk that goes out."""
        return self.policy.step(state, frame)[: self.chunk]


class BlindTrial:
    """A :class:`~mobile_vla.serving.trial.Trial` of PyTorch.

    Args:
        name: the trial's.
        ledger: what is due, and where it is written.
        policies: by EXPERIMENT/RUN.
    """

    def __init__(self, name: str, ledger: Ledger, policies: Mapping[str, BlindPolicy]):
        self.name, self.ledger, self.policies = name, ledger, policies
        self.common.facts = {"trial": name}

    @property
    def common(self) -> BlindPolicy:
        """A policy that answers as all of them do."""
        return next(iter(self.policies.values()))

    def warm_up(self) -> None:
        """Predict once with each policy."""
        for policy in self.policies.values():
            torch.set_num_threads(policy.threads)
            policy.policy.warm_up()

    def due(self) -> Due | None:
        """Return what is due."""
        try:
            row, drove = self.ledger.state()
        except UserError as error:
            raise RefusedError(str(error)) from None
        if row is None:
            return None
        return Due(row.ticket, row.block, row.scene, row.instruction, drove)

    def admit(self, ticket: str) -> tuple[BlindPolicy, str]:
        """Return the policy of a ticket and its instruction."""
        try:
            name, row = self.ledger.admit(ticket)
        except UserError as error:
            raise RefusedError(str(error)) from None
        return self.policies[name], row.instruction

    def begin(self, ticket: str) -> None:
        """Note that a drive begins."""
        try:
            self.ledger.begin(ticket)
        except UserError as error:
            raise RefusedError(str(error)) from None

    def end(self, steps: int, seconds: float, ending: str) -> None:
        """Note that the drive has ended."""
        self.ledger.end(now() - timedelta(seconds=seconds), steps, cast(Ending, ending))

    def score(self, ticket: str, outcome: str, reason: str | None, note: str) -> None:
        """Note what came of a drive."""
        try:
            judge(self.ledger.files, ticket, outcome, reason, note)
        except UserError as error:
            raise RefusedError(str(error)) from None


def load_trial(name: str, backbone: Path | None, options: PolicyOptions) -> BlindTrial:
    """Load all policies of a trial, so that none takes longer when its ticket comes.

    Raises:
        UserError: a policy cannot be used here, or answers otherwise than the others; or another
            server drives the trial.
    """
    settings = trial_of(name)
    place = f"config.yaml (trials.{name}.policies)"
    digests = {policy: digest for policy, digest in digests_of(settings).items() if digest}
    missing = [policy for policy in settings.policies if policy not in digests]
    if missing:
        raise UserError(f"{place}: {', '.join(missing)} is not trained; run snakemake first")
    check_distinct(digests, place)
    files = TrialFolder(FOLDER / name)
    ledger = Ledger(files, digests)
    drawn = files.key().letters
    if set(drawn) != set(settings.policies):
        raise UserError(
            f"{place}: found {', '.join(settings.policies)}, expected {', '.join(sorted(drawn))}, "
            "for which the schedule was drawn"
        )
    loaded: dict[str, tuple[TorchPolicy, int]] = {}
    for policy in settings.policies:
        served = TorchPolicy(load_robot_policy(policy_folder(policy), backbone, options))
        loaded[policy] = served, torch.get_num_threads()
    policies = alike(loaded, place)
    instructions = {row.instruction: row for row in files.schedule()}
    for policy, blind in policies.items():
        for instruction, row in instructions.items():
            try:
                blind.begin(instruction)
            except Unusable as error:
                raise UserError(
                    f"{files.path} (scene {row.scene}): {policy} cannot be given {instruction!r}: "
                    f"{error}"
                ) from None
    return BlindTrial(name, ledger, policies)


def alike(loaded: Mapping[str, tuple[TorchPolicy, int]], place: str) -> dict[str, BlindPolicy]:
    """Return policies whose answers have one form: the actions that all of them predict.

    Args:
        loaded: by EXPERIMENT/RUN the policy, and the threads that it computes with.
        place: of the setting that names them.

    Raises:
        UserError: their dimensions or the times of their actions differ.
    """
    forms = {
        policy: f"{', '.join(served.dimensions)}, the first {served.ahead[0]} steps ahead"
        for policy, (served, _) in loaded.items()
    }
    if len(set(forms.values())) > 1:
        said = " and ".join(f"{policy} answers {form}" for policy, form in forms.items())
        raise UserError(f"{place}: {said}; expected the same of all, or answers tell them apart")
    chunk = min(len(served.ahead) for served, _ in loaded.values())
    return {
        policy: BlindPolicy(served, chunk, threads) for policy, (served, threads) in loaded.items()
    }
