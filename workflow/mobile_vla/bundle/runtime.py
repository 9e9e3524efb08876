"""A bundle's policy by onnxruntime: Python 3.8, onnxruntime, numpy and Pillow alone.

It is a part of each bundle, beside the server, and runs there without the rest of the project.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

import numpy as np
import onnxruntime

from mobile_vla.serving.guard import Guard
from mobile_vla.serving.pictures import Unusable
from mobile_vla.serving.resize import to_frame

FORMAT = 1
PARITY = 1e-4  # command units
"""How far an action in fp32 may be from PyTorch's."""
DESCRIPTION, CERTIFICATE = "bundle.json", "certificate.json"


class Refused(Exception):  # noqa: N818  (the folder is)
    """The folder must not drive a robot; the message says why, and what to do."""


def read_folder(folder: Path) -> tuple[dict[str, Any], str]:
    """Read ``bundle.json``, and check the bytes of all files that it lists.

    Returns:
        Its content, and its SHA-256.

    Raises:
        Refused: a file is missing or changed, or of another version of this program.
    """
    path = folder / DESCRIPTION
    try:
        text = path.read_bytes()
        described = json.loads(text)
        files = described["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"{path}: cannot be read ({error}); expected a bundle's folder; copy it again"
        ) from None
    if described.get("format") != FORMAT:
        raise Refused(
            "{} (format): found {!r}, expected {}; use the run.py that lies beside it".format(
                path, described.get("format"), FORMAT
            )
        )
    for name, expected in sorted(files.items()):
        try:
            found = sha256_of(folder / name)
        except OSError as error:
            raise Refused(
                f"{folder / name}: cannot be read ({error}); copy the whole folder again"
            ) from None
        if found != expected["sha256"]:
            raise Refused(
                "{}: its bytes are not those that were exported (found SHA-256 {}…, expected {}…); "
                "copy the folder again".format(folder / name, found[:12], expected["sha256"][:12])
            )
    return described, hashlib.sha256(text).hexdigest()


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def check_certificate(folder: Path, digest: str) -> None:
    """Refuse a bundle that has no certificate of having done what it must.

    Args:
        folder: the bundle's.
        digest: SHA-256 of its ``bundle.json``.

    Raises:
        Refused: there is none, it is another bundle's, or it says that the bundle failed.
    """
    path = folder / CERTIFICATE
    despite = "`--uncertified` runs it all the same"
    try:
        certificate = json.loads(path.read_bytes())
        passed, failures = certificate["passed"], certificate["failures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"{path}: cannot be read ({error}); `snakemake` makes it where the bundle was made; "
            f"{despite}"
        ) from None
    if certificate.get("bundle") != digest:
        raise Refused(f"{path}: it is another bundle's; copy the whole folder again; {despite}")
    if passed is not True:
        raise Refused("{}: {}; {}".format(path, "; ".join(failures), despite))


