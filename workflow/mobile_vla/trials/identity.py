"""What a policy is, whatever its name: the digest by which a drive is counted for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mobile_vla.errors import UserError
from mobile_vla.files import digest_of, read_json
from mobile_vla.model.result import PolicyCore, PolicyDescription

PARTS = {*PolicyCore.model_fields, "images", "windows", "precision", "threads", "guard"}
"""What the policy itself is, and what of its origin changes how it drives."""


def policy_digest(folder: Path) -> str:
    """Return the digest of all that a policy drives by: weights, settings, backbone and guard.

    Its name, its metrics and the episodes that it learned from are not part of it, so that a
    training that comes to the same bytes is the same policy.

    Raises:
        UserError: the folder is no policy.
    """
    path = folder / "policy.json"
    if not path.is_file():
        raise UserError(f"{path}: not there; `snakemake {path}` trains the policy")
    described = PolicyDescription.checked(path, read_json(path))
    return digest_of(described.model_dump(mode="json", include=PARTS))


def check_distinct(digests: Mapping[str, str | None], place: str) -> None:
    """Refuse a trial in which two names stand for one policy: there would be nothing to find out.

    Raises:
        UserError: two of the digests are equal.
    """
    names: dict[str, str] = {}
    for name, digest in digests.items():
        if digest is not None and names.setdefault(digest, name) != name:
            raise UserError(
                f"{place}: {names[digest]} and {name} are the same policy, byte for byte; expected "
                "policies that differ; remove one of them"
            )
