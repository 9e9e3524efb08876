"""Run this folder's policy: it needs Python 3.8, onnxruntime, numpy and Pillow, and no PyTorch.

    python run.py predict PICTURE...     print what it answers to pictures of a drive
    python run.py serve                  answer robots over HTTP
    python run.py certify                measure it on this machine

Each first checks the bytes of all files and the answers to known pictures, and refuses where
something is not as it was exported. `python run.py serve --help` lists the options.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Sequence

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE / "modules.zip"))  # before a project that is installed

try:
    from mobile_vla.bundle.measuring import check_robot
    from mobile_vla.bundle.runtime import (
        Bundle,
        BundleStream,
        Probe,
        Refused,
        ServedBundle,
        open_bundle,
        prompt_of,
        to_frame,
    )
    from mobile_vla.serving.access import Access
    from mobile_vla.serving.application import Limits, Server
    from mobile_vla.serving.listening import (
        ListeningError,
        open_listener,
        read_token,
        until_signal,
    )
    from mobile_vla.serving.pictures import Unusable, decode
    from mobile_vla.serving.recorder import Recorder
except ImportError as error:
    if __name__ != "__main__":
        raise
    sys.exit(
        f"run.py: {error}; expected onnxruntime, numpy, Pillow and a whole {HERE / 'modules.zip'}; "
        "`python -m pip install onnxruntime numpy pillow` (on a Jetson NVIDIA's onnxruntime-gpu), "
        "or copy the folder again"
    )

FINISHING = 0.7  # seconds that recorded drives have to be written when the server ends

log = logging.getLogger("run")


def predict(bundle: Bundle, options: argparse.Namespace) -> None:
    """Print the actions at each picture of a drive, a line each, in raw command units."""
    described = bundle.described
    stream = BundleStream(bundle, prompt_of(bundle, options.instruction))
    print(",".join(["frame", "ahead", *described["dimensions"]]))
    for number, path in enumerate(options.pictures):
        try:
            image = decode(path.read_bytes())
        except (OSError, Unusable) as error:
            raise Refused(f"{path}: {error}") from None
        actions = stream.step(to_frame(image, described["images"]["resize"], "rgb"))
        for ahead, action in zip(described["ahead"], actions.tolist()):
            print(",".join(map(str, [number, ahead, *(f"{one:.9g}" for one in action)])))


def serve(bundle: Bundle, options: argparse.Namespace) -> None:
    """Answer robots until SIGINT or SIGTERM comes, by the protocol of the project's server."""
    policy, recorder = ServedBundle(bundle, not options.uncertified), None
    try:
        limits = Limits(options.sessions, options.idle_seconds, options.max_body_mb)
        token = read_token(options.host, options.token_file)
        opened = open_listener(options.host, options.port)
        if options.record is not None:
            # The project's `serve --record` makes episodes of the drives: that needs HDF5.
            recorder = Recorder(options.record, policy.recorded, lambda place: None)
    except (ListeningError, OSError, ValueError) as error:
        raise Refused(str(error)) from None
    with opened as listener:
        server = Server(policy, limits, recorder=recorder)
        host, port = listener.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        log.info("serving at http://%s:%d", name, port)
        access = Access(token, options.host, server.pages)
        number = asyncio.run(until_signal(server.http(access), listener))
        if recorder is not None:
            recorder.close(FINISHING)
        log.info("the server has ended")
        logging.shutdown()
        os._exit(128 + number)  # at once: Python would wait for a step that may take seconds


def certify(bundle: Bundle, options: argparse.Namespace, probe: float, digest: str) -> None:
    """Measure steps on this machine, and print what was found as JSON."""
    resize = bundle.described["images"]["resize"]
    frames = [to_frame(picture, resize, "rgb") for picture in Probe.read(options.folder).pictures]
    found = {
        "bundle": digest,
        "probe_difference": probe,
        "threads": options.threads,
        **check_robot(bundle, frames, options.steps),
    }
    text = json.dumps(found, indent=1)
    if options.output is None:
        print(text)
    else:
        options.output.write_text(text + "\n", encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--folder", type=Path, default=Path(__file__).parent, help="the bundle")
    common.add_argument("--providers", nargs="+", default=[], help="such as CUDAExecutionProvider")
    common.add_argument("--threads", type=int, default=0, help="of onnxruntime; 0: its choice")
    common.add_argument(
        "--uncertified", action="store_true", help="run it without a certificate that it passed"
    )
    whole = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = whole.add_subparsers(dest="command", required=True)
    predicting = commands.add_parser("predict", parents=[common])
    predicting.add_argument("pictures", nargs="+", type=Path, help="JPEG or PNG, oldest first")
    predicting.add_argument("--instruction")
    serving = commands.add_parser("serve", parents=[common])
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--port", type=int, default=8765, help="0: any that is free")
    serving.add_argument("--token-file", type=Path, help="needed where other machines are answered")
    serving.add_argument("--record", type=Path, help="folder that keeps each drive")
    serving.add_argument("--sessions", type=int, default=8, help="robots at a time")
    serving.add_argument("--idle-seconds", type=float, default=600.0)
    serving.add_argument("--max-body-mb", type=float, default=8.0)
    certifying = commands.add_parser("certify", parents=[common])
    certifying.add_argument("--steps", type=int, default=100, help="that are measured")
    certifying.add_argument("--output", type=Path, help="JSON file; by default it is printed")
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 1 where the folder or a request is refused."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        bundle, probe, digest = open_bundle(
            options.folder, options.providers, options.threads, options.uncertified
        )
        if options.command == "predict":
            predict(bundle, options)
        elif options.command == "serve":
            serve(bundle, options)
        else:
            certify(bundle, options, probe, digest)
    except Refused as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
