"""What an edit makes run again: that, and nothing else."""

import re

import pytest

from support.project import Project

AGGREGATES = {"figures": 1, "tables": 1, "page": 1}
CHAIN = {"train": 1, "timing": 1, "evaluate": 1}


def test_a_fresh_clone_shows_the_whole_plan(tmp_path):
    project = Project(tmp_path / "project")
    finished = project.snakemake("-n")
    assert finished.status == 0
    assert "<TBD>" not in finished.output
    assert finished.jobs() == {
        "simulate": 12,
        "ingest": 12,
        "manifest": 1,
        "split": 1,
        "audit_dataset": 1,
        "random_backbone": 1,
        "features": 2,
        "train": 2,
        "timing": 2,
        "evaluate": 2,
        **AGGREGATES,
    }


def test_a_finished_project_has_nothing_to_do(finished):
    assert finished.plan() == {}


def test_a_copy_of_the_folder_has_nothing_to_do(copied):
    assert copied.plan() == {}


EDITS = {
    "a new experiment": (
        ("config.yaml", "  head_only:", "  r2:\n    lora: {r: 2}\n  head_only:"),
        {**CHAIN, **AGGREGATES},
    ),
    "a removed experiment": (
        ("config.yaml", "  head_only:\n    finetune: none\n", ""),
        AGGREGATES,
    ),
    "one experiment's rank": (("config.yaml", "r: 4", "r: 8"), {**CHAIN, **AGGREGATES}),
    "a comment": (("config.yaml", "datasets:", "# mine\ndatasets:"), {}),
    "a quoted number": (("config.yaml", "chunk: 4", 'chunk: "4"'), {}),
    "another scene": (
        ("config.yaml", "scenes: 6", "scenes: 7"),
        {
            "simulate": 2,
            "ingest": 2,
            "manifest": 1,
            "split": 1,
            "audit_dataset": 1,
            "features": 2,
            "train": 2,
            "timing": 2,
            "evaluate": 2,
            **AGGREGATES,
        },
    ),
    "another split": (
        ("config.yaml", "stratify_by: [side]", "seed: 1, stratify_by: [side]"),
        {"split": 1, "train": 2, "timing": 2, "evaluate": 2, **AGGREGATES},
    ),
    "the prompt": (
        ("config.yaml", "pass on the", "drive by the"),
        {"features": 1, "train": 2, "timing": 2, "evaluate": 2, **AGGREGATES},
    ),
    "how many windows are evaluated at a time": (
        ("config.yaml", "  window: 3", "  evaluation: {batch_size: 5}\n  window: 3"),
        {"evaluate": 2, **AGGREGATES},
    ),
    "how many steps are timed": (
        ("config.yaml", "steps: 3}", "steps: 4}"),
        {"timing": 2, **AGGREGATES},
    ),
    "metrics code": (
        ("workflow/mobile_vla/evaluation/metrics.py", "BLOCK = 4096", "BLOCK = 2048"),
        {"evaluate": 2, **AGGREGATES},
    ),
    "the caption of a figure": (
        ("workflow/report/page.html.j2", "</html>", "<!-- end --></html>"),
        {"page": 1},
    ),
    "a docstring": (
        ("workflow/mobile_vla/data/windows.py", '"""Windows: which', '"""The windows: which'),
        {},
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_exactly_what_depends_on_it(copied, name):
    edit, expected = EDITS[name]
    copied.edit(*edit)
    assert copied.plan() == expected


def test_the_reason_names_the_module_that_changed(copied):
    copied.edit("workflow/mobile_vla/evaluation/metrics.py", "BLOCK = 4096", "BLOCK = 2048")
    reasons = re.findall(r"reason: Params have changed.*", copied.snakemake("-n").output)
    assert reasons and all("mobile_vla.evaluation.metrics" in reason for reason in reasons)


def test_cores_rerun_nothing(finished):
    assert finished.plan("--cores", "1") == finished.plan("--cores", "2") == {}
