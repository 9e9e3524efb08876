"""Advice on what is scored: more test episodes, where a conclusion waits for them."""

from __future__ import annotations

import math

from mobile_vla.config.split import Holdout, KFold
from mobile_vla.conventions import ScenarioKey
from mobile_vla.data.split import make_folds
from mobile_vla.errors import UserError
from mobile_vla.reporting.advice.facts import Advice, Facts, config_lines
from mobile_vla.reporting.load import DatasetFacts
from mobile_vla.reporting.ranking import ranked_names
from mobile_vla.reporting.verdict import about
from mobile_vla.statistics.intervals import FEWEST

LARGEST = 0.3  # share of the episodes that a test set may take without training on too few
FOLDS = (5, 4, 3, 2)  # tried in this order


def larger_test(facts: Facts) -> Advice | None:
    """More test episodes, where a verdict or a tie waits for them."""
    for dataset, own in facts.datasets.items():
        scored = [each for each in facts.scores.experiments if each.dataset == dataset]
        basis = own.split.settings.model_dump()
        tested = max((each.episodes for each in scored if each.scored_on == "test"), default=0)
        usable = len(own.manifest.episodes)
        wanted, settled = _wanted(facts, dataset) or (0, "")
        if not scored or tested >= wanted:
            continue
        counts = {
            "dataset": dataset,
            "tested": facts.t.count(tested, "test episode"),
            "wanted": facts.t.count(about(wanted), "test episode"),
            "usable": facts.t.count(usable, "usable episode"),
            "what": settled,
        }
        if usable < FEWEST:
            text = facts.t("advice.record", dataset=dataset)
            why = facts.t("advice.record.why", **counts)
            more = facts.t("advice.more", what=dataset, n=FEWEST - usable)
            return Advice(text, why, more)
        if basis.get("kind") != "holdout":
            continue  # folds score all that there is
        larger = _larger_test_set(own, Holdout.model_validate(basis), wanted)
        split = larger or _folds(own, basis)
        if split is None:
            continue
        kind = "test_share" if isinstance(split, Holdout) else "kfold"
        key = f"{kind}.why" if wanted <= usable or kind == "test_share" else "too_few.why"
        if not tested and wanted <= usable:
            key = f"{kind}.untested"
        folds = split.folds if isinstance(split, KFold) else 1
        return Advice(
            facts.t(f"advice.{kind}", n=folds, all=usable),
            facts.t(f"advice.{key}", **counts),
            config_lines("datasets", dataset, split=_written(split)),
        )
    return None


def _wanted(facts: Facts, dataset: str) -> tuple[int, str] | None:
    """Return the smallest number of test episodes that would settle something, and what."""
    wanted, t = list[tuple[int, str]](), facts.t
    for own in facts.scores.experiments:
        verdict = own.verdict
        if own.dataset != dataset or verdict.outcome not in ("no_verdict", "inconclusive"):
            continue
        if verdict.outcome == "no_verdict" or own.groups < FEWEST or verdict.needed:
            what = t("advice.a_verdict", name=own.experiment)
            fewest = math.ceil(FEWEST * own.episodes / own.groups)
            wanted.append((max(fewest, verdict.needed or 0), what))
    for group in facts.scores.groups:
        if group.dataset == dataset and group.scored_on == "test":
            best = ranked_names(group)[0]  # which of two others is ahead, decides nothing
            wanted += [
                (
                    pair.needed,
                    t("advice.a_pair", one=pair.experiments[0], other=pair.experiments[1]),
                )
                for pair in group.pairs
                if pair.needed is not None and best in pair.experiments
            ]
    return min(wanted, key=lambda each: each[0], default=None)


def _larger_test_set(own: DatasetFacts, split: Holdout, wanted: int) -> Holdout | None:
    """Return the same split with a larger test share; None where too few would be trained on."""
    share = math.ceil(100 * wanted / len(own.manifest.episodes)) / 100
    if share > LARGEST or split.val + share >= 1:
        return None
    shares = {"train": round(1 - split.val - share, 4), "test": share}
    larger = Holdout.model_validate({**split.model_dump(), **shares})
    return larger if _works(own, larger) else None


def _folds(own: DatasetFacts, basis: dict[str, object]) -> KFold | None:
    """Return the most folds, and the most keys, that leave no cell without validation."""
    keys: tuple[ScenarioKey, ...] = own.split.settings.stratify_by
    for kept in range(len(keys), -1, -1):
        for folds in FOLDS:
            settings = {"kind": "kfold", "folds": folds, "seed": basis["seed"]}
            split = KFold.model_validate({**settings, "stratify_by": keys[:kept]})
            if _works(own, split):
                return split
    return None


def _works(own: DatasetFacts, split: Holdout | KFold) -> bool:
    try:
        folds = make_folds(own.manifest.episodes, split)
    except UserError:
        return False
    return not any(fold.cells_without_validation() for fold in folds)


def _written(split: Holdout | KFold) -> dict[str, object]:
    """Return a split as config.yaml would have it, without what is the default."""
    every = split.model_dump(mode="json", exclude_defaults=True)
    shares = ("train", "val", "test") if isinstance(split, Holdout) else ("kind", "folds", "val")
    return {name: getattr(split, name) for name in shares} | {
        name: value for name, value in every.items() if name in ("seed", "stratify_by")
    }
