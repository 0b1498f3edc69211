"""What the server of worker processes imports, so that each worker has it at once."""

import contextlib
import signal

import smalldata_ana.detector.calibration_kernels
import smalldata_ana.detector.sums_kernels
import smalldata_ana.producing.worker  # noqa: F401
from smalldata_ana.errors import MissingSoftwareError
from smalldata_ana.sources.psana2.mended import psana

with contextlib.suppress(MissingSoftwareError):
    psana()

# A job system sends it to all processes of a job; the parent answers for all of them.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
