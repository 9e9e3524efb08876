"""Settings of a policy for tests, where nothing but some of them matters."""

from __future__ import annotations

from typing import Any, Literal

from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.windows import Actions


def policy_settings(finetune: Literal["lora", "full", "none"], **changes: Any) -> PolicySettings:
    """Return defaults with changes; settings of another kind of fine-tuning are left out."""
    kinds = {"lora": Lora(), "full": FullFinetune()}
    values: dict[str, Any] = {
        "window": 4,
        "chunk": 2,
        **{name: value if name == finetune else None for name, value in kinds.items()},
        "head": Lstm(),
        "prompt": Prompt(),
        "actions": Actions(),
        **changes,
    }
    return PolicySettings(finetune=finetune, **values)
