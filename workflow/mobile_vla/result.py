"""The form of result files: written by the stage that makes them, read by all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import read_json, sha256_of, write_json


class Result(BaseModel):
    """The content of a result file, or a part of it; fields stand in the file's order."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a JSON file.

        Raises:
            UserError: the file is missing, is not JSON, or has another form.
        """
        return cls.checked(path, read_json(path))

    @classmethod
    def checked(cls, path: Path, value: Any) -> Self:
        """Check the content of a file; all that is wrong is reported together.

        Raises:
            UserError: something is missing, unknown, or of another type.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            problems = [
                Problem(
                    f"{path} ({'.'.join(map(str, fault['loc'])) or 'whole file'})",
                    fault["msg"],
                    remedy="remove the file and run snakemake again",
                )
                for fault in error.errors()
            ]
            raise Problems("A result file is not as this version writes it", problems) from None

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, self.model_dump(mode="json"))


class FileDigest(Result):
    """Identity of a file's bytes; the JSON beside a large file holds it."""

    sha256: str
    """SHA-256 of the bytes, 64 hex digits."""
    size: int
    """Number of bytes."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """Compute the identity of a file."""
        return cls(sha256=sha256_of(path), size=path.stat().st_size)

    def verify(self, path: Path, remedy: str | None = None) -> None:
        """Check that a file has these bytes.

        Raises:
            UserError: the file is missing or its bytes differ, with the remedy.
        """
        remedy = remedy or f"`snakemake --cores 1 --forcerun {path}` makes it again"
        if not path.is_file():
            raise UserError(f"{path}: not there; {remedy}")
        here = self.of(path)
        if here != self:
            raise UserError(
                f"{path}: its bytes are not those that were written "
                f"(found {here.size} bytes, SHA-256 {here.sha256[:12]}…; expected "
                f"{self.size} bytes, SHA-256 {self.sha256[:12]}…); {remedy}"
            )
