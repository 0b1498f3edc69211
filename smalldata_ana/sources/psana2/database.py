"""psana's database of constants, which answers at SLAC only."""

from __future__ import annotations

from typing import Any

from smalldata_ana.errors import ConstantsError
from smalldata_ana.sources.constants import NAMES, Constant, Constants
from smalldata_ana.sources.psana2.mended import psana


def database_constants(
    detector: str, experiment: str, run: int, long_name: str
) -> Constants:
    """Ask psana's database for the constants that are valid for a run.

    Parameters
    ----------
    detector : its name in the DAQ
    experiment, run : for which run
    long_name : what the database calls it: type and serial numbers

    Raises
    ------
    ConstantsError
        if the database does not answer
    """
    psana()
    import requests
    from psana.pscalib.calib import MDBWebUtils

    try:
        answer: Any = MDBWebUtils.calib_constants_all_types(
            long_name, exp=experiment, run=run
        )
    except (requests.RequestException, OSError, ValueError) as error:
        raise ConstantsError(
            f"psana's database did not answer for {detector!r}: {error}"
        ) from error
    items = {
        name: _constant(name, value, meta)
        for name, (value, meta) in (answer or {}).items()
        if name in NAMES and value is not None
    }
    return Constants(detector, items)


def _constant(name: str, value: Any, meta: Any) -> Constant:
    end = meta.get("run_end", "end")
    return Constant(
        name=name,
        content=value,
        begin=int(meta.get("run", 0)),
        end=None if end in ("end", None) else int(end),
        origin=f"psana's database, {meta.get('experiment', '')}",
        time=str(meta.get("time_stamp", "")),
    )
