# The library, importable from here on, and the configuration. It is read here before Snakemake reads
# it, which ends in tracebacks or without an end, and runs the Python code of a file that asks for it.
import os
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir, "workflow")))

from mobile_vla.config.loading import read_with_source
from mobile_vla.errors import UserError


@contextmanager
def mistakes_without_traceback():
    """Say what a user has to mend, and stop."""
    try:
        yield
    except UserError as error:
        sys.exit(str(error))


def configuration_files():
    """Return config.yaml, if it is to be read, and the files of `--configfile`."""
    settings = workflow.config_settings
    given = [Path(os.path.relpath(file)) for file in settings.configfiles]
    own = Path("config.yaml")
    if given and (settings.replace_workflow_config or own in given or not own.exists()):
        return given
    return [own, *given]


def check_place():
    """Refuse a folder of the project that PATH and PYTHONPATH cannot hold.

    Raises:
        UserError: it is such a folder.
    """
    odd = set(":\n") & set(str(workflow.basedir))
    if odd:
        raise UserError(
            f"{str(workflow.basedir)!r}: found {' '.join(map(repr, sorted(odd)))} in the path of the "
            "project, which PATH would take for something else; expected a path without; rename or "
            "move the folder"
        )


with mistakes_without_traceback():
    check_place()
    project, source = read_with_source(
        *configuration_files(), given=workflow.config_settings.config
    )
