"""A common mode between the pedestal and the gain of a calibration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector import common_mode, common_mode_panels
from smalldata_ana.detector.common_mode import Level
from smalldata_ana.detector.kind_model import Algorithm, CommonMode, Kind
from smalldata_ana.detector.masks import unbonded
from smalldata_ana.detector.planes import Planes
from smalldata_ana.detector.scratch import scratch
from smalldata_ana.errors import ParameterError

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Correct = Callable[[Image, Mask], None]
"""Subtracts a common mode from an image in place; both ``(panels, rows, columns)``."""
Convert = Callable[[Array, Image], None]
FindNoise = Callable[[], Image | None]

_LEVELS = (Level.NOTHING, Level.MEAN, Level.BANKS)


def corrector(
    mode: CommonMode,
    kind: Kind,
    shape: tuple[int, ...],
    noise: FindNoise,
    region: Mask | None = None,
) -> Correct | None:
    """Return what subtracts a common mode, or None where there is nothing to subtract.

    Parameters
    ----------
    mode : with its algorithm and parameters
    kind : of the detector
    shape : of a frame
    noise : finds that of each pixel [ADU], for the algorithms that need it
    region : bool, shape of a frame, for the algorithms that need it

    Raises
    ------
    ParameterError
        if the frames, or what is known of the kind, do not fit the algorithm
    """
    if mode.algorithm in _OF_BANKS:
        if kind.banks is None:
            raise ParameterError(
                f"{mode.text} of {kind.title}: its banks are not known"
            )
        common_mode.check_banks(shape, kind.banks)
        return _OF_BANKS[mode.algorithm](mode.pars, kind.banks, noise)
    if mode.algorithm in _OF_UNBONDED:
        known = unbonded(kind, shape).reshape(-1, *shape[-2:])[0]
        return _OF_UNBONDED[mode.algorithm](mode.pars, ~known)
    if mode.algorithm in _OF_REGION:
        if region is None:
            raise ParameterError(f"{mode.text} of {kind.title}: there is no region")
        return _OF_REGION[mode.algorithm](mode.pars, region.reshape(-1, *shape[-2:]))
    return None


def _medians(
    pars: tuple[float, ...], banks: common_mode.Banks, _: FindNoise
) -> Correct | None:
    bits = int(pars[1])
    if not bits:
        return None
    limits: dict[str, Any] = {"limit": pars[2]}
    if len(pars) > 3:
        limits["least"] = int(pars[3])
    return _in_place(common_mode.psana_medians, banks=banks, bits=bits, **limits)


def _epix100_medians(
    pars: tuple[float, ...], banks: common_mode.Banks, _: FindNoise
) -> Correct | None:
    bits, reach, limit = pars[1:]
    return _in_place(
        common_mode.epix100_medians,
        banks=banks,
        bits=int(bits),
        reach=reach,
        limit=limit,
    )


def _neighbour_exclusion(
    pars: tuple[float, ...], banks: common_mode.Banks, find_noise: FindNoise
) -> Correct | None:
    noise = find_noise()
    if noise is None:
        raise ParameterError("this common mode needs the noise of the pixels")
    level, sigmas, limit, fraction = pars[1:]
    return _in_place(
        common_mode.neighbour_exclusion,
        noise=noise.reshape(-1, *noise.shape[-2:]),
        banks=banks,
        level=_LEVELS[int(level)],
        sigmas=sigmas,
        limit=limit,
        fraction=fraction,
    )


def _zero_peak(pars: tuple[float, ...], known: Mask) -> Correct:
    limit, sigma, least, *others = pars[1:]
    with_unbonded = bool(others) and others[0] > 0.1
    return _in_place(
        common_mode_panels.zero_peak,
        limit=limit,
        sigma=sigma,
        least=int(least),
        unbonded=_without_corner(known) if with_unbonded else None,
    )


def _unbonded(pars: tuple[float, ...], known: Mask) -> Correct:
    function = partial(
        common_mode_panels.unbonded_mean, unbonded=_without_corner(known), limit=pars[1]
    )

    def correct(image: Image, _: Mask) -> None:
        function(image, out=image)

    return correct


def _region(_: tuple[float, ...], region: Mask) -> Correct:
    return _in_place(common_mode_panels.region_median, region=region)


def _region_and_half_rows(pars: tuple[float, ...], region: Mask) -> Correct:
    threshold, neighbours, limit, fraction = pars[1:]
    steps = (
        _region(pars, region),
        _in_place(
            common_mode.half_row_medians,
            threshold=threshold,
            neighbours=int(neighbours),
            limit=limit,
            fraction=fraction,
        ),
    )

    def correct(image: Image, use: Mask) -> None:
        for step in steps:
            step(image, use)

    return correct


_OF_BANKS = {
    Algorithm.MEDIANS: _medians,
    Algorithm.EPIX100_MEDIANS: _epix100_medians,
    Algorithm.NEIGHBOUR_EXCLUSION: _neighbour_exclusion,
}
_OF_UNBONDED = {
    Algorithm.ZERO_PEAK: _zero_peak,
    Algorithm.UNBONDED: _unbonded,
    Algorithm.COLUMNS: _region,
}
_OF_REGION = {
    Algorithm.REGION: _region,
    Algorithm.REGION_AND_HALF_ROWS: _region_and_half_rows,
}


def _without_corner(known: Mask) -> Mask:
    """Leave out the unbonded pixels in the first row, the corners, as psana does."""
    inner = known.copy()
    inner[0] = False
    return inner


def _in_place(function: Callable[..., Image], **parameters: Any) -> Correct:
    bound = partial(function, **parameters)

    def correct(image: Image, use: Mask) -> None:
        bound(image, use, out=image)

    return correct


# -- from raw frames -------------------------------------------------------------------


def numbers_converter(planes: Planes, part: Mask, correct: Correct) -> Convert:
    """Return what calibrates frames of plain numbers, with a common mode.

    Parameters
    ----------
    planes : the constants, of one plane
    part : (1, *frame); pixels that take part
    correct : subtracts the common mode
    """
    pedestal, factor = planes.pedestal[0], planes.factor[0]
    use = np.ascontiguousarray(part[0]).reshape(-1, *part.shape[-2:])

    def convert(raw: Array, out: Image) -> None:
        np.subtract(raw, pedestal, out=out, casting="same_kind")
        correct(out.reshape(use.shape), use)
        np.multiply(out, factor, out=out)

    return convert


def words_converter(
    data_mask: int,
    gain_bits: int,
    plane_of_bits: tuple[int, ...],
    planes: Planes,
    part: Mask,
    correct: Correct,
) -> Convert:
    """Return what calibrates frames of words with gain bits, with a common mode.

    Parameters
    ----------
    data_mask, gain_bits, plane_of_bits : of the kind
    planes : the constants
    part : (planes, *frame); pixels that take part, by plane
    correct : subtracts the common mode
    """
    from smalldata_ana.detector import calibration_kernels as kernels

    table = np.array(plane_of_bits, np.int8)
    count = len(planes.pedestal)
    pedestal = np.ascontiguousarray(planes.pedestal).reshape(count, -1)
    factor = planes.factor.reshape(count, -1)
    parts = np.ascontiguousarray(part).reshape(count, -1)

    def convert(raw: Array, out: Image) -> None:
        words, values = raw.reshape(-1), out.reshape(-1)
        use = scratch("use", values.size, np.bool_)
        kernels.subtract_pedestals(
            words, data_mask, gain_bits, table, pedestal, parts, values, use
        )
        panels = (-1, *out.shape[-2:])
        correct(out.reshape(panels), use.reshape(panels))
        kernels.apply_factors(words, gain_bits, table, factor, values)

    return convert
