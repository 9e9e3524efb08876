"""Drawings: a module a part of the page, with a function of each figure's name."""
