"""What would give an experiment a verdict, computed from the episodes that there are."""

from __future__ import annotations

import math

from mobile_vla.comparison.result import ExperimentScores
from mobile_vla.reporting.load import DatasetFacts
from mobile_vla.reporting.texts import Texts
from mobile_vla.statistics.intervals import FEWEST

LARGEST = 0.3  # share of the episodes that a test set may take without training on too few


def advice(scores: ExperimentScores, facts: DatasetFacts, t: Texts) -> str:
    """Return what an experiment without a verdict needs for one; empty where nothing would help.

    Args:
        facts: of the dataset that the experiment is scored on.
    """
    verdict, usable = scores.verdict, len(facts.manifest.episodes)
    if verdict.outcome not in ("no_verdict", "inconclusive"):
        return ""
    wanted = max(FEWEST, verdict.needed or 0)
    words = {
        "usable": t.count(usable, "usable episode"),
        "all": usable,
        "wanted": t.count(wanted, "test episode"),
    }
    if usable < FEWEST:
        return t("advice.record", **words)
    tested = 0 if verdict.outcome == "no_verdict" else scores.episodes
    kind = (facts.split.settings.model_extra or {}).get("kind")
    if kind != "holdout" or tested >= wanted:
        return ""  # folds score what there is to score, and a larger test set is no remedy
    share = math.ceil(100 * wanted / usable) / 100
    if share <= LARGEST:
        return t("advice.test_share", share=f"{share:g}", **words)
    if wanted <= usable:
        return t("advice.kfold", **words)
    return t("advice.too_few", **words)
