"""The jobs that lead to a number, and what of their results is not as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from mobile_vla.backbone.result import BackboneDescription
from mobile_vla.bundle.result import BundleDescription
from mobile_vla.data.result import Manifest
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.features.result import FeatureDescription
from mobile_vla.files import sha256_of
from mobile_vla.filesets import RESULTS, Files
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import (
    BackboneFiles,
    BundleFiles,
    EpisodeFiles,
    EvaluationFiles,
    FeatureFiles,
    ManifestFiles,
    OtherEvaluationFiles,
    RawFiles,
    TrainingFiles,
    holds_times,
    kind_of,
)
from mobile_vla.model.result import PolicyDescription
from mobile_vla.planning.jobs import PlannedJob
from mobile_vla.planning.reasons import changed_modules, changed_settings, changed_versions
from mobile_vla.provenance.record import Provenance
from mobile_vla.result import FileDigest

Described = Mapping[Path, FileDigest]


@dataclass(frozen=True)
class Fault:
    """A file that is not as it was, or a job that would be another one."""

    job: PlannedJob
    words: str

    def __str__(self) -> str:
        kind, name = self.job.subject
        return f"{self.job.rule} ({f'{kind} {name}'.strip()}): {self.words}"


def in_order(jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
    """Return jobs so that each comes after those whose results it reads."""
    made = {path: index for index, job in enumerate(jobs) for path in job.outputs}
    needs = {
        index: {made[path] for path in job.inputs if path in made} for index, job in enumerate(jobs)
    }
    return [jobs[index] for index in TopologicalSorter(needs).static_order()]


def other_settings(jobs: Sequence[PlannedJob]) -> list[Fault]:
    """Return the settings that are not those of the jobs' provenance, each once."""
    return _distinct(
        Fault(job, words)
        for job in jobs
        if not changed_modules(job)  # with new code come new settings, which nobody changed
        for _, words in changed_settings(job)
    )


def other_code(jobs: Sequence[PlannedJob]) -> list[Fault]:
    """Return the modules of the library that are not those of the jobs' provenance, if there is."""

    def changes(job: PlannedJob) -> list[str]:
        if job.last is None:
            return [f"{job.provenance}: not there, or as another version wrote it"]
        return [f"{name} changed" for name in changed_modules(job)]

    return _distinct(Fault(job, words) for job in jobs for words in changes(job))


def other_versions(jobs: Sequence[PlannedJob]) -> list[Fault]:
    """Return the packages whose versions are not those of the jobs' provenance."""
    return _distinct(Fault(job, words) for job in jobs for words in changed_versions(job))


def _distinct(faults: Iterator[Fault]) -> list[Fault]:
    """Return the first of the faults with the same words."""
    first: dict[str, Fault] = {}
    for fault in faults:
        first.setdefault(fault.words, fault)
    return list(first.values())


def kept_files(job: PlannedJob) -> list[Path]:
    """Return the files of a job that are the same whenever they are computed.

    Beside those that Snakemake knows they are those of a policy's or a backbone's folder.
    """
    outputs = [Path(path) for path in job.outputs if not holds_times(Path(path))]
    beside = (path for output in outputs for path in described(output) if path not in outputs)
    return [*outputs, *beside]


def stored_faults(
    jobs: Sequence[PlannedJob], recorded: Callable[[str], Path | None]
) -> Iterator[Fault]:
    """Yield the files that are not there or not as they were written, in the order of the jobs.

    A large file's bytes are those that the JSON beside it says, and a small one's those that the
    provenance of the jobs says that read it.

    Args:
        jobs: each after those whose results it reads.
        recorded: by dataset, the folder of its recorded episodes; None for one without.
    """
    read = {
        path: digest
        for job in jobs
        if job.last is not None
        for path, digest in job.last.inputs.items()
    }
    for job in jobs:
        for path in map(Path, job.outputs):
            if not path.is_file():
                yield Fault(job, f"{path}: not there")
            elif (said := read.get(str(path), "")) and (here := _digest(path)) != said:
                yield Fault(job, _otherwise(path, here, said))
        for path in map(Path, job.outputs):
            for file, identity in _described_or_nothing(path, recorded).items():
                if (here := _digest(file)) != identity.sha256:
                    yield Fault(job, _otherwise(file, here or "no file", identity.sha256))


def _otherwise(path: Path, found: str, expected: str) -> str:
    return f"{path}: found SHA-256 {found[:12]}, expected {expected[:12]} as it was written"


def _described_or_nothing(path: Path, recorded: Callable[[str], Path | None]) -> Described:
    """Return what a file describes, a recorded raw file too; nothing where it is damaged itself."""
    try:
        files = dict(described(path))
        known = kind_of(path)
        if known is not None and known[0] is EpisodeFiles and path.suffix == ".json":
            facts = EpisodeFacts.read(path)
            folder = recorded(known[1]["dataset"])
            if folder is not None and facts.sha256 is not None and not facts.inside:
                files[folder / facts.file] = facts.raw
        return files
    except UserError:
        return {}


def described(path: Path) -> Described:
    """Return the identities of the files that a small file describes.

    Raises:
        UserError: the small file is damaged.
    """
    known = kind_of(path)
    if known is None or path.suffix != ".json" or holds_times(path) or not path.is_file():
        return {}
    kind, names = known
    files: Files = kind.below(RESULTS, **names)
    folder = path.parent
    match files:
        case RawFiles():
            return {files.raw: FileDigest.read(path)}
        case EpisodeFiles():
            return {files.frames: EpisodeFacts.read(path).frame_file}
        case ManifestFiles():
            return {files.actions: Manifest.read(path).actions_file}
        case FeatureFiles():
            return {files.features: FeatureDescription.read(path).file}
        case BackboneFiles():
            backbone = BackboneDescription.read(path)
            own = backbone.checkpoint == "."
            return _beside(folder, backbone.files) if own else {}
        case TrainingFiles():
            return _beside(folder, PolicyDescription.read(path).files)
        case BundleFiles():
            return _beside(folder, BundleDescription.read(path).files)
        case EvaluationFiles() | OtherEvaluationFiles():
            return {files.predictions: EvaluationResult.read(path).predictions_file}
    return {}


def _beside(folder: Path, files: Mapping[str, FileDigest]) -> Described:
    return {folder / name: digest for name, digest in files.items()}


def first_difference(jobs: Sequence[PlannedJob], again: Path) -> Fault | None:
    """Return the first job whose results, computed again in a folder, have other bytes."""
    for job in jobs:
        for path in kept_files(job):
            if path.is_file() and _digest(path) != _digest(again / path):
                return Fault(job, str(path))
    return None


def _digest(path: Path) -> str:
    return sha256_of(path) if path.is_file() else ""


def circumstances(job: PlannedJob, again: Path) -> list[str]:
    """Return in what the run of a job in a folder differs from its last one, code aside."""
    if job.last is None or job.provenance is None:
        return []
    now = Provenance.read(again / job.provenance)
    names = ("threads", "device", "python", "host")
    found = [(name, getattr(job.last, name), getattr(now, name)) for name in names]
    found += [
        (name, version, now.versions.get(name)) for name, version in job.last.versions.items()
    ]
    return [f"{name} {before} -> {after}" for name, before, after in found if before != after]
