"""The policy on the robot: a folder that runs without PyTorch, and its certificate."""
