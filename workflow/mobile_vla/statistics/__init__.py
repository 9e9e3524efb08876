"""Intervals, tests and proportions: what several stages compute of their numbers."""
