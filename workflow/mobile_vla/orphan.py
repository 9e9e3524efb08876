"""A job whose Snakemake died ends too, so that nothing trains on unseen.

A killed Snakemake does not tell its jobs. Each job therefore knows the process that started it,
from an environment variable that the rules set, and looks now and then whether it is still there.
On a cluster that is the Snakemake within the job: the one that submitted it may go, and the job
goes on until the scheduler ends it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import psutil

from mobile_vla.ranks import processes

log = logging.getLogger(__name__)

VARIABLE = "MOBILE_VLA_PARENT"  # `HOST:PROCESS`
EVERY = 1.0  # seconds between looks
GRACE = 60.0  # seconds to end in good order, before it is killed


def watch_parent() -> None:
    """Start to watch the process named by the environment; without one, do nothing."""
    host, _, number = os.environ.get(VARIABLE, "").rpartition(":")
    if host == os.uname().nodename:  # else there is none, or it is on another machine
        _start(int(number), "Snakemake that started this job")
    if processes() > 1:
        _start(os.getppid(), "torchrun that started this process")


def _start(number: int, what: str) -> None:
    try:
        parent = psutil.Process(number)
    except psutil.NoSuchProcess:
        return  # long gone
    threading.Thread(target=_watch, args=(parent, what), daemon=True).start()


def _watch(parent: psutil.Process, what: str) -> None:
    while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
        time.sleep(EVERY)
    log.error("the %s is gone (process %d): ending", what, parent.pid)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)
