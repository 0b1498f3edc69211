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
    out = started(adu, out)
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
    out = started(adu, out)
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

    out = started(adu, out)
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

    out = started(adu, out)
    quiet = use & (adu <= threshold)
    if neighbours:
        level = np.full(out.shape, np.nextafter(np.float32(threshold), np.inf), "f4")
        without_signal(out, use, level, 1.0, math.inf, _rim(out.shape), quiet)
    least = math.ceil(fraction * (out.shape[2] // 2))
    limits = _Limits(limit=threshold if limit is None else limit, least=least)
    _subtract(out, quiet, _ROWS, (1, 2), limits)
    return out


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
    from smalldata_ana.detector.common_mode_kernels import subtract_medians
    from smalldata_ana.detector.median_kernels import LANES

    rows, columns = _block(what, banks, image.shape)
    across = math.gcd(image.shape[2], LANES) + 1
    blocks = across if columns == 1 else min(LANES, image.shape[1] // rows)
    values = scratch("values", blocks * rows * columns, np.float32)
    subtract_medians(image, use, rows, columns, *limits, values)


def _rim(shape: tuple[int, ...]) -> Mask:
    """Return room for flags of a panel with a rim of one pixel."""
    rows, columns = shape[-2] + 2, shape[-1] + 2
    return scratch("signal", rows * columns, np.bool_).reshape(rows, columns)


def started(adu: Image, out: Image | None) -> Image:
    """Return the array to work on, holding the image: `out`, or a new one."""
    if out is None:
        return np.array(adu, np.float32, order="C")
    if out is not adu:
        np.copyto(out, adu)
    return out
