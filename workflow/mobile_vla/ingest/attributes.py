"""Turn a raw file's attributes into plain values."""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np

from mobile_vla.ingest.places import Places
from mobile_vla.ingest.rawfile import locate
from mobile_vla.ingest.texts import QUOTED, plain_text, text_of_bytes, unclear
from mobile_vla.sentence import say

MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_BYTES = 1 << 20  # of one that is read
MAX_VALUES = 100  # entries of an attribute's array that are kept


def attribute_names(holder: h5py.Group) -> list[str]:
    """Return the names of the attributes that are read."""
    return sorted(holder.attrs)[:MAX_ATTRIBUTES]


def read_attribute(holder: h5py.Group | h5py.Dataset, name: str) -> Any:
    """Return an attribute as a JSON value; types that JSON lacks become text."""
    size = _bytes_of(holder, name)
    large = size > MAX_ATTRIBUTE_BYTES
    return f"{size:,} bytes, not read" if large else _plain(holder.attrs[name])


def read_instruction_attribute(file: h5py.File, places: Places) -> str:
    """Return the text of ``GROUP@ATTRIBUTE``, or of an entry of one that holds JSON.

    Raises:
        Rejected: it is not there, or no text.
    """
    place = places.instruction
    group, _, named = place.partition("@")
    holder, (name, _, key) = locate(file, group), named.partition("/")
    if holder is None or name not in holder.attrs:
        raise unclear(place, say("no such attribute"), say("a text"))
    text = whole_text(holder, name)
    if key and text is not None:
        try:
            entries = json.loads(text)
        except ValueError:
            raise unclear(
                place, say("{value!r}, which is no JSON", value=text[:QUOTED]), say("JSON")
            ) from None
        text = entries.get(key) if isinstance(entries, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise unclear(place, say("no text"), say("one text"))
    return plain_text(text.strip())


def whole_text(holder: h5py.Group | h5py.Dataset, name: str) -> str | None:
    """Return the whole text that an attribute holds; None where it holds anything else.

    Else are another type, several texts, and bytes that are not UTF-8.
    """
    if _bytes_of(holder, name) > MAX_ATTRIBUTE_BYTES:
        return None
    value = holder.attrs[name]
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8").rstrip("\0")
        # h5py leaves bytes that are not UTF-8 in surrogates
        return value.encode().decode() if isinstance(value, str) else None
    except UnicodeError:
        return None


def texts_of(dataset: h5py.Dataset, count: int) -> list[str]:
    """Return the texts of the first attribute that holds so many, all different; else none."""
    for name in attribute_names(dataset):
        value = read_attribute(dataset, name)
        if (
            isinstance(value, list)
            and len(value) == len(set(map(str, value))) == count
            and all(isinstance(one, str) for one in value)
        ):
            return value
    return []


def _bytes_of(holder: h5py.Group | h5py.Dataset, name: str) -> int:
    stored = holder.attrs.get_id(name)
    size: int = stored.get_space().get_simple_extent_npoints() * stored.get_type().get_size()
    return size


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.ravel()[:MAX_VALUES]]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else str(value)
    if isinstance(value, np.void) and value.dtype.names is None:
        return text_of_bytes(value.tobytes()) or plain_text(value)
    return plain_text(value)
