"""What an episode's name says of it."""

from __future__ import annotations

from typing import Literal

ScenarioKey = Literal["obstacles", "layout", "side", "style", "distance"]
