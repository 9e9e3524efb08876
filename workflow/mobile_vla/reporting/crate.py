"""Pack the report as a Workflow Run RO-Crate, with the same bytes wherever and whenever.

The profile is https://w3id.org/ro/wfrun/workflow/0.5: one run of the workflow, with the files that
it was given and made. Dates are those of the results' provenance.
"""

from __future__ import annotations

import mimetypes
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from rocrate.rocrate import ROCrate

from mobile_vla.config.reporting import CrateSettings
from mobile_vla.files import atomic_path
from mobile_vla.layout import ComparisonFiles, CrateFiles, ReportFiles
from mobile_vla.provenance.record import Provenance
from mobile_vla.reporting.page import title_of
from mobile_vla.result import FileDigest
from mobile_vla.texts import Texts

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
VERSION = "1.1"  # of RO-Crate, which these profiles are of
EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip file's
MODE = 0o644 << 16
TYPES = {".csv": "text/csv", ".npy": "application/octet-stream", ".h5": "application/x-hdf5"}


def crate(
    settings: CrateSettings,
    results: Path,
    *,
    configuration: list[Path],
    snakefile: Path,
    license: Path,
    files: CrateFiles,
) -> None:
    """Write the crate.

    Args:
        configuration: ``config.yaml`` and those of ``--configfile``.
        snakefile: the workflow.
        license: the licence of the workflow.
    """
    packed = {f"results/{path.relative_to(results)}": path for path in settings.files(results)}
    packed |= {name: Path(path) for name, path in settings.episodes.items()}
    jobs = [Provenance.read(path) for path in settings.page.provenance(results)]
    finished = max(job.finished for job in jobs)
    made = ROCrate(version=VERSION)
    made.name = title_of(settings.page, Texts.of(settings.page.language))
    made.description = "Experiments of the Mobile VLA workflow: report, results and provenance."
    made.datePublished = finished
    made.root_dataset["conformsTo"] = [
        made.add_jsonld({"@id": url, "@type": "CreativeWork", "name": name, "version": version})
        for url, (name, version) in PROFILES.items()
    ]
    made.license = _add(made, license, license.name)
    workflow = made.add_workflow(
        snakefile, "workflow/Snakefile", main=True, lang="snakemake", properties=_code(jobs)
    )
    given = [_add(made, path, path.name) for path in configuration]
    entities = {name: _add(made, path, name) for name, path in packed.items()}
    given += [entities[name] for name in settings.episodes]
    shown = [ReportFiles.below(results).report, ComparisonFiles.below(results).comparison]
    shown += [path for paths in settings.page.table_files(results).values() for path in paths]
    run = made.add_action(
        workflow,
        identifier="#run",
        object=given,
        result=[entities[f"results/{path.relative_to(results)}"] for path in shown],
        properties={
            "name": "The run of the workflow",
            "startTime": min(job.started for job in jobs),
            "endTime": finished,
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    made.root_dataset["mentions"] = [run]
    _write(made, files.crate)


def _code(jobs: list[Provenance]) -> dict[str, Any]:
    """Return the workflow's name, and the commits that made the results as its version."""
    commits = {job.git.commit + " (changed)" * job.git.dirty for job in jobs if job.git is not None}
    version = {"version": ", ".join(sorted(commits))} if commits else {}
    return {"name": "Mobile VLA Experiments", **version}


def _add(made: ROCrate, path: Path, name: str) -> Any:
    """Add a file, with the identity of its bytes."""
    identity = FileDigest.of(path)
    guessed = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    properties = {
        "name": name,
        "encodingFormat": guessed or "application/octet-stream",
        "contentSize": str(identity.size),
        "sha256": identity.sha256,
    }
    return made.add_file(path, name, properties=properties)


def _write(made: ROCrate, path: Path) -> None:
    """Write a crate as a zip file that holds nothing of machine, user and time."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".crate-") as folder:
        made.write(folder)
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for file in sorted(own for own in Path(folder).rglob("*") if own.is_file()):
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EARLIEST)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr, entry.create_system = MODE, 3
                with file.open("rb") as source, archive.open(entry, "w", force_zip64=True) as into:
                    while block := source.read(1 << 20):
                        into.write(block)
