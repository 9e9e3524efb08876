"""Settings of the heads, a module a type, and the choice of one.

The modules are found by their names, as those of the heads themselves are. No line lists them, and
a job is tracked by those of its own head: a new head, or an edit of one, reruns no experiment that
has another.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Discriminator, Tag

from mobile_vla.config.head import HeadSettings, class_name, head_type

HEADS: dict[str, type[HeadSettings]] = {
    kind: getattr(import_module(f"{__name__}.{kind}"), class_name(kind))
    for kind in sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py"))
}
"""By type, the class of a head's settings."""

if TYPE_CHECKING:
    Head = HeadSettings
else:
    Head = Annotated[
        Union[tuple(Annotated[own, Tag(kind)] for kind, own in HEADS.items())],  # noqa: UP007
        Discriminator(head_type),
    ]
