"""Templates of the pages, which stand in ``workflow/report/``. Rules list them as inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, TemplateError

from mobile_vla.errors import UserError

FOLDER = Path(__file__).resolve().parents[1] / "report"


def template_file(name: str) -> Path:
    """Return the template of a page that has only one."""
    return FOLDER / f"{name}.html.j2"


def rendered(name: str, **values: Any) -> str:
    """Return a page. What a value lacks is empty.

    Raises:
        UserError: the template is missing or wrong.
    """
    path = template_file(name)
    environment = Environment(
        autoescape=True, undefined=ChainableUndefined, trim_blocks=True, lstrip_blocks=True
    )
    try:
        return environment.from_string(path.read_text(encoding="utf-8")).render(values)
    except FileNotFoundError:
        raise UserError(f"{path}: not there; restore it from the repository") from None
    except TemplateError as error:
        raise UserError(f"{path}: {error.message}; mend the template") from None
