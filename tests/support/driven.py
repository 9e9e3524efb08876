"""A small training run whose best checkpoint is chosen by driving."""

from __future__ import annotations

from typing import Any

from mobile_vla.config.driving import DatasetWorld, ValidationDrives
from mobile_vla.config.features import FeatureKey
from mobile_vla.config.ingest import Images
from mobile_vla.config.model import FullFinetune
from mobile_vla.config.simulator import World
from mobile_vla.config.training import TrainSettings
from support.training_run import Inputs, settings_of

WORLD = World(frames=6)


def driven_settings(finetune: str = "lora", **training: Any) -> TrainSettings:
    """Return the settings of a run that drives in two scenes of six frames, three robots a time."""
    found = settings_of(**{"select_by": "rollout", **training})
    update: dict[str, Any] = {"finetune": finetune}
    if finetune != "lora":
        update["lora"] = None
    if finetune == "full":
        update["full"] = FullFinetune()
    drives = ValidationDrives(
        worlds=(DatasetWorld(dataset="made", images=Images(color="rgb"), world=WORLD),),
        scenes=2,
        execute=1,
        time_limit=1.0,
        batch_size=3,
    )
    policy = found.policy.model_copy(update=update)
    return found.model_copy(update={"policy": policy, "drives": drives})


def inputs_for(inputs: Inputs, finetune: str) -> dict[str, Any]:
    """Return the features that a run of a kind of fine-tuning reads, as changes of its inputs."""
    if finetune == "lora":
        return {}
    if finetune == "full":
        return {"features": []}
    description = inputs.manifest.parents[1] / "features/readout.json"
    if not description.is_file():
        prompt = driven_settings("none").policy.prompt
        inputs.store(FeatureKey(cut="readout", precision="fp32", prompt=prompt), description)
    return {"features": [description]}
