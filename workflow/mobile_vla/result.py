"""The form of result files: written by the stage that makes them, read by all others.

A result file ends with the SHA-256 of all that stands before it, so that a number which somebody
changed by hand is noticed by whoever reads it.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import json_text, read_json_text, sha256_of, write_text

SEAL = "content_sha256"
"""Key of the digest that a result file ends with."""
_MARK = f',\n "{SEAL}": "'


class Result(BaseModel):
    """The content of a result file, or a part of it; fields stand in the file's order."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sealed: ClassVar[bool] = True
    """Whether its file ends with the digest of its content."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a JSON file.

        Raises:
            UserError: the file is missing, is not JSON, was changed, or has another form.
        """
        value, text = read_json_text(path)
        text, mark, seal = text.rpartition(_MARK)
        if mark and seal.partition('"')[0] != sha256(text.encode()).hexdigest():
            raise UserError(
                f"{path}: its content is not what was written, as if a number had been changed by "
                f"hand: restore it; `snakemake --cores 1 --forcerun {path}` makes it again"
            )
        return cls.checked(path, value)

    @classmethod
    def checked(cls, path: Path, value: Any) -> Self:
        """Check the content of a file; all that is wrong is reported together.

        Raises:
            UserError: something is missing, unknown, or of another type.
        """
        if isinstance(value, dict):
            value = {name: own for name, own in value.items() if name != SEAL}
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
        text = json_text(self.model_dump(mode="json"))
        if self.sealed:
            text = text.removesuffix("\n}\n")
            text += f'{_MARK}{sha256(text.encode()).hexdigest()}"\n}}\n'
        write_text(path, text)


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
