"""Typed settings, a module a stage.

Empty on purpose: a stage imports its own module of this package alone, so that a new setting of
one stage does not change the code that the others are tracked by.
"""
