"""LeRobotDataset v3: written for that ecosystem, and read from it."""
