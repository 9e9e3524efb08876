"""A small world with a box and a target: the demo dataset, and closed-loop rollouts."""
