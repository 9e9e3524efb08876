"""The plan of the workflow as a table: what would run, why, and for how long."""
