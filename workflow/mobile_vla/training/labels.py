"""What is to be predicted at each row of a dataset, and under which prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobile_vla.config.model import PolicySettings
from mobile_vla.data.actions import columns_of
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.mirror import SIGNS, mirrored_values
from mobile_vla.errors import UserError
from mobile_vla.model.prompts import PromptTable


@dataclass(frozen=True, eq=False)
class Labels:
    """The actions and prompts of a dataset's R rows; with mirror images, 2R rows.

    Row R + r is the mirror image of row r.
    """

    actions: np.ndarray
    """(R or 2R, A) float32, the predicted dimensions in raw command units."""
    prompts: PromptTable
    """The distinct prompts."""
    prompt_of_row: np.ndarray
    """(R or 2R,) int64, index of each row's prompt."""

    @classmethod
    def of(cls, dataset: Dataset, policy: PolicySettings) -> Labels:
        """Label a dataset as a policy needs it.

        Raises:
            UserError: prompts do not tell scenarios apart, or an episode from its mirror image.
        """
        actions, lengths = dataset.actions, dataset.lengths
        names = [episode.name for episode in dataset.episodes]
        values = [episode.prompt_values for episode in dataset.episodes]
        if policy.mirror:
            actions = np.concatenate([actions, actions * SIGNS + 0.0])  # + 0.0: no negative zeros
            lengths = np.tile(lengths, 2)
            names = [*names, *(f"{name} (mirrored)" for name in names)]
            values = [*values, *map(mirrored_values, values)]
        prompts = PromptTable.of(policy.prompt, values, names)
        if policy.mirror:
            _told_apart(dataset, prompts)
        return cls(
            actions[:, columns_of(policy.actions.dimensions)],
            prompts,
            np.repeat(np.asarray(prompts.of_episode, dtype=np.int64), lengths),
        )


def _told_apart(dataset: Dataset, prompts: PromptTable) -> None:
    count = len(dataset.episodes)
    for index, episode in enumerate(dataset.episodes):
        own, mirrored = prompts.of_episode[index], prompts.of_episode[count + index]
        if own == mirrored:
            raise UserError(
                f"augment.mirror: episode {episode.name} and its mirror image have the same prompt "
                f"{prompts.texts[own]!r}, although one passes on the left and the other on the "
                "right; put {side} into `prompt.template` in config.yaml, or set `mirror: false`"
            )
