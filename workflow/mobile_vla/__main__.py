"""``python -m mobile_vla COMMAND …``: the commands that the workflow's rules call."""

import sys

from mobile_vla.cli import main

sys.exit(main())
