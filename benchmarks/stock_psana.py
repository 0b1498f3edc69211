"""A simulated run opened with psana's own event loop, for comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from smalldata_ana.sources.psana2.mended import psana


def opened(
    experiment: str,
    number: int,
    xtc_dir: Path,
    constants: Mapping[str, Mapping[str, Any]],
) -> Any:
    """Open a run with psana: no network, and the constants put in by hand.

    Parameters
    ----------
    experiment, number : which run
    xtc_dir : folder of its files
    constants : detector -> name -> array or text
    """
    package = psana()
    from psana.psexp.ds_base import DataSourceBase

    with patch.object(DataSourceBase, "_get_file_info_from_db", lambda self, run: {}):
        source = package.DataSource(
            exp=experiment,
            run=number,
            dir=str(xtc_dir),
            skip_calib_load="all",
            log_level="ERROR",
        )
        run = next(source.runs())
    for detector, items in constants.items():
        run._calib_const[detector] = {  # noqa: SLF001
            name: (value, {"experiment": experiment, "run": 0})
            for name, value in items.items()
        }
    return run
