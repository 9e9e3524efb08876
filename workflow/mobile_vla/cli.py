"""The command line: a command's function, with its arguments by name.

``python -m mobile_vla ingest --settings '{…}' --raw a.h5 --facts a.json --frames a.npy`` calls the
function ``ingest`` of ``mobile_vla.ingest.ingest``. The options are the function's own parameters,
so that a command is written once and can be run by hand: a parameter that is a group, of files or
of values, becomes an option for each of its members. A tool's parameters that can be given by place
in Python stand without a name here, too: ``predict POLICY EPISODE``.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import logging
import os
import signal
import sys
import threading
import time
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any

import psutil
from pydantic import ValidationError

from mobile_vla import gpus
from mobile_vla.commands import COMMANDS, STAGES, Command
from mobile_vla.config.base import Gathered, Settings
from mobile_vla.errors import AGAIN, UserError
from mobile_vla.files import DISK_FULL
from mobile_vla.filesets import Files
from mobile_vla.out_of_memory import lacks_memory, remedy
from mobile_vla.progress import TerminalHandler
from mobile_vla.provenance.record import JobRecorder
from mobile_vla.ranks import processes, rank

log = logging.getLogger(__name__)

PARENT = "MOBILE_VLA_PARENT"  # `HOST:PROCESS`
LOOK_EVERY = 1.0  # seconds between looks whether the parent is there
GRACE = 60.0  # seconds to end in good order without it, before the job is killed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status.

    It is 0, 1 for a mistake of the user's, a full disk or a lack of memory, which are printed
    without a traceback, 2 for a mistake of the program's, or 130 when it was interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # Hints and progress bars of the libraries would stand between our own lines.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # One thread for numpy's own products: sums over more differ in their last bits with a machine's
    # number of cores, and starting them took the reading of an episode 0.4 s of processor time.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"

    parser = argparse.ArgumentParser(prog="python -m mobile_vla", description=__doc__)
    parser.add_argument("command", choices=[name.replace("_", "-") for name in COMMANDS])
    name = parser.parse_args([word.replace("_", "-") for word in arguments[:1]]).command
    command = COMMANDS[name.replace("-", "_")]
    # As an exception, so that temporary files are removed; training installs a handler of its own.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    _watch_parent()
    values: dict[str, Any] = {}
    recorder = JobRecorder(command.name, command.module, command.packages)
    try:
        if command.on_cpu:
            gpus.hide()
        elif command.runs_model:
            gpus.take()
        function = _function(command)
        options = _parser(name, function).parse_args(arguments[1:])
        _log_to(options.log)
        values = _arguments(function, options)
        recorder.note(_plain_settings(values), _inputs(values))
        function(**values)
        if command.name in STAGES and options.record is not None and rank() == 0:
            recorder.write(options.record)
    except UserError as error:
        log.error("%s", error)
        return error.status
    except KeyboardInterrupt:
        log.error("%s: interrupted; %s", name, AGAIN)
        return 130
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            place = f" ({error.filename})" if error.filename else ""
            log.error("%s: the disk is full%s; make room and run snakemake again", name, place)
            return 1
        if lacks_memory(error):
            log.error("%s: %s", name, remedy(error, _plain_settings(values) or {}))
            return 1
        log.exception("%s: this is a fault of the program, please report it", name)
        return 2
    return 0


def _watch_parent() -> None:
    """End this job when the Snakemake that started it died, so that nothing trains on unseen.

    A killed Snakemake does not tell its jobs; the rules name its process in the environment. On a
    cluster that is the Snakemake within the job: the one that submitted it may go.
    """
    host, _, number = os.environ.get(PARENT, "").rpartition(":")
    if host == os.uname().nodename:  # else there is none, or it is on another machine
        _watch(int(number), "Snakemake that started this job")
    if processes() > 1:
        _watch(os.getppid(), "torchrun that started this process")


def _watch(number: int, what: str) -> None:
    try:
        parent = psutil.Process(number)
    except psutil.NoSuchProcess:
        return  # long gone

    def end_with_it() -> None:
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            time.sleep(LOOK_EVERY)
        log.error("the %s is gone (process %d): ending", what, number)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_with_it, daemon=True).start()


def _plain_settings(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a command's settings as plain values; None for a tool, which has none."""
    settings = values.get("settings")
    return settings.model_dump(mode="json") if isinstance(settings, Settings) else None


def _function(command: Command) -> Callable[..., None]:
    """Return a command's function.

    Raises:
        UserError: a package is missing that it needs and the others do not.
    """
    try:
        # A dynamic import: a command must not load what the others need.
        return getattr(importlib.import_module(command.module), command.name)
    except ModuleNotFoundError as error:
        if command.extra is None or str(error.name).startswith(__package__):
            raise
        raise UserError(
            f"the package {error.name!r} is not installed, which this command needs and the "
            "workflow does not; install it with\n"
            f"    python -m pip install -r envs/requirements-{command.extra}.txt "
            "-c envs/constraints.txt"
        ) from None


