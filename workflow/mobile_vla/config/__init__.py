"""Typed settings, a module a stage.

Empty on purpose: a stage imports the modules whose settings it is given and no others, so that a
new setting of one stage does not change the code that the others are tracked by.
"""
