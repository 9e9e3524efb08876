"""An account of every key of a foreign configuration: mapped, ignored with a reason, or neither."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["mapped", "ignored", "not mapped"]
VERDICTS: tuple[Verdict, ...] = ("mapped", "ignored", "not mapped")


@dataclass(frozen=True)
class Entry:
    """What became of one key.

    Args:
        key: its dotted path.
        value: what stood there.
        verdict: what was done with it.
        text: the settings that it became, or the reason.
    """

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
        self._entries: dict[str, Entry] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value without accounting for it."""
        return self.values.get(key, default)

    def mapped(self, key: str, text: str) -> None:
        """Note that a key became settings; nothing happens if it is not there."""
        self._note(key, "mapped", text)

    def ignored(self, key: str, why: str) -> None:
        """Note that a key does nothing, and why."""
        self._note(key, "ignored", why)

    def not_mapped(self, key: str, why: str) -> None:
        """Note that a key says something that cannot be said here, and why."""
        self._note(key, "not mapped", why)

    def left(self) -> list[str]:
        """Return the keys that nothing was said of yet."""
        return [key for key in self.values if key not in self._entries]

    def entries(self) -> list[Entry]:
        """Return what became of each key, in the order of the file.

        Raises:
            RuntimeError: something was said of none.
        """
        if self.left():
            raise RuntimeError(f"not accounted for: {', '.join(self.left())}")
        return [self._entries[key] for key in self.values]

    def _note(self, key: str, verdict: Verdict, text: str) -> None:
        if key in self.values:
            self._entries[key] = Entry(key, self.values[key], verdict, text)


def _leaves(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, own in value.items():
        if isinstance(own, Mapping) and own:
            yield from _leaves(own, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", own
