"""Datasets and experiments as the user writes them: all settings of their stages in one place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from mobile_vla.config.audit import Accepted, Declared, OnWarning
from mobile_vla.config.base import Count, Place, Positive, Seed, Settings, Text
from mobile_vla.config.bundle import BundleEntry
from mobile_vla.config.data import OnError
from mobile_vla.config.evaluation import Evaluation
from mobile_vla.config.fields import MOST_COLUMNS, Fields
from mobile_vla.config.heads import Head
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.language import Language
from mobile_vla.config.latency import Latency
from mobile_vla.config.model import Augment, FullFinetune, Lora, Padding, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.rollout import Rollout
from mobile_vla.config.simulator import Simulation
from mobile_vla.config.split import Holdout, Split
from mobile_vla.config.timing import Timing
from mobile_vla.config.training import GuardLimits, Training
from mobile_vla.config.units import Units
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.conventions import Dimension


def _column(value: Any) -> int | str:
    """Return a column's place, which may be quoted, or its name.

    Raises:
        ValueError: it is neither.
    """
    place = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(place, int) and not isinstance(place, bool) and 0 <= place <= MOST_COLUMNS:
        return place
    if isinstance(place, str) and place:
        return place
    raise ValueError(f"found {value!r}, expected a name such as x.vel, or a place such as 0")


_COLUMN: dict[str, Any] = {
    "anyOf": [{"type": "integer", "minimum": 0, "maximum": MOST_COLUMNS}, {"type": "string"}]
}
Column = Annotated[int | str, PlainValidator(_column), WithJsonSchema(_COLUMN)]
Columns = Annotated[dict[Dimension, Column], Field(min_length=1)]


class _Dataset(Settings):
    """What every dataset declares."""

    images: Images = Images()
    """How raw images become frames."""
    actions: Actions = Actions()
    """Which velocities are predicted, and their scale."""
    units: Units = Field(default_factory=dict)
    """What one unit of a command is, such as ``linear_x: 0.2 m/s`` or ``angular_z: 0.5 rad/s``.
    Tables and page then have errors in these units, too; without them in command units alone."""
    split: Split = Holdout()
    """Who trains, who selects the checkpoint and who is scored."""
    on_error: OnError = "fail"
    """What a broken episode does: stop the workflow, or be left out and listed."""
    on_warning: OnWarning = "keep"
    """What an episode with a warning of the audit does: be used, or be left out and listed."""
    accept: Accepted = Field(default_factory=dict)
    """Warnings and infos that you have looked at, each with a reason; docs/audit.md lists all."""

    @property
    def declared(self) -> Declared:
        """What the data are held against."""
        return Declared(actions=self.actions, color_settled=self.images.color is not None)

    def ingest(self, name: str, episode: str) -> IngestSettings:
        """Return what ``ingest`` is given for an episode of the dataset of that name."""
        return IngestSettings(dataset=name, episode=episode, images=self.images.settled())


class SimulatedDataset(_Dataset):
    """Episodes from the simulator, in the format of recorded ones."""

    kind: Literal["simulated"] = "simulated"
    """Says that the simulator makes this dataset."""
    simulation: Simulation = Simulation()
    """How many scenes, and their world."""


def _pattern(text: str) -> str:
    """Refuse a pattern that no file below a folder can match.

    Raises:
        ValueError: it is such a pattern.
    """
    parts = Path(text).parts
    if not parts or Path(text).is_absolute() or ".." in parts or "\0" in text:
        trouble = "looks in other places, or at no file"
    elif any("**" in part and part != "**" for part in parts):
        trouble = "has a `**` within a name: it stands for folders, between slashes"
    elif parts[-1] == "**":
        trouble = "matches folders alone"
    else:
        return text
    raise ValueError(
        f"{text!r} {trouble}; expected a pattern below `path`, such as '*.h5' or '**/*.h5'"
    )


class RecordedDataset(_Dataset):
    """A folder of recorded HDF5 episodes."""

    kind: Literal["recorded"]
    """Says that the episodes are files of yours."""
    path: Place
    """The folder of the episodes, absolute or relative to the project."""
    pattern: Annotated[str, Field(max_length=200), AfterValidator(_pattern)] = "*.h5"
    """Which of its files are episodes; ``**/*.h5`` looks into subfolders too."""
    fields: Fields | None = None
    """Where images and actions stand, in another layout than the collector's. ``python -m
    mobile_vla describe FILE`` prints it."""
    scenarios: Place | None = None
    """A CSV file with a line for each episode: ``episode``, and what its name does not say of
    ``side``, ``obstacles``, ``layout``, ``style`` and ``distance``."""

    @property
    def declared(self) -> Declared:
        """What the data are held against."""
        return super().declared.model_copy(update={"has_scenarios": self.scenarios is not None})

    def ingest(self, name: str, episode: str) -> IngestSettings:
        """Return the same; where in its file it stands, and what the table says, is added."""
        return super().ingest(name, episode).model_copy(update={"fields": self.fields})


class LerobotDataset(_Dataset):
    """A LeRobotDataset v3, images or videos; needs the packages pyarrow and av."""

    kind: Literal["lerobot"]
    """Says that the episodes are those of a LeRobotDataset."""
    path: Place
    """Its folder, absolute or relative to the project: that which holds ``meta/info.json``."""
    camera: str | None = None
    """Feature with the images, such as ``observation.images.front``; needed among several."""
    columns: Columns | None = None
    """Which of the feature ``action`` each velocity is, by name or place, such as ``{linear_x:
    x.vel}``; needed where its names are not known here. What is not listed is 0."""
    every: Count | None = None
    """Take every so many frames, the first of each episode on, each with its own action; window and
    chunk count the frames that are taken."""
    rate: Positive | None = None
    """The same as frames a second: the dataset's ``fps`` must be a multiple of it."""

    @model_validator(mode="after")
    def _one_stride(self) -> Self:
        if self.every is not None and self.rate is not None:
            raise ValueError("found `every` and `rate`, which say the same; expected one of them")
        return self


class MixedDataset(Settings):
    """A dataset of a mixture. A number alone is its weight."""

    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """How often an epoch of training draws each of its windows: 2 twice, 0.5 every other one."""
    prompt: Prompt | None = None
    """The instruction of its episodes; null: that of the experiment."""

    @model_validator(mode="before")
    @classmethod
    def _weight_alone(cls, data: Any) -> Any:
        number = isinstance(data, int | float | str) and not isinstance(data, bool)
        return {"weight": data} if number else data

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
        number = {"exclusiveMinimum": 0, "maximum": 1000, "type": "number"}
        return {"anyOf": [number, handler(core)]}


class MixtureDataset(Settings):
    """Several datasets that one policy is trained on, each with its own episodes and split."""

    kind: Literal["mixture"]
    """Says that the episodes are those of other datasets."""
    datasets: Annotated[dict[str, MixedDataset], Field(min_length=2)]
    """Names from ``datasets``, each with its weight, such as ``{lab: 1, lab_autumn: 2}``."""


_NAMES: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"items": {"type": "string"}, "minItems": 1, "type": "array"}]
}
SingleDataset = SimulatedDataset | RecordedDataset | LerobotDataset
Dataset = Annotated[SingleDataset | MixtureDataset, Field(discriminator="kind")]


class Experiment(Windows):
    """One way of training a policy; what it does not say comes from ``defaults``."""

    preset: str | None = None
    """A name from ``presets``, whose settings replace ``defaults`` where this says nothing."""
    note: Text | None = None
    """Why it is there, in your words, such as what is to be found out: the report's table of
    settings shows it. A preset's note stands for experiments without one."""
    dataset: Annotated[str, WithJsonSchema(_NAMES)]
    """A name from ``datasets``, or a list of them: a mixture with the weight 1 for each."""
    backbone: str
    """A name from ``backbones``."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    """One run for each seed and, where the dataset's split has several, each fold."""
    subset: Count | None = None
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
    head: Head = Lstm()
    """The head that turns readouts into actions: docs/heads.md."""
    padding: Padding | None = None
    """Outputs besides the velocities, as RoboVLMs has them; they dilute the loss."""
    augment: Augment = Augment()
    """What training sees besides the recorded pictures."""
    training: Training = Training()
    """How the policy is trained."""
    guard: GuardLimits = GuardLimits()
    """What ``serve`` lets the policy command."""
    timing: Timing = Timing()
    """How an epoch is timed."""
    timing_only: bool = False
    """Leave it out of the report, to time it alone: ``results/experiments/NAME/timing.html``."""
    evaluation: Evaluation = Evaluation()
    """How the policy is scored."""
    language: Language = Language()
    """With which other prompts the policy is asked."""
    latency: Latency = Latency()
    """How a control step is timed."""
    bundle: BundleEntry = BundleEntry()
    """Which bundles for the robot's computer are made."""
    rollout: Rollout = Rollout()
    """How the policy is evaluated in closed loop in a simulated world."""

    def policy(
        self, actions: Actions, members: Mapping[str, MixedDataset] | None = None
    ) -> PolicySettings:
        """Return what shapes the policy; ``actions`` and ``members`` are those of the dataset.

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
            prompts={name: own.prompt for name, own in (members or {}).items() if own.prompt},
            actions=actions,
            mirror=self.augment.mirror,
        )

    def trained(self) -> Training:
        """Return how the policy is trained; what the run has no use for is left out.

        These are the checkpointing of a head alone, and the number of scenes, which the settings of
        the drives have.
        """
        update: dict[str, Any] = {"validation_scenes": Training().validation_scenes}
        if self.finetune == "none":
            update["gradient_checkpointing"] = False
        return self.training.model_copy(update=update)
