"""Checks that a policy, its backbone and the libraries are those of the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.errors import Problem, Problems
from mobile_vla.files import digest_of
from mobile_vla.model.result import TrainedBackbone
from mobile_vla.provenance.code import versions
from mobile_vla.result import FileDigest

PACKAGES = ("torch", "transformers", "tokenizers", "peft", "pillow")
"""The libraries that a prediction goes through, from the camera's picture to the velocities."""

DIGITS = 16  # hex digits of the digests in policy.json: against mistakes, not against an attacker
SHOWN = 200  # characters of a value that a message shows


def digests_of(content: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest of each value in ``policy.json``, by its place: ``settings.chunk``.

    Args:
        content: the file's content; its ``digests`` are left out.
    """
    return {place: digest_of(value, DIGITS) for place, value in _places(content)}


def _places(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if key == "digests":
            continue
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", entry) for name, entry in value.items())
        else:
            yield key, value


def check_entries(path: Path, content: Mapping[str, Any]) -> None:
    """Check that ``policy.json`` has the entries that it was written with.

    Raises:
        Problems: each entry that is missing, and each that was added.
    """
    written, present = content.get("digests", {}), digests_of(content)
    _refuse(
        path,
        [
            Problem(f"{path} ({place})", "it is not there" if place in written else "added to it")
            for place in sorted(written.keys() ^ present.keys())
        ],
    )


def check_values(path: Path, content: Mapping[str, Any]) -> None:
    """Check that the entries of ``policy.json`` have the values that it was written with.

    Raises:
        Problems: each entry that has another value.
    """
    written, values = content["digests"], dict(_places(content))
    _refuse(
        path,
        [
            Problem(f"{path} ({place})", _short(values[place]), "what it was trained with")
            for place, digest in digests_of(content).items()
            if digest != written[place]
        ],
    )


def _short(value: Any) -> str:
    text = repr(value)
    return f"found {text if len(text) <= SHOWN else text[: SHOWN - 1] + '…'}"


def _refuse(path: Path, problems: Sequence[Problem]) -> None:
    if problems:
        raise Problems(
            f"{path} was changed after the training; restore it, or train a policy with what you "
            "want",
            problems,
        )


def check_backbone(path: Path, trained: TrainedBackbone, backbone: Checkpoint) -> None:
    """Check that a backbone is, byte for byte, the one that a policy was trained on.

    Args:
        path: the ``policy.json``.
        trained: what it says of its backbone.
        backbone: the backbone that is here.

    Raises:
        Problems: each file that differs.
    """
    before = trained.files
    here = dict(backbone.files)
    problems = [
        Problem(
            f"{backbone.source}/{name}",
            _bytes(here[name]) if name in here else "it is not there",
            _bytes(before[name]) if name in before else "no such file",
        )
        for name in sorted(before.keys() | here.keys())
        if before.get(name) != here.get(name)
    ]
    if problems:
        raise Problems(
            f"{path} (backbone): trained on {_named(trained.name, trained.revision)}, and "
            f"{_named(backbone.name, backbone.revision)} here is another one; use the checkpoint "
            "it was trained on, or train again",
            problems,
        )


def _named(name: str, revision: str | None) -> str:
    return repr(name) if revision is None else f"{name!r}, revision {revision}"


def _bytes(file: FileDigest) -> str:
    return f"{file.size:,} bytes, SHA-256 {file.sha256[:12]}…"


def check_versions(path: Path, trained: Mapping[str, str | None]) -> None:
    """Refuse libraries of another major version, which may compute something else.

    Args:
        path: the ``policy.json``.
        trained: version of each library at the training.

    Raises:
        Problems: each such library.
    """
    here = versions(tuple(trained))
    problems = [
        Problem(
            f"{path} (versions.{name})",
            f"{name} {here[name] or 'is not installed'}",
            f"{name} {_major(before)}.x; it was trained with {before}",
            f"pip install {name}=={before}, or train the policy again here",
        )
        for name, before in trained.items()
        if _major(here[name]) != _major(before)
    ]
    if problems:
        raise Problems(
            f"{path}: trained with another major version of a library than is installed here",
            problems,
        )


def _major(version: str | None) -> str | None:
    return None if version is None else version.split(".")[0]
