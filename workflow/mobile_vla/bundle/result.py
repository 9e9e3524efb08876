"""The form of ``bundle.json`` and ``certificate.json``."""

from __future__ import annotations

from mobile_vla.config.bundle import BundlePrecision
from mobile_vla.latency.result import ControlStepSeconds
from mobile_vla.model.result import FrameFormat, StoredGuard, TrainedOn
from mobile_vla.result import FileDigest, Result
from mobile_vla.statistics.result import PairedMean, Proportion


class BundleOrigin(Result):
    """What a bundle was made of, down to the data."""

    policy: str
    """SHA-256 of the policy's ``policy.json``, which holds the digests of its files."""
    backbone: str
    """Digest of the backbone's files."""
    data: TrainedOn
    """What the policy was trained on."""


class BundleDescription(Result):
    """``bundle.json``: what ``run.py`` reads first."""

    format: int
    """Version of the folder's format."""
    experiment: str
    run: str
    epoch: int
    precision: BundlePrecision
    """Number format of the encoder's matrix products; the head's is always fp32."""
    dimensions: list[str]
    """The A dimensions of an action."""
    units: list[float]
    """What one command unit of each dimension is, as recorded; differences are in command units."""
    scale: float
    """The command that becomes 1.0 in training, in command units."""
    window: int
    """Frames W that the head sees."""
    ahead: list[int]
    """Control steps from a picture to each of the chunk's C actions."""
    prompts: list[str]
    """The instructions; the vectors of each stand in ``prompts.npz``."""
    images: FrameFormat
    """How a picture becomes a frame; mean and deviation are a part of the encoder."""
    guard: StoredGuard
    tolerance: float
    """How far an action may be from what ``probe.npz`` says, in command units."""
    origin: BundleOrigin
    versions: dict[str, str | None]
    """Version of each library that made the files."""
    files: dict[str, FileDigest]
    """The other files of the folder, but the certificate."""


class RobotCheck(Result):
    """What ``run.py certify`` finds on the machine that it runs on."""

    bundle: str
    """SHA-256 of ``bundle.json``."""
    probe_difference: float
    """Largest difference of an action from what ``probe.npz`` says, in command units."""
    start_seconds: float
    """Processor time from the interpreter's start until it can answer, files and probe checked."""
    steps: int
    """Measured steps."""
    seconds: ControlStepSeconds
    memory_bytes: int
    """Peak memory of the process."""
    threads: int
    """Threads of onnxruntime; 0: as many as it takes by itself."""
    providers: list[str]
    """Execution providers that onnxruntime ran, in their order."""
    versions: dict[str, str]
    """Of Python and the three packages."""
    processor: str
    machine: str
    """Architecture, such as `x86_64` or `aarch64`."""


class Parity(Result):
    """The bundle's answers beside those of PyTorch in fp32, at each validation frame."""

    episodes: int
    frames: int
    max_difference: float
    """Largest difference of an action, in command units."""
    mean_difference: float
    """Mean difference of an action."""
    prompts: int
    """Prompts, each of which was tried on a frame, too."""
    max_prompt_difference: float
    mae: float
    """Mean absolute error of PyTorch's actions on the validation frames."""
    bundle_mae: float
    """The same of the bundle's."""
    mae_change: PairedMean
    """The bundle's error less PyTorch's, averaged over episodes."""


class BundleRollouts(Result):
    """The bundle in closed loop beside PyTorch, in the same unseen scenes."""

    rollouts: int
    success: Proportion
    """Of PyTorch in fp32."""
    bundle_success: Proportion
    better: int
    """Rollouts in which the bundle succeeds and PyTorch does not."""
    worse: int
    """Rollouts in which PyTorch succeeds and the bundle does not."""
    difference: PairedMean
    """The bundle's proportion of successes less PyTorch's, paired by scene."""
    margin: float
    """The largest loss that counts as none: 0.05, five points."""
    not_worse: bool
    """Whether the interval of the difference lies above the margin; otherwise that is not shown."""


class InterleavedLatency(Result):
    """Control steps of the bundle and of PyTorch in turn, both on the CPU and equally disturbed."""

    threads: int
    steps: int
    """Measured steps of each."""
    bundle: ControlStepSeconds
    torch: dict[str, ControlStepSeconds]
    """By number format: fp32, and bf16 if that is the training's."""
    load_average: float
    contended: bool
    """Whether other programs may have disturbed the measurement."""


class Certificate(Result):
    """``certificate.json``: what a bundle was found to do, and whether that is what it must.

    In fp32 no action may differ from PyTorch's by more than the limit. In int8 a largest difference
    says little; there the mean difference is limited, and each matrix must have a scale for each of
    its columns.
    """

    experiment: str
    run: str
    precision: BundlePrecision
    passed: bool
    failures: list[str]
    """What it must do and does not, in words."""
    bundle: str
    """SHA-256 of ``bundle.json``, which holds the digests of its files."""
    origin: BundleOrigin
    limit: float
    """Of the largest difference in fp32, of the mean difference in int8, in command units."""
    bytes: int
    """Size of the folder's files."""
    parity: Parity
    rollouts: BundleRollouts | None
    """null where no world of its dataset is known."""
    latency: InterleavedLatency
    alone: RobotCheck | None
    """What ``run.py certify`` finds here, in a process of its own; null where it refuses."""