def _log_to(file: Path | None) -> None:
    """Send messages to the terminal and, with ``--log``, to a file as well.

    Of several processes the first says how it goes; the others say what goes wrong.
    """
    first = rank() == 0
    handlers: list[logging.Handler] = [TerminalHandler()]
    form = "%(message)s" if first else f"process {rank() + 1} of {processes()}: %(message)s"
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(file, mode="w" if first else "a", encoding="utf-8"))
    logging.basicConfig(format=form, handlers=handlers, force=True)
    logging.getLogger("mobile_vla").setLevel(logging.INFO if first else logging.WARNING)
    logging.captureWarnings(True)
    # The libraries are pinned: what a later release of theirs will deprecate is not for a log.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)


def _parser(command: str, function: Callable[..., None]) -> argparse.ArgumentParser:
    """Return a parser whose options are a function's parameters."""
    hints = typing.get_type_hints(function)
    staged = "settings" in hints  # a stage's arguments all have names: a rule writes them
    groups = [kind for kind in hints.values() if is_dataclass(kind)]
    documented = [function] if staged else [function, *groups]
    parser = argparse.ArgumentParser(
        prog=f"python -m mobile_vla {command}",
        description="\n\n".join(inspect.getdoc(part) or "" for part in documented),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        placed = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        if is_dataclass(kind):
            of_field = typing.get_type_hints(kind)
            written = isinstance(kind, type) and issubclass(kind, Files)  # defaults are patterns
            for field in fields(kind):
                default = inspect.Parameter.empty if written else field.default
                if field.default_factory is not MISSING:
                    default = field.default_factory()
                _add_option(parser, field.name, of_field[field.name], default)
        elif placed and not staged:
            # of a list there must be one at least
            listed = typing.get_origin(kind) is list
            form = {"nargs": "+", "type": typing.get_args(kind)[0]} if listed else {"type": kind}
            if parameter.default is None:  # of `Path | None` a path
                form = {"nargs": "?", "type": typing.get_args(kind)[0]}
            parser.add_argument(name, metavar=name.upper(), **form)
        else:
            _add_option(parser, name, kind, parameter.default)
    parser.add_argument("--log", type=Path, help="file that messages are written to as well")
    if command.replace("-", "_") in STAGES:
        parser.add_argument("--record", type=Path, help="JSON file for the circumstances")
    return parser


def _add_option(parser: argparse.ArgumentParser, name: str, kind: Any, default: Any) -> None:
    """Add an option for a parameter, or for a member of a group."""
    required = default in (inspect.Parameter.empty, MISSING)
    option: dict[str, Any] = {"required": required, "dest": name}
    if not required:
        option["default"] = default
    if typing.get_origin(kind) is list:
        # an empty list of files is the plain option without values
        option |= {"nargs": "*", "type": typing.get_args(kind)[0]}
    elif isinstance(kind, type) and issubclass(kind, Settings):
        option |= {"type": _settings(kind), "metavar": "JSON|-"}
    elif kind is bool:
        option |= {"action": "store_true"}
    elif required:
        option["type"] = kind
    else:  # the option may stand without a value, so that a rule need not leave it out
        # of `Path | None` a path
        members = [member for member in typing.get_args(kind) if member is not NoneType]
        option |= {"type": members[0] if members else kind, "nargs": "?"}
        if typing.get_origin(option["type"]) is typing.Literal:
            option |= {"type": str, "choices": typing.get_args(option["type"])}
    # `from_` is the option `--from`, which is no name in Python
    parser.add_argument("--" + name.rstrip("_").replace("_", "-"), **option)


def _arguments(function: Callable[..., None], options: argparse.Namespace) -> dict[str, Any]:
    """Return a function's arguments, groups put together of the options.

    Raises:
        UserError: a group refuses an option's value.
    """
    hints = typing.get_type_hints(function)
    try:
        return {
            name: hints[name](
                **{field.name: getattr(options, field.name) for field in fields(hints[name])}
            )
            if is_dataclass(hints[name])
            else getattr(options, name)
            for name in inspect.signature(function).parameters
        }
    except ValueError as error:
        raise UserError(str(error)) from None


def _inputs(values: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files that a command reads, as far as its arguments name them."""
    for value in values.values():
        if isinstance(value, Gathered):
            yield from value.files(values["results"])
        elif is_dataclass(value) and not isinstance(value, Files):
            yield from (path for own in vars(value).values() for path in _paths(own))
        else:
            yield from _paths(value)


def _paths(value: Any) -> Iterator[Path]:
    """Yield a path, or those of a list."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, Path):
            yield one


def _settings(kind: type[Settings]) -> Callable[[str], Settings]:
    def parse(text: str) -> Settings:
        try:
            return kind.model_validate_json(sys.stdin.read() if text == "-" else text)
        except ValidationError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse
