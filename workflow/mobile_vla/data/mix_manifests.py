"""Put the manifests of several datasets together: the manifest of a mixture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobile_vla.config.data import MixSettings
from mobile_vla.data.dataset import Dataset, member_prefix
from mobile_vla.data.result import Manifest, Member
from mobile_vla.errors import UserError
from mobile_vla.files import atomic_path, digest_of
from mobile_vla.layout import ManifestFiles
from mobile_vla.result import FileDigest


def mix_manifests(
    settings: MixSettings,
    outputs: ManifestFiles,
    *,
    member_manifests: list[Path],
    member_actions: list[Path],
) -> None:
    """Write the manifest and the actions of a mixture: its datasets' one after another.

    Frames and features stay those of the datasets, whose rows are counted through.

    Args:
        member_manifests: ``manifest.json`` of each dataset, in the mixture's order.
        member_actions: ``actions.npy`` of each.

    Raises:
        UserError: they are not those of the mixture's datasets.
    """
    datasets = [
        Dataset.load(*files) for files in zip(member_manifests, member_actions, strict=True)
    ]
    found = [dataset.name for dataset in datasets]
    if found != list(settings.members):
        raise UserError(
            f"mixture {settings.dataset}: found the manifests of {', '.join(found)}; expected "
            f"those of {', '.join(settings.members)}; run snakemake again"
        )
    episodes = tuple(
        episode.model_copy(
            update={
                "episode": member_prefix(dataset.name) + episode.episode,
                "group": member_prefix(dataset.name) + episode.group,
            }
        )
        for dataset in datasets
        for episode in dataset.episodes
    )
    with atomic_path(outputs.actions) as temporary:
        np.save(temporary, np.concatenate([dataset.actions for dataset in datasets]))
    Manifest(
        dataset=settings.dataset,
        rows=sum(dataset.rows for dataset in datasets),
        digest=digest_of([episode.model_dump(mode="json") for episode in episodes]),
        episodes=episodes,
        quarantined=(),
        members=tuple(
            Member(dataset=one.name, digest=one.digest, episodes=len(one), rows=one.rows)
            for one in datasets
        ),
        actions_file=FileDigest.of(outputs.actions),
    ).write(outputs.manifest)
