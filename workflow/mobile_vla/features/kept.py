"""Keep the rows of the last run by what they depend on, so that the next one copies what it can.

Snakemake removes a rule's outputs before it runs the rule again. The rows therefore stay under a
second name, which no rule declares: a hard link, or a copy where the file system has no links.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass

import numpy as np

from mobile_vla.errors import UserError
from mobile_vla.features.result import KeptEpisodes
from mobile_vla.files import atomic_path
from mobile_vla.layout import FeatureFiles, KeptRows
from mobile_vla.result import FileDigest

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Known:
    """Episodes whose rows are known: by content the first row in ``array`` (rows, …)."""

    first: dict[str, int]
    array: np.ndarray
    dtype: str

    def rows(self, content: str, count: int) -> np.ndarray:
        """Return the ``count`` rows of an episode that is known."""
        start = self.first[content]
        return self.array[start : start + count]


def open_kept(files: KeptRows, origin: str) -> Known | None:
    """Open the rows of the last run.

    Args:
        files: where they are kept.
        origin: digest of all that every row depends on.

    Returns:
        None where there are none, they are of another origin, or are damaged.
    """
    if not files.index.is_file():
        return None
    try:
        index = KeptEpisodes.read(files.index)
        if index.origin != origin:
            return None
        index.file.verify(files.rows)
    except UserError as error:
        log.info("rows of the last run are not used: %s", error)
        return None
    return Known(index.first, np.load(files.rows, mmap_mode="r", allow_pickle=False), index.dtype)


def keep(
    features: FeatureFiles, origin: str, first: dict[str, int], dtype: str, digest: FileDigest
) -> None:
    """Keep a run's rows for the next one.

    Args:
        features: the files of the run, which are written.
        origin: digest of all that every row depends on.
        first: by the digest of what an episode's rows depend on besides the first of them.
        dtype: number format of the rows.
        digest: identity of their file.
    """
    files = features.kept
    files.index.unlink(missing_ok=True)
    index = KeptEpisodes(origin=origin, dtype=dtype, first=first, **digest.model_dump())
    try:
        with atomic_path(files.rows) as temporary:
            temporary.unlink()
            try:
                os.link(features.features, temporary)
            except OSError:  # no links here
                shutil.copyfile(features.features, temporary)
        index.write(files.index)
    except OSError as error:  # such as a full disk; the features themselves are written
        log.info("the rows are not kept for the next run: %s", error)
