"""Raw HDF5 episodes to frames, manifest, split and windows."""
