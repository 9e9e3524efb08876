"""Parse the scenario from an episode's file name."""

from __future__ import annotations

import re

from mobile_vla.conventions import ScenarioKey
from mobile_vla.ingest.result import Scenario

VALUES: dict[ScenarioKey, str] = {
    "obstacles": r"[0-9]+box",
    "layout": r"hori|vert",
    "side": r"left|right",
    "style": r"core|variant",
    "distance": r"close|medium|far",
}
"""Pattern of each key's values; no value fits two keys, so that missing parts do no harm."""

SCHEME = (
    "episode_YYYYMMDD_HHMMSS_{1box|2box}_{hori|vert}_{left|right}_{core|variant}_{close|medium|far}"
)

_WHOLE = re.compile(
    r"episode_[0-9]{8}_[0-9]{6}_" + "_".join(f"(?:{part})" for part in VALUES.values()), re.ASCII
)


def parse_scenario(name: str) -> Scenario:
    """Parse the scenario from a file's name without its suffix.

    Older names lack parts, or have them in another order: what is missing is None. A key that the
    name gives two different values (``…_left_right_…``) is None too.
    """
    parts = re.split(r"[_\-. ]+", name.lower())
    scenario: Scenario = {}
    for key, pattern in VALUES.items():
        values = {part for part in parts if re.fullmatch(pattern, part, re.ASCII)}
        scenario[key] = values.pop() if len(values) == 1 else None
    return scenario


def follows_scheme(name: str) -> bool:
    """Whether a name is a complete one, with all its parts in the order of :data:`SCHEME`."""
    return _WHOLE.fullmatch(name) is not None
