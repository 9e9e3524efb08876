"""Snakemake and its jobs as forks of a process that has imported what they need.

An interpreter with torch, transformers and peft takes seconds to start, one with Snakemake two, and
a small project has fifty of them. Here each is a fork; the lines that Snakemake runs, the files,
the exit status and the signals are those of an interpreter.

The server loads this repository's library. A fork for a project whose library differs in any byte
forgets it and imports the project's. Stages that need torch are loaded in a second process, so
that a job without torch runs without torch.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "workflow"
PACKAGE = "mobile_vla"
SNAKEMAKE = ("snakemake.cli", "snakemake.api", "snakemake.workflow", "snakemake.dag")
BACKENDS = tuple(f"matplotlib.backends.backend_{name}" for name in ("agg", "pdf", "svg"))


def main() -> None:
    """Serve forks, of Snakemake and light jobs in this process, of others in a second one."""
    plain, model = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    _wait(plain, model)
    content = _content(LIBRARY)
    sys.path.insert(0, str(LIBRARY))
    commands = importlib.import_module(f"{PACKAGE}.commands").STAGES.values()
    _load((*SNAKEMAKE, *BACKENDS, f"{PACKAGE}.cli", f"{PACKAGE}.config.loading"))
    with_model = {command.stage for command in commands if "torch" in command.packages}
    _load(command.module for command in commands if command.stage not in with_model)
    for command in commands:
        command.tracked()  # the digests of all modules, which each plan needs
    if os.fork() == 0:
        plain.close()
        _wait(model)
        _load(command.module for command in commands)
        _serve(model, content)
    else:
        model.close()
        _serve(plain, content)


def _load(modules: Iterable[str]) -> None:
    for name in modules:
        with suppress(ModuleNotFoundError):  # of a package that only some commands need
            importlib.import_module(name)


def _content(library: Path) -> dict[str, bytes]:
    """Return the bytes of the library's modules."""
    return {
        str(file.relative_to(library)): file.read_bytes()
        for file in sorted((library / PACKAGE).rglob("*.py"))
    }


def _wait(*listeners: socket.socket) -> None:
    """Wait for a request; end where the process that started the server has ended."""
    readable, _, _ = select.select([0, *listeners], [], [])
    if 0 in readable:
        os._exit(0)


def _serve(listener: socket.socket, content: dict[str, bytes]) -> None:
    gc.freeze()  # or a collection in a fork would copy all pages
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that watch the forks
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        _wait(listener)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            break
        connection.close()
    with connection:
        header, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
        with connection.makefile("rb") as stream:
            request = json.loads(stream.read(int.from_bytes(header, "big")))
        child = os.fork()
        if child:
            _watch(connection, child)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _become(descriptors, content, *request)


def _watch(connection: socket.socket, child: int) -> None:
    """Send signals on to a fork and its exit status back; it ends where its client is killed."""
    ended = os.pidfd_open(child)
    while ended not in (readable := select.select([connection, ended], [], [])[0]):
        number = connection.recv(1) if connection in readable else b""
        signal.pidfd_send_signal(ended, number[0] if number else signal.SIGKILL)
        if not number:
            break
    _, status = os.waitpid(child, 0)
    with suppress(OSError):  # the client is gone
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(8, "big", signed=True))
    os._exit(0)


def _become(
    descriptors: Sequence[int],
    content: dict[str, bytes],
    python: str,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
) -> None:
    """Run a module as ``python -m`` does in a folder and environment."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable, sys.argv = python, arguments
    sys.path.remove(str(LIBRARY))
    sys.path[:0] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    of_job = next((path for path in map(Path, sys.path) if (path / PACKAGE).is_dir()), None)
    library = Path("workflow") if arguments[0] == "snakemake" else of_job
    if library is None or _content(library) != content:
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        _end(0)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        _end(end.code if isinstance(end.code, int) else int(end.code is not None))
    except BaseException:
        traceback.print_exc()
        _end(1)


def _end(status: int) -> None:
    """End as an interpreter does, but for taking apart all that was loaded: that takes seconds."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
