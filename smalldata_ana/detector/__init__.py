"""One detector: from raw frames to calibrated images."""