class Bundle:
    """The policy: a frame at a time becomes a readout, and a window of these a chunk of actions.

    Args:
        folder: the bundle's, whose files were checked.
        described: the content of its ``bundle.json``.
        providers: execution providers of onnxruntime, the preferred one first.
        threads: of onnxruntime; 0: as many as it takes by itself.

    Raises:
        Refused: onnxruntime here has no such provider, or cannot load the graphs.
    """

    def __init__(
        self,
        folder: Path,
        described: dict[str, Any],
        providers: Sequence[str] = (),
        threads: int = 0,
    ):
        self.described = described
        available = onnxruntime.get_available_providers()
        unknown = [name for name in providers if name not in available]
        if unknown:
            raise Refused(
                "--providers {}: found {}, expected some of {}".format(
                    " ".join(providers), ", ".join(unknown), ", ".join(available)
                )
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        chosen = list(providers) or ["CPUExecutionProvider"]
        try:
            self.encoder, self.head = (
                onnxruntime.InferenceSession(str(folder / name), options, providers=chosen)
                for name in ("encoder.onnx", "head.onnx")
            )
        except Exception as error:  # onnxruntime's have no common base
            raise Refused(
                f"{folder}: onnxruntime {onnxruntime.__version__} cannot load it ({error})"
            ) from None
        with np.load(folder / "prompts.npz") as stored:
            self.prompts = [
                stored[f"prompt{row}"][None] for row in range(len(described["prompts"]))
            ]  # each (1, T, D)
        self.units = np.array(described["units"], dtype=np.float32)  # (A,)

    def readout(self, frame: np.ndarray, prompt: int) -> np.ndarray:
        """Encode a frame (224, 224, 3) under a prompt; return (1, D) float32."""
        inputs = {"frame": frame[None], "prompt": self.prompts[prompt]}
        found: np.ndarray = self.encoder.run(["readout"], inputs)[0]
        return found

    def chunk(self, readouts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the actions (C, A) that W readouts lead to, oldest first, in raw units."""
        window = np.concatenate(readouts)[None]  # (1, W, D)
        found: np.ndarray = self.head.run(["actions"], {"readouts": window})[0]
        return found[0]


class BundleStream:
    """A drive under a prompt; the first frame stands for those before it."""

    def __init__(self, bundle: Bundle, prompt: int):
        self.bundle, self.prompt = bundle, prompt
        self.readouts: list[np.ndarray] = []  # the last W, each (1, D), oldest first

    def step(self, frame: np.ndarray) -> np.ndarray:
        """Return the chunk (C, A) float32, in raw command units, of the newest frame."""
        window = self.bundle.described["window"]
        newest = self.bundle.readout(frame, self.prompt)
        self.readouts = [*(self.readouts or [newest] * (window - 1)), newest][-window:]
        return self.bundle.chunk(self.readouts)


@dataclass(frozen=True, eq=False)
class Probe:
    """Known pictures, and the actions that are to be answered: S steps over N pictures."""

    pictures: np.ndarray  # (N, H, W, 3) uint8 RGB
    picture: np.ndarray  # (S,) which picture is seen
    prompt: np.ndarray  # (S,) under which prompt
    begins: np.ndarray  # (S,) whether a drive begins with it
    actions: np.ndarray  # (S, C, A) float32 in raw command units

    @classmethod
    def read(cls, folder: Path) -> Probe:
        """Read a bundle's ``probe.npz``."""
        with np.load(folder / "probe.npz") as stored:
            return cls(**{name: stored[name] for name in stored.files})

    def answers(self, bundle: Bundle) -> np.ndarray:
        """Return what a bundle answers, (S, C, A) float32."""
        resize, answers, stream = bundle.described["images"]["resize"], [], None
        steps = zip(self.picture.tolist(), self.prompt.tolist(), self.begins.tolist())
        for picture, prompt, begins in steps:
            if stream is None or begins:
                stream = BundleStream(bundle, prompt)
            answers.append(stream.step(to_frame(self.pictures[picture], resize, "rgb")))
        return np.stack(answers)

    def check(self, bundle: Bundle) -> float:
        """Return the largest difference of an action from what is to be answered, in command units.

        Raises:
            Refused: it is larger than the bundle allows, or no number.
        """
        found = float(np.abs((self.answers(bundle) - self.actions) / bundle.units).max())
        allowed, providers = bundle.described["tolerance"], bundle.encoder.get_providers()
        if not found <= allowed:
            raise Refused(
                f"probe.npz: known pictures give actions that differ by {found:.3g}, expected at "
                f"most {allowed:g}; onnxruntime {onnxruntime.__version__} with "
                f"{', '.join(providers)} computes another policy here; try another version of it, "
                "or `--providers CPUExecutionProvider`"
            )
        return found


def open_bundle(
    folder: Path, providers: Sequence[str] = (), threads: int = 0, uncertified: bool = False
) -> tuple[Bundle, float, str]:
    """Check a folder and load its policy.

    Returns:
        The policy, the probe's largest difference in command units, and the SHA-256 of
        ``bundle.json``.

    Raises:
        Refused: it must not drive a robot.
    """
    described, digest = read_folder(folder)
    if not uncertified:
        check_certificate(folder, digest)
    bundle = Bundle(folder, described, providers, threads)
    return bundle, Probe.read(folder).check(bundle), digest


class ServedBundle:
    """The policy as the server asks it."""

    def __init__(self, bundle: Bundle, certified: bool):
        described = bundle.described
        self.bundle = bundle
        self.dimensions: list[str] = described["dimensions"]
        self.ahead: list[int] = described["ahead"]
        guard = described["guard"]
        lowest, highest, change = (
            np.array([guard[limit][name] for name in self.dimensions], dtype=np.float32)
            for limit in ("lowest", "highest", "change")
        )
        self.guard = Guard(lowest, highest, change, guard["beyond"], guard["jump"])
        self.facts: dict[str, Any] = {
            "policy": {name: described[name] for name in ("experiment", "run", "epoch")},
            "precision": described["precision"],
            "window": described["window"],
            "prompts": described["prompts"],
            "certified": certified,
        }

    @property
    def recorded(self) -> dict[str, Any]:
        """What is kept with a recorded drive."""
        described = self.bundle.described
        policy = f"{described['experiment']} {described['run']}, epoch {described['epoch']}"
        return {"policy": policy, "dimensions": self.dimensions, "ahead": self.ahead}

    def begin(self, instruction: str | None) -> tuple[str, BundleStream]:
        """Return the prompt of an instruction, and a new drive under it."""
        try:
            prompt = prompt_of(self.bundle, instruction)
        except Refused as error:
            raise Unusable(str(error)) from None
        return self.bundle.described["prompts"][prompt], BundleStream(self.bundle, prompt)

    def frame(self, image: np.ndarray, color: str) -> np.ndarray:
        """Make a frame as in training."""
        return to_frame(image, self.bundle.described["images"]["resize"], color)

    def step(self, state: BundleStream, frame: np.ndarray) -> np.ndarray:
        """Return the chunk (C, A)."""
        return state.step(frame)


def prompt_of(bundle: Bundle, instruction: str | None) -> int:
    """Return the place of an instruction; None where there is but one.

    Raises:
        Refused: the policy was not exported with it, or there are several to choose from.
    """
    prompts = bundle.described["prompts"]
    if instruction is None and len(prompts) == 1:
        return 0
    if instruction in prompts:
        place: int = prompts.index(instruction)
        return place
    shown = " or ".join(map(repr, prompts[:5])) + (
        " or another of bundle.json" * (len(prompts) > 5)
    )
    found = "no instruction" if instruction is None else f"the instruction {instruction!r}"
    raise Refused(f"found {found}, expected {shown}")
