"""Advice on what to record: other drives, what was never recorded, more of the same."""

from __future__ import annotations

import math

from mobile_vla.audit.result import CoveredCell
from mobile_vla.reporting.advice.facts import Advice, Facts, config_lines
from mobile_vla.reporting.format import number
from mobile_vla.reporting.load import DatasetFacts, Run, first_runs
from mobile_vla.reporting.repeated import Repeated, repeated_drives
from mobile_vla.reporting.sizes import sized, training_episodes
from mobile_vla.reporting.verdict import span_of
from mobile_vla.texts import Texts

CELLS = 4  # cells that one piece of advice lists
A_CELL = 3  # episodes that a cell needs: one each to train, validate and test


def drives(facts: Facts) -> Advice | None:
    """Other drives, where most have the same commands and no policy is ahead of a replay."""
    for dataset, own in facts.datasets.items():
        repeated = repeated_drives(own)
        scored = [each for each in facts.scores.experiments if each.dataset == dataset]
        if repeated is None or any(each.verdict.outcome == "beats" for each in scored):
            continue
        best = min(scored, key=lambda each: each.mae.value, default=None)
        if best is None:
            continue
        return Advice(
            facts.t("advice.drives", n=repeated.others_needed, dataset=dataset),
            facts.t(
                "advice.drives.why",
                same=repeated.episodes,
                n=repeated.of,
                side=facts.t.words(repeated.side),
                baseline=facts.t.words(best.best_baseline.name),
                baseline_mae=number(best.best_baseline.mae),
                name=best.experiment,
                mae=number(best.mae.value),
            ),
            _thinnest(own, repeated, facts.t),
        )
    return None


def _thinnest(own: DatasetFacts, repeated: Repeated, t: Texts) -> str:
    """Return the cells of the side with the fewest drives, with how many to record of each."""
    cells = [each for each in own.audit.coverage if each.cell.get("side") == repeated.side]
    cells = [each for each in cells if "unknown" not in each.cell.values()]
    fewest = sorted(cells, key=lambda each: each.episodes)[:CELLS]
    if not fewest:
        return t("advice.more", what=repeated.side, n=repeated.others_needed)
    each = math.ceil(repeated.others_needed / len(fewest))
    return "\n".join(t("advice.more", what=_named(cell), n=each) for cell in fewest)


def _named(cell: CoveredCell) -> str:
    return " ".join(cell.cell.values())


def coverage(facts: Facts) -> Advice | None:
    """Episodes of the combinations that were never recorded, though each of their values was."""
    for dataset, own in facts.datasets.items():
        seen = {item for each in own.audit.coverage if each.episodes for item in each.cell.items()}
        empty = [
            each
            for each in own.audit.coverage
            if not each.episodes and set(each.cell.items()) <= seen
        ]
        if not empty:
            continue
        lines = [facts.t("advice.more", what=_named(cell), n=A_CELL) for cell in empty[:CELLS]]
        if len(empty) > CELLS:
            lines.append(facts.t("advice.more_cells", n=len(empty) - CELLS))
        return Advice(
            facts.t("advice.coverage", dataset=dataset),
            facts.t("advice.coverage.why", n=len(empty), all=len(own.audit.coverage)),
            "\n".join(lines),
        )
    return None


def more_data(facts: Facts) -> Advice | None:
    """More training episodes, where the last increase lowered the error conclusively."""
    for runs in sized(facts.runs):
        largest = {run.experiment: training_episodes(run) for run in first_runs(runs)}
        names = sorted(largest, key=largest.__getitem__)
        if not names or largest[names[0]] == largest[names[-1]]:
            continue
        more = names[-1]
        fewer = next(name for name in reversed(names) if largest[name] < largest[more])
        pair = next(
            (
                own
                for group in facts.scores.groups
                for own in group.pairs
                if set(own.experiments) == {fewer, more}
            ),
            None,
        )
        if pair is None or pair.better != more or pair.low is None or pair.high is None:
            continue
        ends = sorted((abs(pair.low), abs(pair.high)))
        gained = largest[more] - largest[fewer]
        return Advice(
            facts.t("advice.more_data", n=largest[more]),
            facts.t(
                "advice.more_data.why",
                n=gained,
                low=largest[fewer],
                high=largest[more],
                gain=number(abs(pair.difference)),
                interval=span_of(ends[0], ends[1], facts.t),
            ),
            _more_of(facts, next(run for run in runs if run.experiment == more), gained),
        )
    return None


def _more_of(facts: Facts, run: Run, gained: int) -> str:
    """Return how a run comes by so many more training episodes: those left out, or new ones."""
    if run.settings.settings.get("subset") is not None:
        return config_lines("experiments", run.experiment, subset=None)
    own = facts.datasets.get(run.settings.dataset)
    usable = len(own.manifest.episodes) if own else training_episodes(run)
    wanted = math.ceil(gained * usable / training_episodes(run))  # a share of them is trained on
    return facts.t("advice.more", what=run.settings.dataset, n=wanted)
