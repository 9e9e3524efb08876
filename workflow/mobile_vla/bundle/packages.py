"""The packages that make bundles, which the workflow without bundles does not need."""

from __future__ import annotations

import importlib.util

from mobile_vla.config.mistakes import Source
from mobile_vla.errors import UserError

PACKAGES = ("onnx", "onnx_ir", "onnxruntime", "onnxscript")
INSTALL = "python -m pip install -r envs/requirements-bundle.txt -c envs/constraints.txt"


def check_packages(experiment: str, source: Source) -> None:
    """Refuse to plan the bundles of an experiment where a package is missing.

    Raises:
        UserError: it is, with the command that installs it.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{source.place(('experiments', experiment, 'bundle'))}: a bundle needs the packages "
            f"{', '.join(missing)}, which are not installed; install them with\n    {INSTALL}"
        )
