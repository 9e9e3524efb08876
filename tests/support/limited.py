"""Run a function in a fork of this process with limits of time and memory."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from mobile_vla.errors import UserError

SECONDS = 20  # of processor time
WAITING = 300  # seconds; what waits without computing is ended, too
MEMORY = 1_000_000_000  # bytes that the function may take beyond what the process has


@dataclass(frozen=True)
class Outcome:
    """How a function ended.

    Args:
        kind: ``accepted``, ``refused`` with words for the user, ``traceback``, or ``killed``.
        message: the words, the traceback, or the signal.
        memory: bytes beyond what the process had before.
    """

    kind: str
    message: str
    memory: int


def limited(work: Callable[[], object]) -> Outcome:
    """Run a function in a fork; ``SECONDS`` and ``MEMORY`` are what it may take."""
    reader, writer = os.pipe()
    before = psutil.Process().memory_info()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run(work, writer, before.vms)
    os.close(writer)
    text, until = b"", time.monotonic() + WAITING
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while (left := until - time.monotonic()) > 0 and select.select([stream], [], [], left)[0]:
            part = stream.read(1 << 16)
            if not part:
                break
            text += part
        else:
            os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    taken = max(usage.ru_maxrss * 1024 - before.rss, 0)
    if not text:
        return Outcome("killed", f"status {os.waitstatus_to_exitcode(status)}", taken)
    kind, message = json.loads(text)
    return Outcome(kind, message, taken)


def _run(work: Callable[[], object], writer: int, size: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    limit = size + 2 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        work()
        found = ("accepted", "")
    except UserError as error:
        found = ("refused", str(error))
    except BaseException:
        found = ("traceback", traceback.format_exc(limit=-8))
    os.write(writer, json.dumps(found).encode()[:60000])
    os._exit(0)
