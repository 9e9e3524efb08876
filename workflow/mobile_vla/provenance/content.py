"""Identify files from outside the workflow by their bytes, not by their times, as Snakemake does.

Digests are cached by size, modification time and inode, so that a plan costs one `stat` a file.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from mobile_vla.files import sha256_of, write_text

log = logging.getLogger(__name__)

QUIET = 2.0  # seconds of hashing before progress is shown
SAVE_EVERY = 30.0  # seconds between savings of the cache, so that an interruption loses little


def content_ids(paths: Sequence[Path], cache: Path) -> dict[Path, str]:
    """Return an identity of each file's bytes.

    Args:
        paths: files, which need not exist or be readable.
        cache: file that digests are kept in between plans; a damaged one counts as empty.

    Returns:
        For each path its SHA-256 (64 hex digits), or ``missing``, ``unreadable`` or ``no file``,
        which are identities too: a file that appears changes it.
    """
    known = _read(cache)
    ids: dict[Path, str] = {}
    waiting: dict[Path, str] = {}
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            ids[path] = "missing"
        except OSError:
            ids[path] = "unreadable"
        else:
            key = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
            entry = known.get(str(path.absolute()))
            if not path.is_file():
                ids[path] = "no file"
            elif entry is not None and entry[0] == key:
                ids[path] = entry[1]
            else:
                waiting[path] = key
    if waiting:
        ids.update(_hash(waiting, known, cache))
    return {path: ids[path] for path in paths}  # not in the order in which hashing ended


def kept_ids(
    path: Path, asked: str, look: Callable[[], dict[str, str] | None], cache: Path
) -> dict[str, str]:
    """Return identities of what stands in a file, which are looked up again when it changes.

    Args:
        path: the file, which need not exist.
        asked: what is looked for, as text.
        look: looks it up; None is not kept.
        cache: as of :func:`content_ids`.

    Returns:
        What ``look`` returned, without a file or with None nothing.
    """
    try:
        stat = path.stat()
    except OSError:
        return {}
    name = f"{path.absolute()} {asked}"
    key = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
    known = _read(cache)
    entry = known.get(name)
    if entry is not None and entry[0] == key:
        return dict(json.loads(entry[1]))
    found = look()
    if found is not None:
        known[name] = [key, json.dumps(found)]
        _write(cache, known)
    return found or {}


def _hash(waiting: dict[Path, str], known: dict[str, list[str]], cache: Path) -> dict[Path, str]:
    """Hash files in threads (hashlib releases the interpreter), showing progress when it lasts."""
    ids: dict[Path, str] = {}
    total = sum(int(key.split()[0]) for key in waiting.values())
    done, started = 0, time.monotonic()
    said = saved = started
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        futures = {pool.submit(_digest, path): path for path in waiting}
        for future in as_completed(futures):
            path = futures[future]
            ids[path] = future.result()
            done += int(waiting[path].split()[0])
            if len(ids[path]) == 64:
                known[str(path.absolute())] = [waiting[path], ids[path]]
            now = time.monotonic()
            if now - started > QUIET and now - said > 1:
                left = (now - started) * (total - done) / max(done, 1)
                log.warning(
                    "hashing %d of %d files, %.1f of %.1f GB, about %.0f s left",
                    *(len(ids), len(waiting), done / 1e9, total / 1e9, left),
                )
                said = now
            if now - saved > SAVE_EVERY:
                _write(cache, known)
                saved = now
    finally:
        # On Ctrl-C what has been hashed is kept, and files not begun are not begun any more.
        pool.shutdown(wait=False, cancel_futures=True)
        _write(cache, known)
    return ids


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return "unreadable"


def _read(cache: Path) -> dict[str, list[str]]:
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(cache: Path, known: dict[str, list[str]]) -> None:
    """Save the cache, with what another plan may have added meanwhile."""
    merged = {**_read(cache), **known}
    try:
        write_text(cache, json.dumps(merged, indent=0, sort_keys=True))
    except OSError as error:  # a plan on a read-only disk is slow, not wrong
        log.warning("digests not kept: %s", error)
