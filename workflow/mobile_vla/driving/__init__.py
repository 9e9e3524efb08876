"""Robots in simulated scenes: which scenes, who steers, and what comes of it."""
