"""Look at an HDF5 file of others, and say how config.yaml reads it."""
