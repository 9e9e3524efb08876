"""Copy a policy's folder for others, with licence and base model in its card."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from mobile_vla.errors import UserError
from mobile_vla.files import sha256_of
from mobile_vla.layout import CardFiles
from mobile_vla.model.folder import CARD, DESCRIPTION, check_files, read_description
from mobile_vla.provenance.record import Provenance

log = logging.getLogger(__name__)

AGAIN = "remove it and run snakemake, which writes it again"


def release(policy: Path, folder: Path, *, license: str, base_model: str | None = None) -> None:
    """Write a copy of a policy's folder whose model card says who may use it.

    The card holds the run's scores already, with what they are counted over. `hf upload NAME
    FOLDER` puts the copy on the Hub.

    Args:
        policy: the best policy's folder of a run, below `results`.
        folder: the folder to write; it must not be there yet.
        license: what others may do with it, such as `apache-2.0`.
        base_model: the backbone's name on the Hub; by default the one that config.yaml names.

    Raises:
        UserError: a file of the policy is damaged; it has no card, or that of another policy; or
            the folder is there.
    """
    described = read_description(policy)
    check_files(policy)
    if folder.exists():
        raise UserError(f"{folder}: it is there already; name a folder that is not")
    _check_card(policy, {"experiment": described.experiment, "run": described.run})
    try:
        card: Any = ModelCard((policy / CARD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{policy / CARD}: {error}; {AGAIN}") from None
    if not card.data.eval_results:
        raise UserError(f"{policy / CARD}: found no metadata with scores (`model-index`); {AGAIN}")
    card.data.license = license
    card.data.base_model = base_model or card.data.base_model
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".releasing-") as unfinished:
        copy = Path(unfinished, folder.name)
        shutil.copytree(policy, copy)
        card.save(copy / CARD)
        copy.rename(folder)
    count = len(card.data.eval_results)
    log.info("%s: the policy with %d scores; `hf upload NAME %s`", folder, count, folder)


def _check_card(policy: Path, names: dict[str, str]) -> None:
    """Refuse a card whose scores are another policy's.

    Raises:
        UserError: there is none, or the policy was trained again since.
    """
    results = policy.resolve().parent.parent.parent.parent  # experiments/EXPERIMENT/RUN/policy
    written = CardFiles.provenance(results, **names)
    if not (written.is_file() and (policy / CARD).is_file()):
        raise UserError(
            f"{policy / CARD}: not there, or not written by snakemake, so the policy's scores are "
            f"unknown; expected {policy} to be the best policy of a run below `results`; run "
            "snakemake first"
        )
    if sha256_of(policy / DESCRIPTION) not in Provenance.read(written).inputs.values():
        raise UserError(
            f"{policy / CARD}: holds the scores of another policy than {policy}; run snakemake, "
            "which scores it again"
        )
