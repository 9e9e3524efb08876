"""A logger for Snakemake that prints each planned job as a line of JSON.

``python -m mobile_vla plan`` calls ``snakemake -n --logger plan`` with the folder ``plugins`` on
Python's path. Snakemake finds such a plugin by its name, ``snakemake_logger_plugin_NAME``.
"""

from __future__ import annotations

import json
import logging
import re
import sys

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

FIELDS = ("rule_name", "wildcards", "reason", "input", "output", "shellcmd")
UNCHECKED = "provenance/metadata"  # in the message on jobs whose settings it cannot compare
COMMAND = re.compile(r"\bmobile_vla (\w+)")


class LogHandler(LogHandlerBase):
    """Prints jobs to standard output, warnings and errors as Snakemake does to standard error."""

    writes_to_stream = True  # in place of Snakemake's handler
    writes_to_file = False
    has_filter = True  # none: jobs are printed whatever a profile says of `quiet`
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.commands: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a job, the number of all jobs, or a message."""
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            print(json.dumps({"total": record.stats["total"]}), flush=True)
        elif event == LogEvent.JOB_INFO:
            job = {name: getattr(record, name) for name in FIELDS}
            command = COMMAND.search(job["shellcmd"] or "")
            job["command"] = command and command[1]
            if command and command[1] not in self.commands:
                self.commands.add(command[1])
                job["tracked"] = _tracked(command[1])
            print(json.dumps(job), flush=True)
        elif record.levelno >= logging.WARNING or UNCHECKED in record.getMessage():
            print(self.format(record), file=sys.stderr, flush=True)


def _tracked(command: str) -> list[str]:
    """Return the code digests and versions that a command's jobs are planned with."""
    # Importable once the Snakefile was read, which has computed the digests already.
    from mobile_vla.commands import STAGES

    return STAGES[command].tracked()
