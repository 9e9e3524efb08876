"""A blind trial in a finished project: its own job, and what reruns it."""

import pytest

from mobile_vla.layout import TrainingFiles, TrialFiles
from mobile_vla.trials.identity import policy_digest
from mobile_vla.trials.result import TrialResult
from support.edits import REPORT, edited, expected, rows
from support.thinning import thinned
from support.trials import POLICIES, drive, scheduled

EDITS = {row["edit"]: row for row in rows() if "trial" in row}
TRIAL = """\
trials:
  hall: {policies: [lora/seed0, head_only/seed0], scenes: trials/hall/scenes.csv, blocks: 3}
"""


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory):
    """A copy of the finished project with a trial, half driven."""
    project = finished.copy(tmp_path_factory.mktemp("trials") / "project")
    project.config += TRIAL
    assert project.plan() == {"trials": 1, **REPORT}
    results = project.folder / "results"
    digests = {}
    for name in POLICIES:
        experiment, run = name.split("/")
        policy = TrainingFiles.below(results, experiment=experiment, run=run).policy
        digests[name] = policy_digest(policy.parent)
    drive(scheduled(project.folder / "trials/hall"), ["success", "timeout"], digests)
    project.build()
    return project


def test_it_is_judged_by_the_policies_of_today_and_reported_under_letters(project):
    found = TrialResult.read(TrialFiles.below(project.folder / "results", trial="hall").trial)
    assert (found.scheduled, found.begun, found.pairs[0].blocks) == (3, 1, 1)
    assert [own.policy for own in found.policies] == ["A", "B"]
    assert found.left_out == []
    page = (project.folder / "results/report.html").read_text()
    assert "1 of 3 blocks were begun" in page


def test_a_finished_project_has_nothing_to_do(project):
    assert project.plan() == {}


@pytest.mark.parametrize("name", thinned(EDITS, 2))
def test_an_edit_reruns_exactly_what_depends_on_it(project, name):
    with edited(project, EDITS[name]):
        assert project.plan() == expected(EDITS[name]["reruns"])
