"""Compute one number of the report again, and say whether it is equal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mobile_vla.config.entries import RecordedDataset
from mobile_vla.config.loading import read_project
from mobile_vla.errors import UserError
from mobile_vla.filesets import RESULTS
from mobile_vla.layout import holds_times, kind_of
from mobile_vla.planning.jobs import PlannedJob
from mobile_vla.planning.reasons import counted
from mobile_vla.provenance.record import Provenance
from mobile_vla.reporting.measured import Place, find
from mobile_vla.reproducing.chain import (
    Fault,
    circumstances,
    first_difference,
    in_order,
    kept_files,
    other_code,
    other_settings,
    other_versions,
    stored_faults,
)
from mobile_vla.reproducing.folder import CONFIG, CleanFolder, clean_folder

STARTS = ("raw", "results")
MOST = 20  # faults and numbers that are listed


def reproduce(number: str, *, from_: str = "raw", into: Path | None = None) -> None:
    """Compute one number of the report again in a clean folder, and say whether it is equal.

    It takes the raw data, the settings of config.yaml and the commit that the number's provenance
    names, and runs only the jobs that lead to the number. Before that, settings, code and, from
    results, files are compared with what was recorded; what differs is named, and nothing runs.

    Args:
        number: its name, such as `experiments/lora/seed0/evaluation/policy/mae/overall`; of a value
            with an interval also the name without the last part, for all of them.
        from_: `raw`, or `results`: check the stored files and run the last job alone.
        into: the folder to compute in, which stays; by default a temporary one.

    Raises:
        UserError: there is no such number, or it cannot be computed.
        SystemExit: with status 1 where it differs, or would be another number.
    """
    if from_ not in STARTS:
        raise UserError(f"--from: found {from_!r}; expected {' or '.join(STARTS)}")
    place = find(number, RESULTS)
    project = read_project(CONFIG)
    with clean_folder(project, _recorded(place.path).git, into) as folder:
        jobs = in_order(folder.planned(str(place.path)))
        if versions := other_versions(jobs):
            _say(_listed(versions, "other packages than those that were recorded"))
        heading = f"differs: {place.name} was computed with other"
        _refuse(other_code(jobs), f"{heading} code", f"why not its commit: {folder.why_this_code}")
        _refuse(other_settings(jobs), f"{heading} settings", "config.yaml must say those again")
        last = jobs[-1:]
        if from_ == "results":
            recorded = {
                name: Path(dataset.path).expanduser()
                for name, dataset in project.datasets.items()
                if isinstance(dataset, RecordedDataset)
            }
            faults = list(stored_faults(jobs, recorded.get))
            heading = f"differs: {place.name}: the first stage whose bytes differ stands first"
            _refuse(faults, heading, "nothing was computed; `snakemake` makes such files again")
            for job in jobs[:-1]:
                folder.bring([*kept_files(job), *map(Path, job.outputs)])
            folder.run(str(place.path), "--allowed-rules", last[0].rule)
        else:
            folder.run(str(place.path))
        _compare(place, folder, last if from_ == "results" else jobs)


def _recorded(path: Path) -> Provenance:
    """Return the provenance of the job that wrote a result.

    Raises:
        UserError: no job writes it, or nothing is recorded.
    """
    known = kind_of(path)
    if known is None:
        raise UserError(f"{path}: no job of the workflow writes it; expected a result of one")
    kind, names = known
    return Provenance.read(kind.provenance(RESULTS, **names))


def _listed(faults: Sequence[Fault], heading: str) -> list[str]:
    """Return faults as lines, the first of many."""
    more = [f"  and {len(faults) - MOST} more"] if len(faults) > MOST else []
    return [f"{heading}:", *(f"  {fault}" for fault in faults[:MOST]), *more]


def _refuse(faults: Sequence[Fault], heading: str, remedy: str) -> None:
    """Print faults.

    Raises:
        SystemExit: there are some.
    """
    if faults:
        _say([*_listed(faults, heading), remedy])
        raise SystemExit(1)


def _say(lines: Sequence[str]) -> None:
    print("\n".join(lines), flush=True)


def _compare(place: Place, folder: CleanFolder, jobs: Sequence[PlannedJob]) -> None:
    """Print whether the number is equal.

    Raises:
        SystemExit: it differs, with both values and the first stage whose bytes differ.
    """
    before = place.numbers(RESULTS, RESULTS)
    after = place.numbers(RESULTS, folder.folder / RESULTS)
    other = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    first = first_difference(jobs, folder.folder)
    lines = [
        f"differs: {name}: {before.get(name)} in results, {after.get(name)} computed again"
        for name in other[:MOST]
    ]
    if not other:
        lines = [f"equal: {name}: {value}" for name, value in before.items()][:MOST]
    lines.append(f"computed again by {counted(len(jobs), 'job')}")
    if first is not None:
        lines.append(f"first stage whose bytes differ: {first}")
        lines += [f"  {words}" for words in circumstances(first.job, folder.folder)]
    else:
        lines.append("all files that lead to it have the same bytes")
        if other and holds_times(place.path):
            lines.append(
                "it is a measured time, or stands in a file of such: see docs/reproduce.md"
            )
    _say(lines)
    if other:
        raise SystemExit(1)
