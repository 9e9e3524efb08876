# The library, importable from here on, and a first look at the configuration: Snakemake's own
# reader says of a mistake in YAML only that there is one.
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir, "workflow")))

from mobile_vla.config.mistakes import check_syntax
from mobile_vla.errors import UserError


@contextmanager
def mistakes_without_traceback():
    """Say what a user has to mend, and stop."""
    try:
        yield
    except UserError as error:
        sys.exit(str(error))


with mistakes_without_traceback():
    check_syntax([Path(file) for file in workflow.overwrite_configfiles or ["config.yaml"]])
