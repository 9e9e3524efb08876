"""Settings as short lines, by which Snakemake says in a line why a job runs again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from mobile_vla.config.base import Settings
from mobile_vla.files import canonical_json, digest_of

LONGEST = 120  # characters of a value; of a longer one the digest is shown
DIGITS = 12


def settings_made_by(make: Callable[..., Any]) -> type[Settings]:
    """Return the class of settings that a function returns, as it is annotated."""
    kind: type[Settings] = get_type_hints(make)["return"]
    return kind


def setting_names(kind: type[Settings], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the settings in a class, as paths such as ``("training", "epochs")``."""
    paths: list[tuple[str, ...]] = []
    for name, field in kind.model_fields.items():
        if field.exclude:
            continue  # such as the nodes of a cluster, which change no result
        inner = field.annotation
        if inspect.isclass(inner) and issubclass(inner, Settings):
            paths += setting_names(inner, (*prefix, name))
        else:
            paths.append((*prefix, name))
    return paths


def setting_line(values: dict[str, Any], path: tuple[str, ...]) -> str:
    """Return one of the settings as ``training.epochs=12``.

    Two values have two lines: a long one is shown by the digest of its canonical JSON.

    Args:
        values: all of the settings, as plain values.
        path: the one that is meant, one of :func:`setting_names`.
    """
    value: Any = values
    for name in path:
        value = value.get(name)  # one that is left out where it is not used reads null
    text = canonical_json(value)
    if len(text) > LONGEST:
        size = f"{len(value)} entries, " if isinstance(value, dict | list) else ""
        text = f"({size}digest {digest_of(value, DIGITS)})"
    return f"{'.'.join(path)}={text}"
