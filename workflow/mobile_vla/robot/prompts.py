"""The prompts that a policy accepts: those of its training and, where allowed, others."""

from __future__ import annotations

from typing import Any

from mobile_vla.errors import UserError
from mobile_vla.model.policy import Policy

MOST = 64
"""Other prompts that a policy takes up: each one lengthens its table for good."""


class Prompts:
    """A policy's prompts, by text.

    Args:
        policy: the policy; its table grows by other prompts, where they are allowed.
        processor: its backbone's processor.
        others: whether prompts that it was not trained with are allowed.
    """

    def __init__(self, policy: Policy, processor: Any, others: bool):
        self.policy, self.processor, self.others = policy, processor, others
        self.trained = policy.texts

    def index(self, instruction: str | None) -> int:
        """Return the place of an instruction in the policy's table.

        Args:
            instruction: the text; None where there is no choice.

        Raises:
            UserError: the policy was not trained with it, or there are several to choose from.
        """
        texts = self.policy.texts
        if instruction is None:
            if len(self.trained) > 1:
                raise UserError(f"the policy needs an instruction: {self._listed()}")
            return 0
        if instruction in texts:
            return texts.index(instruction)
        if not self.others:
            raise UserError(
                f"the policy was not trained with the instruction {instruction!r}; expected "
                f"{self._listed()}, or `--allow-other-prompts`"
            )
        if len(texts) - len(self.trained) >= MOST:
            raise UserError(
                f"the policy has taken {MOST} other instructions already, which is the most; "
                "use one of them, or start again"
            )
        self.policy.use_prompts((*texts, instruction), self.processor)
        return len(texts)

    def _listed(self) -> str:
        shown = [repr(text) for text in self.trained[:5]]
        more = len(self.trained) - len(shown)
        return " or ".join(shown) + (f" or one of {more} more in policy.json" if more else "")
