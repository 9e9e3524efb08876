"""From one raw file to frames and facts: the HDF5 contract, decoding, resizing."""
