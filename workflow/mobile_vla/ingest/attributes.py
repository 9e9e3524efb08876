"""Turn a raw file's attributes into plain values."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from mobile_vla.ingest.texts import plain_text, text_of_bytes

MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_BYTES = 1 << 20  # of one that is read
MAX_VALUES = 100  # entries of an attribute's array that are kept


def attribute_names(file: h5py.File) -> list[str]:
    """Return the names of the attributes that are read."""
    return sorted(file.attrs)[:MAX_ATTRIBUTES]


def read_attribute(file: h5py.File, name: str) -> Any:
    """Return an attribute as a JSON value; types that JSON lacks become text."""
    stored = file.attrs.get_id(name)
    size = stored.get_space().get_simple_extent_npoints() * stored.get_type().get_size()
    large = size > MAX_ATTRIBUTE_BYTES
    return f"{size:,} bytes, not read" if large else _plain(file.attrs[name])


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
