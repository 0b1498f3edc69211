"""Common-mode corrections: offsets that pixels share, estimated and subtracted.

Each algorithm is here once, as a function of panels from which the pedestals are
subtracted and by whose gain nothing is divided yet: its limits are in ADU.  Which
number means which of them, with which limits, is in
`smalldata_ana.detector.common_mode_table`.

All functions take an image ``(panels, rows, columns)`` in float32 and return a new
one, or fill `out`, which may be the image itself.  `use` is a bool array of the same
shape: the pixels that may take part in an estimate.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.scratch import scratch
from smalldata_ana.errors import ParameterError

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Banks = tuple[int, int]
"""How many banks a panel has one below the other, and side by side."""

_ROWS, _COLUMNS, _BANKS = "rows", "columns", "banks"


class Bits(enum.IntFlag):
    """The mode of psana's median algorithms 0 and 7: what is corrected."""

    ROWS = 1
    COLUMNS = 2
    BANKS = 4


class Epix100Bits(enum.IntFlag):
    """The mode of LCLS-I's algorithm 4: what is corrected."""

    BANKS = 1
    ROWS = 2
    COLUMNS = 4


class Level(enum.Enum):
    """What `neighbour_exclusion` subtracts before columns and rows."""

    NOTHING = "nothing"
    MEAN = "the mean of the panel"
    BANKS = "the median of each bank"


# -- medians of rows, columns and banks ------------------------------------------------


def psana_medians(
    adu: Image,
    use: Mask,
    *,
    banks: Banks,
    bits: int,
    limit: float,
    least: int = 10,
    out: Image | None = None,
) -> Image:
    """Subtract medians of banks, then of rows in a bank, then of columns in a bank.

    It is psana's algorithm 7, and its only one for LCLS-II
    (``psana.detector.UtilsCommonMode``): the pixels of `use` make the estimate, and
    they alone are corrected.

    Parameters
    ----------
    adu, use, out : see the module
    banks : of a panel
    bits : which, see `Bits`
    limit : a median of this size or more is not subtracted [ADU]
    least : a bank needs so many pixels, a row or column more
    """
    out = _started(adu, out)
    below = float(np.nextafter(np.float32(limit), np.float32(0)))
    for bit, what in (
        (Bits.BANKS, _BANKS),
        (Bits.ROWS, _ROWS),
        (Bits.COLUMNS, _COLUMNS),
    ):
        if bits & bit:
            enough = least if bit is Bits.BANKS else least + 1
            limits = _Limits(math.inf, below, enough, only_used=True)
            _subtract(out, use, what, banks, limits)
    return out


def epix100_medians(
    adu: Image,
    use: Mask,
    *,
    banks: Banks,
    bits: int,
    reach: float,
    limit: float,
    out: Image | None = None,
) -> Image:
    """Subtract medians of banks, rows and columns of the pixels near 0.

    It is LCLS-I's algorithm 4 (``ImgAlgos``, ``medianInRegionV3``): ten pixels are
    enough, and all pixels are corrected.

    Parameters
    ----------
    adu, use, out : see the module
    banks : of a panel
    bits : which, see `Epix100Bits`; they are not those of `psana_medians`
    reach : pixels beyond plus or minus this do not take part [ADU]
    limit : a larger median is not subtracted [ADU]; 0: no limit
    """
    out = _started(adu, out)
    limits = _Limits(reach, limit or math.inf, 10)
    for bit, what in (
        (Epix100Bits.BANKS, _BANKS),
        (Epix100Bits.ROWS, _ROWS),
        (Epix100Bits.COLUMNS, _COLUMNS),
    ):
        if bits & bit:
            _subtract(out, use, what, banks, limits)
    return out


def neighbour_exclusion(
    adu: Image,
    use: Mask,
    noise: Image,
    *,
    banks: Banks,
    level: Level = Level.NOTHING,
    sigmas: float = 10.0,
    limit: float = 30.0,
    fraction: float = 0.25,
    out: Image | None = None,
) -> Image:
    """Subtract medians of columns, then of rows, of pixels far from any signal.

    Pixels of `sigmas` times their noise or more, their four neighbours, and pixels
    beyond plus or minus `limit`, leave the estimate; all pixels are corrected.  It is
    what users know as 45, 46 and 47, and psana of LCLS-I as algorithm 6.

    Parameters
    ----------
    adu, use, out : see the module
    noise : of each pixel [ADU], the shape of the image
    banks : of a panel
    level : what is subtracted first
    sigmas : a pixel has signal from this many times its noise on
    limit : a larger median is not subtracted [ADU]
    fraction : of the pixels of a row or column that the estimate needs
    """
    from smalldata_ana.detector.common_mode_kernels import mean, without_signal

    out = _started(adu, out)
    if level is Level.BANKS:
        _subtract(out, use, _BANKS, banks, _Limits())
    quiet = scratch("quiet", out.size, np.bool_).reshape(out.shape)
    without_signal(out, use, noise, sigmas, limit, _rim(out.shape), quiet)
    if level is Level.MEAN:
        for panel, good in zip(out, quiet, strict=True):
            np.subtract(panel, np.float32(mean(panel, good)), out=panel)
    for what in (_COLUMNS, _ROWS):
        rows, columns = _block(what, banks, out.shape)
        least = math.ceil(fraction * rows * columns)
        _subtract(out, quiet, what, banks, _Limits(limit=limit, least=least))
    return out


