"""Trials in config.yaml: what is refused before anybody drives."""

from support.config_text import BASE, load, problems

TEXT = (
    BASE
    + """\
  head_only: {finetune: none, seeds: [0, 1]}
  timed: {timing_only: true}
  other: {target: current}
trials:
  hall: {policies: [lora/seed0, head_only/seed1], scenes: trials/hall/scenes.csv, blocks: 60}
"""
)


def test_a_trial_is_read(tmp_path):
    trial = load(TEXT, tmp_path).trials["hall"]
    assert trial.policies == ("lora/seed0", "head_only/seed1")
    assert (trial.scenes, trial.blocks) == ("trials/hall/scenes.csv", 60)


def test_policies_that_cannot_drive_are_refused_each_with_its_place(tmp_path):
    listed = "[lora/seed0, head_only/seed2, lora/seed0, timed/seed0, lora, other/seed0]"
    found = problems(TEXT.replace("[lora/seed0, head_only/seed1]", listed), tmp_path)
    words = {place: problem.found for place, problem in found.items()}
    place = "16 (trials.hall.policies.%d)"
    assert words == {
        place % 1: "no policy of the report is called 'head_only/seed2'",
        place % 2: "'lora/seed0' stands twice",
        place % 3: "no policy of the report is called 'timed/seed0'",
        place % 4: "no policy of the report is called 'lora'",
        "16 (trials.hall.policies)": "lora/seed0 answers linear_x, linear_y, target: next and "
        "other/seed0 answers linear_x, linear_y, target: current",
    }
    assert "'head_only/seed1'" in found[place % 1].expected


def test_an_experiment_or_trial_with_mistakes_is_reported_once(tmp_path):
    found = problems(TEXT.replace("seeds: [0, 1]", "seeds: []"), tmp_path)
    assert list(found) == ["12 (experiments.head_only.seeds)"]
    found = problems(TEXT.replace("blocks: 60", "blocks: 0"), tmp_path)
    assert list(found) == ["16 (trials.hall.blocks)"]
    found = problems(TEXT.replace("[lora/seed0, head_only/seed1]", "[lora/seed0]"), tmp_path)
    assert list(found) == ["16 (trials.hall.policies)"]
