"""A program in place of ``python`` that starts Snakemake and its jobs as forks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from mobile_vla.commands import COMMANDS
from support import fork_server

# What must be set before packages are imported, by the command line and by Snakemake.
ENVIRONMENT = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",  # no test downloads
}

# It dies of the signal that its fork died of, and sends on those that it gets itself.
CLIENT = """\
#!{python} -IS
import json, os, signal, socket, sys

REAL, PLAIN, MODEL = {python!r}, {plain!r}, {model!r}
arguments = sys.argv[2:] if sys.argv[1:2] == ["-u"] else sys.argv[1:]
command = arguments[2] if arguments[:2] == ["-m", "mobile_vla"] else None
if arguments[:2] != ["-m", "snakemake"] and command is None:
    os.execv(REAL, [REAL, *arguments])
server = socket.socket(socket.AF_UNIX)
server.connect(MODEL if command in {commands!r} else PLAIN)
asked = json.dumps([sys.argv[0], arguments[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
server.sendall(asked)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: server.send(bytes([number])))
answer = server.recv(8)
status = int.from_bytes(answer, "big", signed=True) if answer else -signal.SIGKILL
if status < 0:
    if -status in (signal.SIGTERM, signal.SIGINT):
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


class Forks:
    """A server of forks, whose sockets and whose program lie in a folder."""

    def __init__(self, folder: Path):
        paths = {"plain": str(folder / "plain"), "model": str(folder / "model")}
        with_model = {command.stage for command in COMMANDS.values() if "torch" in command.packages}
        names = {
            spelled
            for name, command in COMMANDS.items()
            if command.stage in with_model
            for spelled in (name, name.replace("_", "-"))
        }
        self.python = folder / "bin/python"
        self.python.parent.mkdir(parents=True)
        self.python.write_text(CLIENT.format(python=sys.executable, commands=names, **paths))
        self.python.chmod(0o755)
        listeners = [socket.socket(socket.AF_UNIX) for _ in paths]
        for listener, path in zip(listeners, paths.values(), strict=True):
            listener.bind(path)
            listener.listen(64)
        numbers = [listener.fileno() for listener in listeners]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", fork_server.__file__, *map(str, numbers)],
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.PIPE,  # its end tells the server to end
                stdout=log,
                stderr=log,
                pass_fds=numbers,
            )
        for listener in listeners:
            listener.close()  # now the server's alone: where it dies, nobody waits for it

    def close(self) -> None:
        """End the server; forks that still run go on."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
