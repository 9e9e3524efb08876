"""A job whose Snakemake died ends too, so that nothing trains on unseen.

A killed Snakemake does not tell its jobs. Each job therefore knows the process that started it,
from an environment variable that the rules set, and looks now and then whether it is still there.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import psutil

log = logging.getLogger(__name__)

VARIABLE = "MOBILE_VLA_PARENT"
EVERY = 1.0  # seconds between looks
GRACE = 60.0  # seconds to end in good order, before it is killed


def watch_parent() -> None:
    """Start to watch the process named by the environment; without one, do nothing."""
    named = os.environ.get(VARIABLE)
    if not named:
        return
    try:
        parent = psutil.Process(int(named))
    except (psutil.NoSuchProcess, ValueError):
        return  # of another machine, or long gone: then there is nothing to watch
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: psutil.Process) -> None:
    while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
        time.sleep(EVERY)
    log.error("the Snakemake that started this job is gone (process %d): ending", parent.pid)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)
