"""Score one run's best policy on the episodes that neither trained nor selected it."""

from __future__ import annotations

from mobile_vla.config.evaluation import EvaluateSettings
from mobile_vla.data.result import Role
from mobile_vla.evaluation.scoring import ScoredData, write_scores
from mobile_vla.layout import EvaluationFiles
from mobile_vla.machine import use_threads
from mobile_vla.runs.data import open_run
from mobile_vla.runs.inputs import PolicyInputs


def evaluate(
    settings: EvaluateSettings, inputs: PolicyInputs, outputs: EvaluationFiles, *, threads: int
) -> None:
    """Predict every window of the scored episodes, and compare with truth and baselines.

    Args:
        settings: the run.
        inputs: its policy and data.
        outputs: the files to write.
        threads: cores that the job was given.

    Raises:
        UserError: the policy is not the one of this run's settings, data or backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    data = open_run(settings, inputs, settings.precision)
    role: Role = "test" if data.roles.of["test"] else "val"
    scored = ScoredData(data.samples[role], data.roles, role, inputs.split)
    write_scores(settings, inputs.policy, data, scored, outputs)
