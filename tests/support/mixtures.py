"""Two small datasets and their mixture, on disk side by side as below ``results/datasets/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.config.data import MixSettings
from mobile_vla.config.features import ExtractSettings, FeatureKey, Features
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.mix_manifests import mix_manifests
from mobile_vla.data.mix_splits import mix_splits
from mobile_vla.features.features import FeatureInputs, features
from mobile_vla.layout import FeatureFiles, ManifestFiles, SplitFiles
from support.synthetic_datasets import make_dataset, names, write_roles

MEMBERS = ("lab", "autumn")
LENGTHS = {"lab": (9, 8, 10, 9, 8, 9), "autumn": (8, 9, 8, 7, 10, 12)}


@dataclass(frozen=True)
class Mixture:
    """A mixture's files, and its datasets by name."""

    folder: Path
    datasets: Mapping[str, Dataset]

    @property
    def manifest(self) -> Path:
        """Its ``manifest.json``."""
        return self.folder / "mix/manifest.json"

    @property
    def actions(self) -> Path:
        """Its ``actions.npy``."""
        return self.folder / "mix/actions.npy"

    @property
    def split(self) -> Path:
        """Its ``split.json``."""
        return self.folder / "mix/split.json"

    @property
    def dataset(self) -> Dataset:
        """Return it as a dataset."""
        return Dataset.load(self.manifest, self.actions)

    def mix(self) -> None:
        """Put the splits together."""
        splits = [self.folder / name / "split.json" for name in MEMBERS]
        files = {"manifest": self.manifest, "actions": self.actions, "splits": splits}
        mix_splits(settings(), SplitFiles(self.split), **files)

    def store(self, backbone: Path) -> list[Path]:
        """Store the features of each dataset at the cut ``image_embeds``."""
        key = FeatureKey(cut="image_embeds", precision="fp32", prompt=None)
        described = [self.folder / f"features/{name}.json" for name in MEMBERS]
        for name, path in zip(MEMBERS, described, strict=True):
            place = self.folder / name
            features(
                ExtractSettings(dataset=name, backbone="tiny", key=key, compute=Features()),
                FeatureInputs(
                    manifest=place / "manifest.json",
                    actions=place / "actions.npy",
                    backbone=backbone,
                ),
                FeatureFiles(path.with_suffix(".npy"), path),
                threads=1,
            )
        return described


def settings() -> MixSettings:
    """Return the settings of the mixture."""
    return MixSettings(dataset="mix", members=MEMBERS)


def episodes_of(member: str) -> list[str]:
    """Return the names of a member's episodes: those of the first six, or of the next."""
    return names(12)[:6] if member == "lab" else names(12)[6:]


def make_mixture(
    folder: Path,
    *,
    frames: bool = False,
    episodes: Mapping[str, Sequence[str]] | None = None,
    roles: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> Mixture:
    """Write two datasets of six episodes, their splits (by default 2, 2, 2), and the manifest."""
    datasets = {}
    for name in MEMBERS:
        listed = list((episodes or {}).get(name) or episodes_of(name))
        lengths = dict(zip(listed, LENGTHS[name], strict=True))
        datasets[name] = make_dataset(folder / name, lengths, frames=frames, name=name)
        thirds = {"train": listed[:2], "val": listed[2:4], "test": listed[4:]}
        write_roles(folder / name / "split.json", dict((roles or {}).get(name) or thirds), name)
    mixture = Mixture(folder, datasets)
    (folder / "mix").mkdir()
    mix_manifests(
        settings(),
        ManifestFiles(mixture.manifest, mixture.actions),
        member_manifests=[folder / name / "manifest.json" for name in MEMBERS],
        member_actions=[folder / name / "actions.npy" for name in MEMBERS],
    )
    return mixture
