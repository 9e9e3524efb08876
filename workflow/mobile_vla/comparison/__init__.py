"""Experiments against their baselines and each other, on the steps that all predict."""
