"""The small HDF5 file."""
