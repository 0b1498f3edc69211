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
    return source_and_run(experiment, number, xtc_dir, constants)[1]


def source_and_run(
    experiment: str,
    number: int,
    xtc_dir: Path,
    constants: Mapping[str, Mapping[str, Any]],
    **options: Any,
) -> tuple[Any, Any]:
    """Open a run as `opened` does; return psana's data source with it.

    Parameters
    ----------
    options : further ones of the data source
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
            **options,
        )
        run = next(source.runs())
    for detector, items in constants.items():
        run._calib_const[detector] = {  # noqa: SLF001
            name: (value, {"experiment": experiment, "run": 0})
            for name, value in items.items()
        }
    return source, run


def smalldata(source: Any, path: Path, **options: Any) -> Any:
    """Return psana's writer of small data, as it is without MPI."""
    # The writer itself knows that there is no MPI; the data source does not.
    with patch("psana.psexp.ds_base.MODE", "SERIAL"):
        return source.smalldata(filename=str(path), **options)
