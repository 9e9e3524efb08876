"""Blind trials: real drives of policies whose names nobody knows, and what they prove."""
