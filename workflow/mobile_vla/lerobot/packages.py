"""The packages of the extra ``lerobot``, which a project without such datasets does not need."""

INSTALL = "python -m pip install -r envs/requirements-lerobot.txt -c envs/constraints.txt"
