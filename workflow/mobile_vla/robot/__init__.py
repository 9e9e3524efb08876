"""The policy on its way to the robot: asked by hand, served over HTTP, or merged."""
