"""What a small-data file holds: the names, types and units of its datasets."""

from __future__ import annotations

from smalldata_ana.detector.protocol import Field

TIMESTAMP = "timestamp"
"""psana's: seconds since 1990 in the high 32 bits, nanoseconds in the low ones."""

CONFIGURATION = "UserDataCfg"
PARAMETERS = f"{CONFIGURATION}/params"
PRODUCER = f"{CONFIGURATION}/producer"
SUMS = "Sums"

Layout = dict[str, Field]
"""The datasets with a row for each event, by their path in the file."""
