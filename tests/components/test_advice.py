"""Advice of the report: each rule with results that trigger it, and results that must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from mobile_vla.audit.result import (
    CoveredCell,
    WindowYield,
)
from mobile_vla.config.split import Split
from mobile_vla.data.split import make_folds
from mobile_vla.reporting.advice import recording, scoring, training
from mobile_vla.reporting.advice.facts import Advice
from mobile_vla.reporting.advice.rules import RULES, SHOWN, advise
from mobile_vla.reporting.load import DatasetFacts, Run
from mobile_vla.reporting.sweeps import Point, SweepTable
from mobile_vla.texts import Texts
from support.advice_facts import FLAT, dataset, equal_drives, facts_of, losses, run_of, stored
from support.comparisons import compared, judged
from support.report import ENGLISH

KOREAN = Texts.of("ko")


def test_where_there_is_nothing_to_advise_nothing_is_said() -> None:
    assert advise(facts_of()) == []


def test_the_first_rules_that_apply_are_shown() -> None:
    cells = dataset().audit.coverage
    absent = tuple(own.model_copy(update={"episodes": 0}) for own in cells[:2])
    same = equal_drives(11, 13)
    bad = facts_of(
        compared(judged("lora", "inconclusive", episodes=4)),
        run_of(epochs=losses(1.0, 0.9, 0.8, 0.7, 0.6, 0.5)),
        dataset(coverage=(*absent, *cells[2:]), **same),
    )
    found = [rule(bad) for rule in RULES]
    assert advise(bad) == [own for own in found if own is not None][:SHOWN]
    assert len(advise(bad)) == SHOWN < len([own for own in found if own])


# What is scored.


def usable(facts: DatasetFacts, count: int, kind: str = "holdout") -> DatasetFacts:
    """Return a dataset with so many episodes."""
    every = facts.manifest.episodes
    episodes = tuple(
        every[index % len(every)].model_copy(
            update={"episode": f"{every[index % len(every)].episode}_{index}", "group": str(index)}
        )
        for index in range(count)
    )
    settings = facts.split.settings.model_copy(update={"kind": kind})
    return replace(
        facts,
        manifest=facts.manifest.model_copy(update={"episodes": episodes}),
        split=facts.split.model_copy(update={"settings": settings}),
    )


def scoring_advice(
    count: int, outcome: str, tested: int, needed: int | None, kind: str = "holdout"
) -> Advice | None:
    own = judged("lora", outcome, episodes=tested)
    own["verdict"] |= {"needed": needed, "episodes": tested}
    return scoring.larger_test(facts_of(compared(own), data=usable(dataset(), count, kind)))


@pytest.mark.parametrize(
    ("count", "outcome", "tested", "needed", "does", "because"),
    [
        (
            100,
            "no_verdict",
            15,
            None,
            {"test": 0.08},
            "No test episode was scored. A verdict takes",
        ),
        (100, "inconclusive", 15, 28, {"test": 0.28}, "takes about 28 test episodes"),
        (100, "inconclusive", 15, 60, {"kind": "kfold"}, "would leave too few of the 100 usable"),
        (
            13,
            "no_verdict",
            2,
            None,
            {"kind": "kfold"},
            "takes at least 8 test episodes; a test set",
        ),
        (
            60,
            "inconclusive",
            15,
            400,
            {"kind": "kfold"},
            "folds score all that there are, and more have to be",
        ),
    ],
)
def test_more_test_episodes_by_a_split_that_works(
    count: int,
    outcome: str,
    tested: int,
    needed: int | None,
    does: dict[str, Any],
    because: str,
) -> None:
    found = scoring_advice(count, outcome, tested, needed)
    assert found is not None and because in found.evidence
    split = yaml.safe_load(found.lines)["datasets"]["demo"]["split"]
    assert does.items() <= split.items()
    checked = TypeAdapter[Split](Split).validate_python(split)
    folds = make_folds(usable(dataset(), count).manifest.episodes, checked)
    assert not any(fold.cells_without_validation() for fold in folds)


def test_so_few_episodes_that_no_split_would_do() -> None:
    found = scoring_advice(5, "inconclusive", 1, None)
    assert found is not None and found.lines == "demo: record 3 more episodes"


@pytest.mark.parametrize(
    ("count", "outcome", "tested", "needed", "kind"),
    [
        (100, "beats", 15, None, "holdout"),
        (100, "does_not_beat", 15, None, "holdout"),
        (100, "inconclusive", 15, None, "holdout"),  # what is seen is no difference to be shown
        (60, "inconclusive", 60, 90, "kfold"),  # all are scored already
        (60, "inconclusive", 20, 40, "leave_one_out"),  # it asks another question than a k-fold
    ],
)
def test_no_more_test_episodes_where_they_would_not_help(
    count: int, outcome: str, tested: int, needed: int | None, kind: str
) -> None:
    assert scoring_advice(count, outcome, tested, needed, kind) is None


def test_a_tie_that_more_test_episodes_would_separate() -> None:
    pair = compared(judged("a", "beats"), judged("b", "beats"), needed=25)
    data = usable(dataset(), 100)
    found = scoring.larger_test(facts_of(pair, data=data))
    assert found is not None and "Settling which of a and b is ahead" in found.evidence
    told = compared(judged("a", "beats"), judged("b", "beats"), ahead=[("a", "b")], needed=25)
    assert scoring.larger_test(facts_of(told, data=data)) is None


# What to record.


def test_drives_that_differ_where_a_replay_does_as_well() -> None:
    lost = compared(judged("lora", "inconclusive"))
    found = recording.drives(facts_of(lost, data=dataset(**equal_drives(11, 13))))
    assert found is not None
    assert found.text == "Record 10 drives for demo that differ from the others."  # 11 of 23
    assert found.evidence.startswith("11 of 13 drives with side left have the same commands.")
    assert found.lines.splitlines() == [
        f"left {rest}: record 3 more episodes"
        for rest in ("close core", "close variant", "medium core", "medium variant")
    ]
    assert recording.drives(facts_of(data=dataset(**equal_drives(11, 13)))) is None  # it is ahead
    calm = dataset(**{**equal_drives(11, 13), "findings": ()})  # the audit warns of nothing
    assert recording.drives(facts_of(lost, data=calm)) is None


def test_combinations_that_were_never_recorded() -> None:
    cells = dataset().audit.coverage
    absent = tuple(own.model_copy(update={"episodes": 0}) for own in cells[:5])
    found = recording.coverage(facts_of(data=dataset(coverage=(*absent, *cells[5:]))))
    assert found is not None and found.evidence.startswith("5 of 12 combinations")
    assert found.lines.splitlines()[0] == "left close core: record 3 more episodes"
    assert found.lines.splitlines()[-1] == "and 1 more combination"
    unknown = CoveredCell(cell={"side": "left", "distance": "unknown"}, episodes=30)
    nameless = tuple(own.model_copy(update={"episodes": 0}) for own in cells)
    assert recording.coverage(facts_of(data=dataset(coverage=(*nameless, unknown)))) is None


def of_size(name: str, subset: int | None, episodes: int) -> Run:
    run = run_of(name)
    settings = run.settings.model_copy(
        update={"settings": {**run.settings.settings, "subset": subset}}
    )
    trained = run.training.model_copy(
        update={"episodes": {"train": episodes, "val": 3, "test": 12}}
    )
    return replace(run, settings=settings, training=trained)


def test_more_training_episodes_while_they_lower_the_error() -> None:
    runs = (of_size("few", 20, 20), of_size("all", None, 40))
    scores = compared(judged("all", "beats"), judged("few", "beats"), ahead=[("all", "few")])
    found = recording.more_data(facts_of(scores, runs=runs))
    assert found is not None and found.text.endswith("than the 40 of today.")
    gain = "from 20 to 40 training episodes lowered the error by 0.0100 (0.00500 to 0.0200) "
    assert gain in found.evidence and "the next 20 bring about as much at best" in found.evidence
    assert found.lines == "demo: record 15 more episodes"  # 20 of 40, as of all 30
    left = recording.more_data(facts_of(scores, runs=(runs[0], of_size("all", 40, 40))))
    assert left is not None
    assert yaml.safe_load(left.lines) == {"experiments": {"all": {"subset": None}}}
    tied = compared(judged("all", "beats"), judged("few", "beats"))
    assert recording.more_data(facts_of(tied, runs=runs)) is None
    reverse = compared(judged("few", "beats"), judged("all", "beats"), ahead=[("few", "all")])
    assert recording.more_data(facts_of(reverse, runs=runs)) is None
    assert recording.more_data(facts_of(scores, runs=runs[:1])) is None
    alike = (of_size("few", 40, 40), of_size("all", None, 40))
    assert recording.more_data(facts_of(scores, runs=alike)) is None


# How to train.


def ignoring(*prompts: str) -> Run:
    language = stored()[0].language
    said = {**language.prompts, "right": list(prompts)}
    return run_of(
        language=language.model_copy(update={"verdict": "language ignored", "prompts": said})
    )


def test_a_prompt_that_is_the_same_for_all_teaches_nothing() -> None:
    found = training.language(facts_of(run=ignoring("Drive on")))
    assert found is not None and "have the prompt “Drive on”" in found.evidence
    (changed,) = yaml.safe_load(found.lines)["experiments"].values()
    assert changed == {"prompt": {"template": "Drive on on the {side} side"}}
    # with prompts that differ, the cause is not known
    assert training.language(facts_of(run=ignoring("Drive left", "Drive right"))) is None
    assert training.language(facts_of()) is None  # it uses its prompt


def test_one_side_alone_teaches_no_prompt() -> None:
    left = tuple(
        own.model_copy(update={"episodes": 5 if own.cell["side"] == "left" else 0})
        for own in dataset().audit.coverage
    )
    found = training.language(facts_of(run=ignoring("Drive"), data=dataset(coverage=left)))
    assert found is not None and found.text == "Record episodes with side right."
    assert "30 episodes pass on the left, 0 on the right" in found.evidence
    assert found.lines == "right: record 30 more episodes"


def sweep(steps: tuple[int, ...], matched: bool = False, key: str = "window") -> SweepTable:
    points = tuple(
        Point(
            experiment=f"s{count}",
            values={key: str(count)},
            mae=stored()[0].evaluation.mae["policy"].pooled,
            baseline=0.2,
            windows=count,
            steps=count,
        )
        for count in steps
    )
    return SweepTable("s", (key,), points, True, matched)


def test_a_sweep_that_trained_unequally_long_is_matched() -> None:
    found = training.match(facts_of(sweeps=(sweep((100, 180)),)))
    assert found is not None and "100 to 180 optimiser steps" in found.evidence
    assert yaml.safe_load(found.lines) == {"experiments": {"s": {"match": "optimizer_steps"}}}
    for own in (
        sweep((100, 100)),
        sweep((100, 180), matched=True),  # some stopped early
        sweep((100, 180), key="training.epochs"),  # which is the question
    ):
        assert training.match(facts_of(sweeps=(own,))) is None


def windows_of(windows: int, start: str, tail: str) -> DatasetFacts:
    own = WindowYield(
        experiments=("lora",),
        window=4,
        chunk=10,
        stride=1,
        target="next",
        start=start,
        tail=tail,
        frames_needed=14,
        windows=windows,
        episodes=30,
        too_short=(),
    )
    return dataset(windows=(own,))


def test_windows_at_the_ends_where_few_are_whole() -> None:
    found = training.windows(facts_of(data=windows_of(30 * 7, "whole", "drop")))
    assert found is not None and "there would be 570" in found.evidence  # 30 · 19
    assert yaml.safe_load(found.lines)["experiments"]["lora"] == {"start": "repeat", "tail": "mask"}
    one = training.windows(facts_of(data=windows_of(30 * 10, "repeat", "drop")))
    assert one is not None and yaml.safe_load(one.lines)["experiments"]["lora"] == {"tail": "mask"}
    assert training.windows(facts_of(data=windows_of(30 * 16, "whole", "mask"))) is None
    assert training.windows(facts_of(data=windows_of(30 * 19, "repeat", "mask"))) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1), {"epochs": 16}),
        ((1.0, 0.5, 0.3, 0.2, 0.2, 0.3, 0.4, 0.5), {"early_stopping": {"patience": 2}}),
        (FLAT, None),
        ((1.0, 0.5, 0.2), None),  # too short a curve
        ((1.0, 0.5, 0.3, 0.2, 0.19, 0.2, 0.19, 0.195), None),  # within what epochs differ by
    ],
)
def test_epochs_follow_the_end_of_the_curve(
    values: tuple[float, ...], expected: dict[str, Any] | None
) -> None:
    found = training.epochs(facts_of(run=run_of(epochs=losses(*values))))
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert yaml.safe_load(found.lines)["experiments"]["lora"]["training"] == expected


def timed(**changed: Any) -> Run:
    timing = stored()[0].timing
    memory = timing.memory.model_copy(
        update={key: changed.pop(key) for key in ("measured", "limit_gb") if key in changed}
    )
    return run_of(timing=timing.model_copy(update={"memory": memory, **changed}))


def test_memory_near_its_limit_and_slow_number_formats() -> None:
    full = training.cost(facts_of(run=timed(measured=15 * 10**9, limit_gb=16.0)))
    assert (
        full is not None and "15.0\u00a0GB at its peak, of a limit of 16.0\u00a0GB" in full.evidence
    )
    changed = yaml.safe_load(full.lines)["experiments"]["lora"]["training"]
    assert changed == {"gradient_checkpointing": True}
    assert training.cost(facts_of(run=timed(measured=9 * 10**9, limit_gb=16.0))) is None
    assert training.cost(facts_of(run=timed(measured=15 * 10**9, limit_gb=None))) is None
    slow: dict[str, Any] = {"device": "cuda:0", "projected_seconds": 7200.0, "contended": False}
    gpu = training.cost(facts_of(run=timed(**slow, precision="fp32")))
    assert gpu is not None and "precision: auto" in gpu.lines and "2\u00a0h" in gpu.evidence
    assert training.cost(facts_of(run=timed(**slow, precision="bf16"))) is None
    assert training.cost(facts_of(run=timed(**{**slow, "device": "cpu"}, precision="fp32"))) is None


def test_each_rule_speaks_both_languages() -> None:
    cells = dataset().audit.coverage
    absent = tuple(own.model_copy(update={"episodes": 0}) for own in cells[:2])
    data = dataset(coverage=(*absent, *cells[2:]), **equal_drives(11, 13))
    own = facts_of(compared(judged("lora", "inconclusive", episodes=4)), ignoring("Drive"), data)
    english, korean = (
        [each for rule in RULES if (each := rule(replace(own, t=t))) is not None]
        for t in (ENGLISH, KOREAN)
    )
    assert len(english) == len(korean) >= 4
    for one, other in zip(english, korean, strict=True):
        assert one.text != other.text and one.evidence != other.evidence
