"""Numbers that are computed again, one by one."""
