"""Closed loop: policies drive in simulated scenes that they have never seen."""
