"""What a small-data file says of how it was made: the group ``UserDataCfg``.

As in the files that users know, ``UserDataCfg/<detector>`` has the constants, masks and
positions of its pixels, and the parameters of its functions as
``<function>__<function>_<parameter>``; a single number or text has the shape (1,).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.function_results import with_chained
from smalldata_ana.detector.protocol import Array, Function
from smalldata_ana.parameters.model import Parameters
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.parameters.toml_text import plain
from smalldata_ana.smalldata.compression import READABLE
from smalldata_ana.smalldata.layout import CONFIGURATION, PARAMETERS, PRODUCER

LARGE = 10_000
"""Arrays of more numbers are stored in single precision, and compressed."""

SIGNIFICANT_BITS = {"ped": 16, "offset": 16, "rms": 11, "gain": 12}
"""Precision of the constants of the pixels, which else were most of the file.

A pedestal of 6000 ADU is stored to 0.1 ADU, noise to 1/2000, gain to 1/4000; a dark run
does not know them as well.  The exact constants are where ``constants_origin`` says.
"""

_BITS_ATTRIBUTE = "_QuantizeBitRoundNumberOfSignificantBits"
"""What netCDF calls it."""

_PIXEL_UNITS = {
    "ped": "ADU",
    "rms": "ADU",
    "offset": "ADU",
    "gain": "ADU/keV",
    "x": "um",
    "y": "um",
    "z": "um",
    "ix": "pixel",
    "iy": "pixel",
    "pixelsize": "um",
}

AXIS_UNITS = {
    "q": "1/angstrom",
    "qbins": "1/angstrom",
    "q_edges": "1/angstrom",
    "r": "um",
    "r_edges": "um",
    "phi": "deg",
    "phi_edges": "deg",
    "az": "deg",
    "columns": "pixel",
    "lags_v": "pixel",
    "lags_h": "pixel",
}
"""Units of the axes that functions record beside their parameters."""

_PYFAI_UNITS = {
    "q_A^-1": "1/angstrom",
    "q_nm^-1": "1/nm",
    "2th_deg": "deg",
    "2th_rad": "rad",
    "r_mm": "mm",
    "r_m": "m",
}
"""Units of ``q`` of a function with ``int_units``, by pyFAI's name."""

_NUMBERS = "biuf"
"""The kinds of array that are stored as they are."""

_UNIT = re.compile(r"\[([^\[\], ]+)\]$")
"""The unit at the end of a parameter's help, e.g. ``thickness of the sensor [um]``."""


def write_configuration(
    file: h5py.File,
    resolved: Resolved,
    detectors: Iterable[DetObject],
    record: Mapping[str, Any],
) -> None:
    """Record the parameters, what each detector was calibrated with, and who did it.

    Parameters
    ----------
    file : open for writing
    resolved : the parameters: their text, and the checksum of their file
    detectors : with their functions
    record : what ``UserDataCfg/producer`` holds, e.g. versions, command line, host
    """
    text = file.create_dataset(PARAMETERS, data=resolved.text)
    text.attrs["path"] = str(resolved.path)
    text.attrs["sha256"] = resolved.sha256
    writer = ConfigurationWriter(file)
    writer.write(PRODUCER, record)
    for detector in detectors:
        group = f"{CONFIGURATION}/{detector.name}"
        values = detector.params_as_dict() | {"good": detector.good}
        writer.write(group, values | _constants(detector), units_of(detector))


