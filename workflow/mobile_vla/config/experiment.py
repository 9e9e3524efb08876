"""An experiment as the user writes it: the settings of all its stages in one place."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mobile_vla.config.augment import Augment
from mobile_vla.config.evaluation import Evaluation
from mobile_vla.config.language import Language
from mobile_vla.config.latency import Latency
from mobile_vla.config.model import FullFinetune, Head, Lora, Padding, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.rollout import Rollout
from mobile_vla.config.timing import Timing
from mobile_vla.config.training import Training
from mobile_vla.config.windows import Actions, Windows


class Experiment(Windows):
    """One way of training a policy; what it does not say comes from ``defaults``."""

    preset: str | None = None
    """A name from ``presets``: settings that come before ``defaults``, and after the experiment's
    own."""
    dataset: str
    """A name from ``datasets``."""
    backbone: str
    """A name from ``backbones``."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    """One run for each seed and, where the dataset's split has several, each fold."""
    subset: Annotated[int, Field(ge=1)] | None = None
    """Train on so many of the training episodes; a smaller subset is part of every larger one."""
    evaluate_on: tuple[str, ...] = ()
    """Other datasets that the policies are scored on too, on those datasets' test episodes."""
    prompt: Prompt = Prompt()
    """The instruction, from the episode's scenario."""
    finetune: Literal["lora", "full", "none"] = "lora"
    """What of the backbone is trained: adapters, the parts that ``full`` names, or nothing."""
    lora: Lora = Lora()
    """The adapters, with ``finetune: lora``."""
    full: FullFinetune = FullFinetune()
    """The trained parts, with ``finetune: full``."""
    head: Head = Head()
    """The head that turns readouts into actions."""
    padding: Padding | None = None
    """Outputs besides the velocities, as RoboVLMs has them; they dilute the loss."""
    augment: Augment = Augment()
    """What training sees besides the recorded pictures."""
    training: Training = Training()
    """How the policy is trained."""
    timing: Timing = Timing()
    """How an epoch is timed."""
    timing_only: bool = False
    """Leave it out of the report: it can be timed, as ``results/experiments/NAME/timing.html``,
    before anybody trains it. Such as the full size with random weights, on a laptop."""
    evaluation: Evaluation = Evaluation()
    """How the policy is scored."""
    language: Language = Language()
    """With which other prompts the policy is asked."""
    latency: Latency = Latency()
    """How a control step is timed."""
    rollout: Rollout = Rollout()
    """How the policy is let loose in a simulated world."""

    def windows(self) -> Windows:
        """Return the settings that make windows out of episodes."""
        return Windows(**{name: getattr(self, name) for name in Windows.model_fields})

    def policy(self, actions: Actions) -> PolicySettings:
        """Return what shapes the policy; ``actions`` are those of the dataset.

        The settings of a kind of fine-tuning that the experiment does not use are left out, so
        that changing them changes nothing.
        """
        return PolicySettings(
            window=self.window,
            chunk=self.chunk,
            finetune=self.finetune,
            lora=self.lora if self.finetune == "lora" else None,
            full=self.full if self.finetune == "full" else None,
            head=self.head,
            padding=self.padding,
            prompt=self.prompt,
            actions=actions,
            mirror=self.augment.mirror,
        )

    def trained(self) -> Training:
        """Return how the policy is trained; what a head alone has no use for is left out."""
        if self.finetune != "none":
            return self.training
        return self.training.model_copy(update={"gradient_checkpointing": False})
