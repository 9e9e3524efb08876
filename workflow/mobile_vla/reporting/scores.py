"""What the report reads of ``comparison.json``: verdicts, and differences between experiments."""

from __future__ import annotations

from mobile_vla.reporting.records import BestBaseline, Record, Verdict


class Interval(Record):
    """An average with its interval; a bound that few episodes leave open is null."""

    value: float
    low: float | None
    high: float | None
    confidence: float
    method: str
    episodes: int


class Difference(Record):
    """Mean absolute error of a policy less that of another predictor, paired by episode."""

    value: float
    low: float | None
    high: float | None
    p: float
    p_holm: float


class Judged(Record):
    """An experiment, its seeds averaged and its folds put together."""

    experiment: str
    dataset: str
    scored_on: str
    seeds: int
    folds: int
    episodes: int
    steps: int
    mae: Interval
    baselines: dict[str, float]
    controls: dict[str, float]
    best_baseline: BestBaseline
    skill: float | None
    differences: dict[str, Difference]
    verdict: Verdict


class Pair(Record):
    """Two experiments on the same steps; the interval is corrected for the number of pairs."""

    experiments: tuple[str, str]
    difference: float
    low: float | None
    high: float | None
    confidence: float
    p: float
    p_holm: float
    better: str | None
    needed: int | None
    text: str


class Member(Record):
    """An experiment's error on the steps that all of its group predict."""

    experiment: str
    mae: Interval | None = None
    steps_left_out: tuple[int, ...] = ()


class Group(Record):
    """Experiments that may be compared."""

    dataset: str
    scored_on: str
    episodes: int
    steps: int
    experiments: list[Member]
    pairs: list[Pair]
    why_no_pairs: str | None


class NotCompared(Record):
    """Two groups of experiments, and why they are not compared."""

    experiments: tuple[list[str], list[str]]
    why: str


class Scores(Record):
    """``comparison.json``; errors in raw command units."""

    confidence: float
    correction: str
    experiments: list[Judged]
    groups: list[Group]
    not_compared: list[NotCompared]