def half_row_medians(
    adu: Image,
    use: Mask,
    *,
    threshold: float = 30.0,
    neighbours: int = 0,
    limit: float | None = None,
    fraction: float = 0.05,
    out: Image | None = None,
) -> Image:
    """Subtract the median of each half of a row of the pixels below a threshold.

    Parameters
    ----------
    adu, use, out : see the module
    threshold : pixels above it do not take part [ADU]
    neighbours : 1: nor do their four neighbours
    limit : a larger median is not subtracted [ADU]; None: as the threshold
    fraction : of the pixels of half a row that the estimate needs
    """
    from smalldata_ana.detector.common_mode_kernels import without_signal

    out = _started(adu, out)
    quiet = use & (adu <= threshold)
    if neighbours:
        level = np.full(out.shape, np.nextafter(np.float32(threshold), np.inf), "f4")
        without_signal(out, use, level, 1.0, math.inf, _rim(out.shape), quiet)
    least = math.ceil(fraction * (out.shape[2] // 2))
    limits = _Limits(limit=threshold if limit is None else limit, least=least)
    _subtract(out, quiet, _ROWS, (1, 2), limits)
    return out


# -- one number for a panel ------------------------------------------------------------


def region_median(
    adu: Image, use: Mask, *, region: Mask, out: Image | None = None
) -> Image:
    """Subtract from each panel the median of its pixels in a region.

    Parameters
    ----------
    adu, use, out : see the module
    region : bool ``(rows, columns)`` or the shape of the image

    Raises
    ------
    ParameterError
        if the region is empty
    """
    chosen = np.broadcast_to(region, adu.shape)
    if not chosen.any():
        raise ParameterError("the region for the common mode has no pixels")
    out = _started(adu, out)
    for panel, good in zip(out, chosen & use, strict=True):
        if good.any():
            np.subtract(panel, np.median(panel[good]), out=panel)
    return out


def unbonded_mean(
    adu: Image, *, unbonded: Mask, limit: float, out: Image | None = None
) -> Image:
    """Subtract from each panel the mean of its pixels without a sensor.

    psana's algorithm 5, for a CsPad.

    Parameters
    ----------
    adu, out : see the module
    unbonded : bool ``(rows, columns)``, the same in all panels
    limit : a larger mean is not subtracted [ADU]
    """
    out = _started(adu, out)
    for panel in out:
        mean = _unbonded(panel, unbonded, limit)
        np.subtract(panel, np.float32(mean or 0), out=panel)
    return out


class Peak(NamedTuple):
    """The peak of the pixels without photons in a histogram [ADU]."""

    mean: float
    sigma: float


def zero_peak(
    adu: Image,
    use: Mask,
    *,
    limit: float = 25.0,
    sigma: float = 40.0,
    least: int = 100,
    unbonded: Mask | None = None,
    out: Image | None = None,
) -> Image:
    """Subtract from each panel the position of its zero-photon peak.

    psana's algorithm 1 (``ImgAlgos``, ``findCommonMode``); with `unbonded`, a panel
    whose peak is not found, or not accepted, is corrected as by `unbonded_mean`.

    Parameters
    ----------
    adu, use, out : see the module
    limit : a peak farther from 0 is not accepted [ADU], nor is a larger mean
    sigma : nor is a wider one [ADU]
    least : pixels that a bin of 1 ADU needs more than, to be a peak
    unbonded : bool ``(rows, columns)``, or None to leave such a panel as it is
    """
    out = _started(adu, out)
    for panel, good in zip(out, use, strict=True):
        peak = find_zero_peak(panel, good, least=least)
        shift: float | None = None
        if peak is not None and abs(peak.mean) <= limit and peak.sigma <= sigma:
            shift = peak.mean
        elif unbonded is not None:
            shift = _unbonded(panel, unbonded, limit)
        np.subtract(panel, np.float32(shift or 0), out=panel)
    return out


def find_zero_peak(panel: Image, use: Mask, *, least: int = 100) -> Peak | None:
    """Return the zero-photon peak of a panel, or None if it shows none.

    It is the first of the peaks that a histogram in steps of 1 ADU has from the left:
    a bin of more than `least` pixels, before the bins fall to half of it.  Mean and
    width are those of the pixels within two widths, found in two rounds.

    Parameters
    ----------
    panel : float32 ``(rows, columns)`` [ADU]
    use : bool, the same shape
    least : see above
    """
    from smalldata_ana.detector import common_mode_kernels as kernels

    size = kernels.HISTOGRAM_HIGH - kernels.HISTOGRAM_LOW
    counts = scratch("histogram", size, np.int32)
    kernels.fill_histogram(np.ascontiguousarray(panel), use, counts)
    peak, right = _first_peak(counts, max(least, 0) or 100)
    if peak is None:
        return None
    low = np.flatnonzero(counts[: peak + 1] <= counts[peak] // 2)
    left = int(low[-1]) if low.size else -1
    mean, sigma = float(peak), (right - left) / 2.36
    for _ in range(2):
        half_width = int(2 * sigma + 0.5)
        bins = np.arange(max(0, peak - half_width), min(size, peak + half_width + 1))
        weights = counts[bins].astype(np.float64)
        away = bins - mean
        shift = float(weights @ away / weights.sum())
        sigma = math.sqrt(max(weights @ away**2 / weights.sum() - shift**2, 0.0))
        mean += shift
    return Peak(mean + kernels.HISTOGRAM_LOW, sigma)


def _first_peak(counts: npt.NDArray[np.int32], least: int) -> tuple[int | None, int]:
    """Return the bin of the first peak, and the bin where it has fallen to half."""
    candidates = np.flatnonzero(counts > least)
    if not candidates.size:
        return None, counts.size
    begin = int(candidates[0])
    highest = np.maximum.accumulate(counts[begin:])
    fallen = np.flatnonzero(counts[begin:] <= highest // 2)
    right = begin + int(fallen[0]) if fallen.size else counts.size
    return begin + int(np.argmax(counts[begin:right])), right


def _unbonded(panel: Image, unbonded: Mask, limit: float) -> float | None:
    mean = float(np.mean(panel[unbonded], dtype=np.float64))
    return mean if abs(mean) <= limit else None


# -- what one event leaves in the next -------------------------------------------------


def subtract_ghost(
    adu: Image, previous: Image, *, p0: Image, p1: Image, out: Image | None = None
) -> Image:
    """Subtract what the event before left behind: ``p0 + p1 * previous``.

    Parameters
    ----------
    adu, out : see the module
    previous : the event before, the same shape [ADU]
    p0, p1 : of each pixel, fitted before
    """
    return np.subtract(adu, p0 + p1 * previous, out=out, dtype=np.float32)


# -- steps -----------------------------------------------------------------------------


class _Limits(NamedTuple):
    reach: float = math.inf
    limit: float = math.inf
    least: int = 1
    only_used: bool = False


def check_banks(shape: tuple[int, ...], banks: Banks) -> None:
    """Check that panels can be divided into banks.

    Raises
    ------
    ParameterError
        if they cannot
    """
    rows, columns = shape[-2:]
    if rows % banks[0] or columns % banks[1]:
        raise ParameterError(
            f"panels of {rows} x {columns} pixels do not divide into {banks[0]} x "
            f"{banks[1]} banks, which this common mode needs; take 0"
        )


def _block(what: str, banks: Banks, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return rows and columns of a row, a column or all of a bank."""
    check_banks(shape, banks)
    rows, columns = shape[-2] // banks[0], shape[-1] // banks[1]
    return {_ROWS: (1, columns), _COLUMNS: (rows, 1), _BANKS: (rows, columns)}[what]


def _subtract(
    image: Image, use: Mask, what: str, banks: Banks, limits: _Limits
) -> None:
    from smalldata_ana.detector import common_mode_kernels as kernels

    rows, columns = _block(what, banks, image.shape)
    subtract = kernels.subtract_block_medians
    if what == _COLUMNS:
        subtract = kernels.subtract_column_medians
        columns = math.gcd(image.shape[2], kernels.COLUMNS_AT_ONCE)
    elif what == _ROWS:
        subtract = kernels.subtract_row_medians
        rows = math.gcd(image.shape[1], kernels.COLUMNS_AT_ONCE)
    values = scratch("values", rows * columns + max(rows, columns), np.float32)
    subtract(image, use, rows, columns, *limits, values)


def _rim(shape: tuple[int, ...]) -> Mask:
    """Return room for flags of a panel with a rim of one pixel."""
    rows, columns = shape[-2] + 2, shape[-1] + 2
    return scratch("signal", rows * columns, np.bool_).reshape(rows, columns)


def _started(adu: Image, out: Image | None) -> Image:
    """Return the array to work on, holding the image."""
    if out is None:
        return np.array(adu, np.float32, order="C")
    if out is not adu:
        np.copyto(out, adu)
    return out
