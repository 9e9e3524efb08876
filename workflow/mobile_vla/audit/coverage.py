"""What the dataset covers: scenarios, lengths, motions, times of day."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.audit.content_checks import actions_of
from mobile_vla.audit.findings import Facts
from mobile_vla.config.scenario import ScenarioKey
from mobile_vla.conventions import ACTION_COLUMNS

CELL_KEYS: tuple[ScenarioKey, ...] = ("side", "distance", "style")

KNOWN: dict[ScenarioKey, tuple[str, ...]] = {
    "side": ("left", "right"),
    "distance": ("close", "medium", "far"),
    "style": ("core", "variant"),
}

ALONG = {1: "forward", 0: "", -1: "backward"}
ACROSS = {1: "left", 0: "", -1: "right"}


def coverage(every: Sequence[Facts]) -> list[dict[str, Any]]:
    """Return the number of usable episodes in each combination of side, distance and style.

    All twelve known combinations are listed, empty ones included, and after them those in which
    a name does not say everything.
    """
    counts = Counter(
        tuple(facts["scenario"][key] or "unknown" for key in CELL_KEYS) for facts in every
    )
    known = list(itertools.product(*(KNOWN[key] for key in CELL_KEYS)))
    others = sorted(cell for cell in counts if cell not in known)
    return [
        {"cell": dict(zip(CELL_KEYS, cell, strict=True)), "episodes": counts[cell]}
        for cell in [*known, *others]
    ]


def shared_sequences(every: Sequence[Facts]) -> dict[str, tuple[int, int]]:
    """Return for each side how many episodes share its commonest action sequence, and of how many.

    By side, because those of left and right differ whatever happens.
    """
    by_side: dict[str, list[tuple[tuple[float, ...], ...]]] = defaultdict(list)
    for facts in every:
        by_side[facts["scenario"]["side"] or "unknown"].append(
            tuple(tuple(action) for action in facts["actions"])
        )
    return {
        side: (Counter(sequences).most_common(1)[0][1], len(sequences))
        for side, sequences in sorted(by_side.items())
    }


def statistics(every: Sequence[Facts], rejected: int, flagged: int) -> dict[str, Any]:
    """Return the dataset's numbers: lengths, velocities, class balance of motions, dates.

    Args:
        every: facts of the episodes that are used.
        rejected: how many are broken.
        flagged: how many are left out for their warnings.
    """
    result: dict[str, Any] = {"usable": len(every), "rejected": rejected, "flagged": flagged}
    if not every:
        return result
    lengths = np.array([facts["frames"] for facts in every])  # (E,)
    actions = np.concatenate([actions_of(facts) for facts in every])  # (rows, 3)
    colours = np.array([facts["image_statistics"]["mean"] for facts in every])  # (E, 3)
    periods = Counter(str(facts["attributes"].get("time_period", "unknown")) for facts in every)
    dates = Counter(_date(facts) for facts in every)
    return {
        **result,
        "frames": int(lengths.sum()),
        "lengths": {
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "max": int(lengths.max()),
        },
        "actions": {
            name: {
                "mean": _rounded(actions[:, index].mean()),
                "std": _rounded(actions[:, index].std()),
                "min": _rounded(actions[:, index].min()),
                "max": _rounded(actions[:, index].max()),
                "nonzero": _rounded(np.mean(actions[:, index] != 0)),
            }
            for index, name in enumerate(ACTION_COLUMNS)
        },
        "motions": dict(sorted(Counter(_motion(action) for action in actions).items())),
        "image_mean": [
            _rounded(value) for value in (colours * lengths[:, None]).sum(0) / lengths.sum()
        ],
        "same_sequence": {
            side: {"episodes": count, "of": total, "share": _rounded(count / total)}
            for side, (count, total) in shared_sequences(every).items()
        },
        "time_periods": dict(sorted(periods.items())),
        "dates": dict(sorted(dates.items())),
    }


def _date(facts: Facts) -> str:
    """Return the day of collection, by the attribute or else by the name."""
    stated = str(facts["attributes"].get("collection_datetime", ""))
    if re.match(r"\d{4}-\d{2}-\d{2}", stated):
        return stated[:10]
    named = re.search(r"(?:^|_)(\d{4})(\d{2})(\d{2})_\d{6}(?:_|$)", Path(facts["file"]).stem)
    return "-".join(named.groups()) if named else "unknown"


def _motion(action: np.ndarray) -> str:
    along, across, turn = (int(sign) for sign in np.sign(action))
    words = [ALONG[along], ACROSS[across], "turning" if turn else ""]
    return " ".join(word for word in words if word) or "standing"


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), 6)
