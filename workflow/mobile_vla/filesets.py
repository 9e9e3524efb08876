"""Sets of files: what one command writes, at places below ``results/`` with names in braces."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self

RESULTS = Path("results")


@dataclass(frozen=True)
class Files:
    """The files that one command writes, and its job's provenance and log."""

    LOG: ClassVar[str]
    PROVENANCE: ClassVar[str] = ""
    """Where it is said, the provenance does not lie beside the first file."""

    @classmethod
    def below(cls, results: Path = RESULTS, **names: str) -> Self:
        """Return the files in a folder of results.

        Without ``names`` the braces stay, as Snakemake's rules want them.
        """
        return cls(**{field.name: place(results, field.default, names) for field in fields(cls)})

    @classmethod
    def provenance(cls, results: Path = RESULTS, **names: str) -> Path:
        """Return the JSON with the circumstances of the job that wrote the files."""
        return place(results, cls.patterns()[-1], names)

    @classmethod
    def log(cls, results: Path = RESULTS, **names: str) -> Path:
        """Return the log of the job that writes the files."""
        return place(results, f"logs/{cls.LOG}", names)

    @classmethod
    def job(cls, results: Path = RESULTS, **names: str) -> Job:
        """Return the files with the provenance and the log of the job that writes them."""
        files = cls.below(results, **names)
        return Job(files, cls.provenance(results, **names), cls.log(results, **names))

    @classmethod
    def patterns(cls) -> list[str]:
        """Return the places of the files and of their provenance, with the names in braces."""
        places = [str(field.default) for field in fields(cls)]
        return [*places, cls.PROVENANCE or str(Path(places[0]).with_suffix(".provenance.json"))]

    def by_name(self) -> dict[str, str]:
        """Return the paths by the names of their fields, as a rule's outputs."""
        return {name: str(path) for name, path in vars(self).items()}

    def listed(self) -> list[Path]:
        """Return the paths in the order of their fields."""
        return list(vars(self).values())


@dataclass(frozen=True)
class Job:
    """The files that one job writes, its provenance and its log."""

    files: Files
    provenance: Path
    log: Path


def place(results: Path, pattern: object, names: dict[str, str]) -> Path:
    """Return a pattern's place below the results, with its names filled in, if there are any."""
    text = str(pattern)
    return results / (text.format(**names) if names else text)
