"""Cubes: full images of a run, summed in bins of a delay, a scan or any variable."""
