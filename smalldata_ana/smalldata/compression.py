"""How the datasets of small-data files are compressed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from smalldata_ana.errors import MissingSoftwareError, ParameterError, unknown

Filters = Mapping[str, Any]
"""Keywords of `h5py.Group.create_dataset`."""

READABLE: Filters = MappingProxyType(
    {"compression": "gzip", "compression_opts": 1, "shuffle": True}
)
"""What every program that reads HDF5 can undo; for arrays that are written once."""


def _bitshuffle_lz4() -> Filters:
    try:
        import hdf5plugin
    except ImportError as error:
        raise MissingSoftwareError(
            "the compression 'bitshuffle-lz4' needs the package hdf5plugin, to write "
            "and to read; pip install 'smalldata_ana[compression]'"
        ) from error
    return dict(hdf5plugin.Bitshuffle(cname="lz4"))


_COMPRESSIONS: Mapping[str, Callable[[], Filters]] = {"bitshuffle-lz4": _bitshuffle_lz4}

NAMES = tuple(_COMPRESSIONS)
"""The compressions that there are for the datasets of events."""


def filters(name: str | None) -> Filters:
    """Return the filters of a compression; of None there are none.

    Parameters
    ----------
    name : one of `NAMES`

    Raises
    ------
    ParameterError
        if there is no such compression
    MissingSoftwareError
        if its package is not installed
    """
    if name is None:
        return {}
    if name not in _COMPRESSIONS:
        raise ParameterError(unknown("compression", name, NAMES))
    return _COMPRESSIONS[name]()
