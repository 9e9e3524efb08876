"""What the report reads of each result file, checked when it is read.

Fields that the report does not show are ignored, so that a stage may write more than is read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mobile_vla.errors import Problem, Problems
from mobile_vla.files import read_json


class Record(BaseModel):
    """A result file's content, or a part of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one JSON file.

        Raises:
            UserError: the file is missing, is not JSON, or lacks what the report shows.
        """
        return cls.checked(path, read_json(path))

    @classmethod
    def checked(cls, path: Path, value: Any) -> Self:
        """Check the content of ``path``; all that is wrong is reported together.

        Raises:
            UserError: something is missing or of another type.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            problems = [
                Problem(
                    f"{path} ({'.'.join(map(str, found['loc'])) or 'whole file'})",
                    found["msg"],
                    remedy="remove the file and run snakemake again",
                )
                for found in error.errors()
            ]
            raise Problems("A result file is not what the report reads", problems) from None
