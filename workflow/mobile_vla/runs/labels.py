"""What is to be predicted at each row of a dataset, and under which prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.config.model import PolicySettings
from mobile_vla.config.windows import Actions
from mobile_vla.conventions import columns_of
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.mirror import SIGNS, mirrored_values
from mobile_vla.data.prompts import PromptTable, prompt_values
from mobile_vla.errors import UserError


@dataclass(frozen=True, eq=False)
class Labels:
    """The actions and prompts of a dataset's R rows; with mirror images, 2R rows.

    Row R + r is the mirror image of row r.
    """

    actions: np.ndarray  # (R or 2R, A) float32, the predicted dimensions in command units
    prompts: PromptTable  # the distinct prompts
    prompt_of_row: np.ndarray  # (R or 2R,) int64, index of each row's prompt

    @classmethod
    def of(cls, dataset: Dataset, policy: PolicySettings) -> Labels:
        """Label a dataset as a policy needs it.

        Raises:
            UserError: prompts do not tell scenarios apart, or an episode from its mirror image.
        """
        actions, lengths = dataset.actions, dataset.lengths
        names = [episode.name for episode in dataset.episodes]
        values = [prompt_values(episode) for episode in dataset.episodes]
        prompts_of = [
            policy.prompt_of(dataset.part_of(index).name) for index in range(len(dataset))
        ]
        if policy.mirror:
            actions = np.concatenate([actions, actions * SIGNS + 0.0])  # + 0.0: no negative zeros
            lengths = np.tile(lengths, 2)
            names = [*names, *(f"{name} (mirrored)" for name in names)]
            values = [*values, *map(mirrored_values, values)]
            prompts_of = [*prompts_of, *prompts_of]
        prompts = PromptTable.of_each(prompts_of, values, names)
        if policy.mirror:
            _told_apart(dataset, prompts)
        return cls(
            actions[:, columns_of(policy.actions.dimensions)]
            / np.array(policy.actions.units, dtype=actions.dtype),
            prompts,
            np.repeat(np.asarray(prompts.of_episode, dtype=np.int64), lengths),
        )

    def constants(
        self, dataset: Dataset, episodes: Sequence[int], actions: Actions
    ) -> dict[str, float]:
        """Return the dimensions that never vary in the training episodes, with their constants.

        Empty with ``constant: keep``.

        Raises:
            UserError: none would be left to learn.
        """
        if actions.constant == "keep":
            return {}
        views = len(self.actions) // dataset.rows  # 2 with mirror images
        own = np.isin(np.repeat(np.arange(len(dataset)), dataset.lengths), episodes)  # (R,)
        values = self.actions[np.tile(own, views)]  # (n, A)
        found: dict[str, float] = {
            name: float(values[0, index])
            for index, name in enumerate(actions.dimensions)
            if np.ptp(values[:, index]) == 0
        }
        if len(found) == len(actions.dimensions):
            raise UserError(
                f"dataset {dataset.name}: in the {len(episodes)} training episodes every predicted "
                f"dimension is constant ({found}); expected one that varies; correct "
                "`actions.dimensions`, or the split"
            )
        return found

    def under(self, texts: Sequence[str]) -> Labels:
        """Return the same labels with prompts as places in another table.

        A prompt that is not among ``texts`` becomes place -1, which nothing may look up.
        """
        places = {text: place for place, text in enumerate(texts)}
        of_text = np.array([places.get(text, -1) for text in self.prompts.texts])
        table = PromptTable(tuple(texts), tuple(of_text[list(self.prompts.of_episode)].tolist()))
        return Labels(self.actions, table, of_text[self.prompt_of_row])


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
