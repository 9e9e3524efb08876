"""The files of a bundle that are no tensors: its program, its server, and what describes it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobile_vla import bundle, serving
from mobile_vla.bundle import measuring, run, runtime
from mobile_vla.bundle.result import BundleDescription
from mobile_vla.files import atomic_path
from mobile_vla.layout import BundleFiles
from mobile_vla.result import FileDigest

CARRIED = (bundle, runtime, measuring)
"""The modules that run on the robot as they are here; beside them those of the server."""
FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip file, so that none is in it


def write_program(files: BundleFiles) -> None:
    """Write ``run.py`` and the modules that it imports, as a zip file."""
    with atomic_path(files.program) as temporary:
        temporary.write_bytes(Path(run.__file__).read_bytes())
    package = "mobile_vla/__init__.py"
    contents = {package: b'"""The part of Mobile VLA that runs a bundle."""\n'}
    server = Path(str(serving.__file__)).parent
    for file in (*(Path(str(module.__file__)) for module in CARRIED), *server.glob("*.py")):
        contents[f"mobile_vla/{file.parent.name}/{file.name}"] = file.read_bytes()
    with atomic_path(files.modules) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name, FIRST_DAY), contents[name])


def describe(files: BundleFiles, description: Mapping[str, Any]) -> BundleDescription:
    """Write ``bundle.json``, last, with the digests of all other files; and return it."""
    others = [path for path in files.listed() if path != files.description]
    digests = {path.name: FileDigest.of(path) for path in others}
    described = BundleDescription(**{**description, "files": digests})
    described.write(files.description)
    return described
