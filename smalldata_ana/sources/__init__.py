"""Where events come from: runs, their events, and their calibration constants."""
