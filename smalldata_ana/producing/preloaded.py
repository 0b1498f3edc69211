"""What the server of worker processes imports, so that each worker has it at once."""

import contextlib

import smalldata_ana.detector.calibration_kernels
import smalldata_ana.detector.sums_kernels
import smalldata_ana.producing.worker  # noqa: F401
from smalldata_ana.errors import MissingSoftwareError
from smalldata_ana.producing.interruption import leave_signals_to_parent
from smalldata_ana.sources.psana2.mended import psana

with contextlib.suppress(MissingSoftwareError):
    psana()

leave_signals_to_parent()
