"""Drive an epoch's policy in closed loop, to choose the best by how often it arrives."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.config.simulator import SimulateSettings, validation_episodes
from mobile_vla.config.training import TrainSettings
from mobile_vla.driving.drivers import PolicyDriver
from mobile_vla.driving.scenes import driven_worlds, prompts_of
from mobile_vla.driving.simulation import roll_out
from mobile_vla.model.streaming import Stream
from mobile_vla.runs.data import RunData
from mobile_vla.training.trainer import Trainer


class SceneDrives:
    """The drives of a run's validation: the same scenes at each call, and no random number.

    The scenes are in no dataset, and no score rests on them. What comes of a batch of robots is
    what the stage ``rollout`` would find with the same policy: it drives as it will be judged.

    Args:
        settings: those of a run with ``select_by: rollout``.
    """

    def __init__(self, settings: TrainSettings, trainer: Trainer, data: RunData):
        assert settings.drives is not None
        self.drives, self.target = settings.drives, settings.windows.target
        self.trainer, self.processor = trainer, data.backbone.processor()
        self.worlds = driven_worlds(
            self.drives.worlds, validation_episodes, self.drives.scenes, self.drives.time_limit
        )
        self.prompts = prompts_of(settings.policy, self.worlds)
        self.episodes = [episode for world in self.worlds for episode in world.episodes]

    def success(self) -> float:
        """Return the share of the drives that succeed; several processes share the batches.

        Raises:
            UserError: the policy predicts what is not a number.
        """
        trainer, policy = self.trainer, self.trainer.policy
        names = [episode.episode for episode in self.episodes]
        prompt_of = dict(zip(names, self.prompts.of_episode, strict=True))

        def driver_of(batch: Sequence[SimulateSettings]) -> PolicyDriver:
            prompts = [prompt_of[episode.episode] for episode in batch]
            stream = Stream(policy, prompts, trainer.precision)
            return PolicyDriver(stream, self.target, self.drives.execute)

        size = self.drives.batch_size
        batches = [
            (world, world.episodes[start : start + size])
            for world in self.worlds
            for start in range(0, len(world.episodes), size)
        ]
        policy.eval()
        trained_with = policy.texts
        policy.use_prompts(self.prompts.texts, self.processor)
        try:
            found = [
                roll_out(batch, driver_of, images=world.images, limit=world.limit, batch_size=size)
                for world, batch in batches[trainer.rank :: trainer.training.processes]
            ]
        finally:
            policy.use_prompts(trained_with, self.processor)
        arrived = sum(one.outcome == "success" for of_batch in found for one in of_batch)
        return float(trainer.sum_over_processes([arrived])[0] / len(self.episodes))