class ConfigurationWriter:
    """Writes values below a group, and large equal arrays once for the whole file.

    An array that is there already, in the same type and unit, gets another name (a hard
    link).

    Parameters
    ----------
    file : open for writing
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._written: dict[tuple[Any, ...], str] = {}

    def write(
        self,
        group: str,
        values: Mapping[str, Any],
        units: Mapping[str, str] | None = None,
    ) -> None:
        """Write values.

        Parameters
        ----------
        group : where
        values : numbers, text, arrays; None is left out, and what HDF5 does not have is
            written as JSON
        units : of some of them
        """
        self._file.require_group(group)
        for key, value in values.items():
            if value is not None:
                unit = (units or {}).get(key, "")
                attributes: dict[str, Any] = {"units": unit} if unit else {}
                array = storable(value)
                if array.dtype == np.float32 and key in SIGNIFICANT_BITS:
                    bits = SIGNIFICANT_BITS[key]
                    array = rounded(array, bits)
                    attributes[_BITS_ATTRIBUTE] = bits
                self._write(f"{group}/{key}", array, attributes)

    def _write(self, path: str, value: Array, attributes: Mapping[str, Any]) -> None:
        large = value.size > LARGE
        if large:
            content = hashlib.sha256(value.tobytes()).digest()
            key = (value.dtype.str, value.shape, *attributes.items(), content)
            before = self._written.setdefault(key, path)
            if before != path:
                self._file[path] = self._file[before]
                return
        text = h5py.string_dtype() if value.dtype.kind == "O" else None
        filters = {"chunks": _chunks(value), **READABLE} if large else {}
        dataset = self._file.create_dataset(path, data=value, dtype=text, **filters)
        dataset.attrs.update(attributes)


def storable(value: Any) -> Array:
    """Return a value as an array that HDF5 can hold; numbers and text as (1,).

    Masks become uint8, and what has more than `LARGE` numbers float32.
    """
    if isinstance(value, str | PurePath):
        return np.array([str(value)], object)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in _NUMBERS:
        value = _array(plain(value))
    if value.dtype.kind == "b" and value.ndim:
        value = value.astype(np.uint8)
    if value.dtype == np.float64 and value.size > LARGE:
        value = value.astype(np.float32)
    return np.atleast_1d(value)


def rounded(values: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.float32]:
    """Return numbers to so many significant bits, the others 0, so that they compress.

    Parameters
    ----------
    values : float32
    bits : 2 to 23; the relative deviation is 2**-bits at most

    Notes
    -----
    To nearest, ties to even, in the integers that the numbers are in IEEE 754.
    """
    dropped = np.uint32(24 - bits)
    one = np.uint32(1)
    whole = np.ascontiguousarray(values).view(np.uint32)
    half = (one << (dropped - one)) - one + ((whole >> dropped) & one)
    nearest = ((whole + half) >> dropped << dropped).view(np.float32)
    return np.where(np.isfinite(values), nearest, values)


def _array(value: Any) -> Array:
    """Return numbers or texts as an array, and the rest as JSON."""
    if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        return np.array(value, object)
    try:
        array = np.array(value)
    except ValueError:  # lists of different lengths
        return np.array([json.dumps(value)], object)
    known = array.dtype.kind in _NUMBERS
    return array if known else np.array([json.dumps(value)], object)


def _chunks(value: Array) -> tuple[int, ...]:
    """Return chunks of one panel, so that a panel can be read alone."""
    return (*(1 for _ in value.shape[:-2]), *value.shape[-2:])


def _constants(detector: DetObject) -> dict[str, list[str]]:
    """Return which constants were used, and for which runs they are valid."""
    items = detector.calibration.constants.items.values()
    return {
        "constants": [item.name for item in items],
        "constants_validity": [item.validity for item in items],
        "constants_origin": [item.origin for item in items],
        "constants_time": [item.time for item in items],
    }


def units_of(detector: DetObject) -> dict[str, str]:
    """Return the units of what `DetObject.params_as_dict` returns, by its keys."""
    units = dict(_PIXEL_UNITS)
    for name, outer in detector.funcs.items():
        for path, func in with_chained(outer):
            units |= {f"{name}__{path}_{k}": u for k, u in _function_units(func)}
    return units


def _function_units(func: Function) -> Iterator[tuple[str, str]]:
    """Yield the units of axes and of parameters whose help ends with one."""
    yield from AXIS_UNITS.items()
    if not isinstance(func, Parameters):
        return
    values: Mapping[str, Any] = func.trait_values()
    for key, trait in func.traits().items():
        found = _UNIT.search(trait.metadata.get("help") or "")
        # Where edges have a unit, the number of bins that may stand there has none.
        if found and not isinstance(values[key], int):
            yield key, found[1]
    if "int_units" in values:
        yield "q", _PYFAI_UNITS.get(values["int_units"], "")
