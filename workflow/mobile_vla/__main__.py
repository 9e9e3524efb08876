"""``python -m mobile_vla COMMAND …``: the commands that the workflow's rules call."""

import os
import sys

# A package with a plugin for pydantic would take part in reading our results, and to look through
# all packages for one takes 13 ms of each job's start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from mobile_vla.cli import main

sys.exit(main())
