"""An account of every key of a foreign configuration: mapped, ignored with a reason, or neither."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

Verdict = Literal["mapped", "ignored", "not mapped"]
VERDICTS: tuple[Verdict, ...] = ("mapped", "ignored", "not mapped")


class KeyAccount(NamedTuple):
    """What became of one key: ``text`` is the settings, or the reason."""

    key: str
    value: Any
    verdict: Verdict
    text: str


class Account:
    """A configuration whose keys are taken one by one, each with what became of it.

    Args:
        config: nested mappings; everything else is a value.
    """

    def __init__(self, config: Mapping[str, Any]):
        self.values = dict(_leaves(config, ""))
        self._entries: dict[str, KeyAccount] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value without accounting for it."""
        return self.values.get(key, default)

    def note(self, key: str, verdict: Verdict, text: str) -> None:
        """Note what became of a key; nothing happens if it is not there."""
        if key in self.values:
            self._entries[key] = KeyAccount(key, self.values[key], verdict, text)

    def mapped(self, key: str, text: str) -> None:
        """Note that a key became settings."""
        self.note(key, "mapped", text)

    def ignored(self, key: str, why: str) -> None:
        """Note that a key does nothing, and why."""
        self.note(key, "ignored", why)

    def not_mapped(self, key: str, why: str) -> None:
        """Note that a key says something that cannot be said here, and why."""
        self.note(key, "not mapped", why)

    def left(self) -> list[str]:
        """Return the keys that nothing was said of yet."""
        return [key for key in self.values if key not in self._entries]

    def entries(self) -> list[KeyAccount]:
        """Return what became of each key, in the order of the file.

        Raises:
            RuntimeError: something was said of none.
        """
        if self.left():
            raise RuntimeError(f"not accounted for: {', '.join(self.left())}")
        return [self._entries[key] for key in self.values]


def _leaves(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, own in value.items():
        if isinstance(own, Mapping) and own:
            yield from _leaves(own, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", own
