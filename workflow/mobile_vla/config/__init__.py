"""Typed settings, a module a stage: each is tracked by the modules whose settings it is given."""
