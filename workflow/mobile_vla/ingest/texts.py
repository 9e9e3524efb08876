"""Read an episode's optional texts in every form that has one meaning.

They are not needed to train on an episode. What is not clear raises ``Rejected`` and becomes a
warning: it makes no episode unusable.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from mobile_vla.ingest.chunks import check_storage
from mobile_vla.ingest.places import Places
from mobile_vla.ingest.rawfile import Rejected, find, rejection
from mobile_vla.sentence import Sentence, say

MAX_TEXTS = 100_000
MAX_TEXT_BYTES = 4096  # of an entry of fixed length; the collector's instruction has 256
TEXTS_AT_A_TIME = 1000
MAX_TEXT = 1000  # characters of an attribute or instruction that are kept
QUOTED = 60  # characters of a text in a message


def read_event_types(file: h5py.File, places: Places) -> list[str] | None:
    """Return the text of each entry of ``action_event_types``; None where the file has none.

    Raises:
        Rejected: the entries are no texts, or lie in a table.
    """
    place, dataset = places.events, find(file, places.events)
    if dataset is None or not dataset.size:
        return None
    expected = say("a text a frame, (T,) strings")
    entries = _entries(dataset, place, expected)
    if not entries or sum(length > 1 for length in entries) > 1:
        raise unclear(place, say("texts of shape {entries}", entries=entries), expected)
    return list(_read(dataset, place, expected))


def read_instruction(file: h5py.File, places: Places) -> str | None:
    """Return the instruction's text, stored once or many times the same; None for none.

    Raises:
        Rejected: it is no text, there are several, or none stands where config.yaml says.
    """
    place, dataset = places.instruction, find(file, places.instruction)
    if dataset is None and places.needs_instruction:
        raise unclear(place, say("no such dataset"), say("a text"))
    if dataset is None or not dataset.size:
        return None
    expected = say("one string, such as S256")
    _entries(dataset, place, expected)
    texts = dict.fromkeys(text.strip() for text in _read(dataset, place, expected))
    texts.pop("", None)
    if len(texts) > 1:
        quoted = ", ".join(f"{text[:QUOTED]!r}" for text in list(texts)[:2])
        raise unclear(
            place,
            say("{texts} different texts: {quoted}", texts=len(texts), quoted=quoted),
            expected,
        )
    return next(iter(texts), None)


def unclear(place: str, found: Sentence, expected: Sentence) -> Rejected:
    """Return the defect of a text without a clear meaning."""
    return rejection("unclear", place, found, expected, say("store it as the contract says"))


def _entries(dataset: h5py.Dataset, place: str, expected: Sentence) -> tuple[int, ...]:
    """Return the shape of a dataset's texts.

    Raises:
        Rejected: its values are no texts, or too many or too long ones.
    """
    kind, shape = dataset.dtype, dataset.shape
    of_bytes = _is_byte(kind)  # then the last axis holds the bytes of a text
    width = shape[-1] if of_bytes and shape else kind.itemsize
    entries = shape[:-1] if of_bytes else shape
    vlen = h5py.check_vlen_dtype(kind)
    if not (
        h5py.check_string_dtype(kind)
        or (of_bytes and shape)
        or (vlen is not None and _is_byte(np.dtype(vlen)))
        or (kind.kind == "V" and kind.names is None and kind.subdtype is None)
        or h5py.check_enum_dtype(kind)
    ):
        raise unclear(place, say("values of type {kind}, which are no texts", kind=kind), expected)
    if width > MAX_TEXT_BYTES:
        raise unclear(
            place,
            say("texts of {width:,} bytes", width=width),
            say("at most {max_text_bytes:,} bytes each", max_text_bytes=MAX_TEXT_BYTES),
        )
    if np.prod(entries, dtype=float) > MAX_TEXTS:
        raise unclear(
            place,
            say("texts of shape {entries}", entries=entries),
            say("at most {max_texts:,} texts", max_texts=MAX_TEXTS),
        )
    check_storage(dataset, place)
    return entries


def _read(dataset: h5py.Dataset, place: str, expected: Sentence) -> Iterator[str]:
    """Yield a dataset's texts in its order."""
    names = {number: name for name, number in (h5py.check_enum_dtype(dataset.dtype) or {}).items()}
    of_bytes = _is_byte(dataset.dtype)
    if of_bytes and len(dataset.shape) == 1:
        blocks = iter([dataset[()][np.newaxis]])
    elif not dataset.shape:
        blocks = iter([np.array([dataset[()]], dtype=dataset.dtype)])
    else:
        starts = range(0, dataset.shape[0], TEXTS_AT_A_TIME)
        blocks = (dataset[first : first + TEXTS_AT_A_TIME] for first in starts)
    for block in blocks:
        for value in block.reshape(-1, block.shape[-1]) if of_bytes else block.ravel():
            if names:
                text = names.get(int(value))
            else:
                text = text_of_bytes(value if isinstance(value, bytes) else value.tobytes())
            if text is None:
                raise unclear(
                    place,
                    say("values of type {dtype} that are no text", dtype=dataset.dtype),
                    expected,
                )
            yield text


def _is_byte(kind: np.dtype[Any]) -> bool:
    return kind.kind in "ui" and kind.itemsize == 1 and not h5py.check_enum_dtype(kind)


def text_of_bytes(content: bytes) -> str | None:
    """Return the text that bytes are in UTF-8, without what pads it; None where they are none."""
    try:
        text = content.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        return None
    printable = all(letter.isprintable() or letter in "\t\n\r" for letter in text)
    return text[:MAX_TEXT] if printable else None


def plain_text(value: Any) -> str:
    """Return a value as text that JSON can hold: no surrogates, no nulls at the end, not long."""
    text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", errors="replace").decode().rstrip("\0")[:MAX_TEXT]
