"""The correction of a centre from how rings depend on the azimuth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import BeamCenterError, ParameterError, counted

Floats = npt.NDArray[np.float64]

_SMOOTHINGS = (8.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Of the profiles, step by step [bins of radius]."""
_FEWEST = 4
"""Sectors in which a bin of radius must be seen."""
_SIGNIFICANT = 6.0
_AGREE = 0.5
"""Share of the variance between radii that all azimuths must have in common."""


@dataclass(frozen=True)
class CenterShift:
    """By how much a centre is to be moved.

    Attributes
    ----------
    x, y : along phi = 90 deg and phi = 0 (rows and columns of the picture) [unit of
        the radius]
    covariance : of both, (2, 2) float64 [its square]
    """

    x: float
    y: float
    covariance: npt.NDArray[np.float64] = field(compare=False, repr=False)

    @property
    def x_err(self) -> float:
        """Standard error of `x`."""
        return float(np.sqrt(self.covariance[0, 0]))

    @property
    def y_err(self) -> float:
        """Standard error of `y`."""
        return float(np.sqrt(self.covariance[1, 1]))


def center_from_azimuth(
    intensity: npt.ArrayLike, phi: npt.ArrayLike, radius: npt.ArrayLike
) -> CenterShift:
    """Find by how much the centre of an azimuthal average is off.

    About a centre that is off by d, a ring of radius R appears at R + d cos(phi - a).
    The shift is fitted by least squares to all rings at once, whatever their profile,
    with factors that depend on the azimuth as cos and sin of phi and 2 phi.

    Parameters
    ----------
    intensity : (azimuths, radii); NaN where there are no pixels
    phi : (azimuths,), middle of each bin [deg], 0 along the columns and 90 along the
        rows of the picture
    radius : (radii,), distance from the centre on the detector, in equal steps [any
        length: px, um]

    Returns
    -------
    shift : to be added to the centre

    Raises
    ------
    BeamCenterError
        if fewer than 4 azimuths are seen, or there are no rings to tell the shift
    ParameterError
        if the shapes do not fit, or the radii are not in equal steps
    """
    cake, angle, step = _checked(intensity, phi, radius)
    seen = np.isfinite(cake)
    use = seen.sum(axis=0) >= _FEWEST
    sectors = int(np.count_nonzero(seen[:, use].any(axis=1)))
    if sectors < _FEWEST:
        raise BeamCenterError(
            f"{counted(sectors, 'azimuth')} with data, and at least {_FEWEST} are "
            "needed; use more phi bins"
        )
    directions = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    shift, factors = np.zeros(2), np.ones(len(angle))
    for smoothing in _SMOOTHINGS:
        moved = _moved(cake, directions @ shift) / factors[:, None]
        fit = _Step.of(moved, angle, directions, smoothing)
        shift, factors = shift + fit.shift, factors * fit.factors
    if not fit.significance > _SIGNIFICANT or fit.common < _AGREE:
        raise BeamCenterError(
            "no rings are seen that are the same at all azimuths: "
            f"{max(fit.common, 0):.0%} of what varies with the radius is common to "
            "all, so that the centre cannot be corrected"
        )
    x, y = (float(s) for s in shift * step)
    return CenterShift(x, y, fit.covariance * step**2)


def _checked(
    intensity: npt.ArrayLike, phi: npt.ArrayLike, radius: npt.ArrayLike
) -> tuple[Floats, Floats, float]:
    cake, angle, r = (np.asarray(a, float) for a in (intensity, phi, radius))
    if cake.ndim != 2 or cake.shape != (angle.size, r.size):
        raise ParameterError(
            f"intensity of the shape {cake.shape}, with {angle.size} azimuths and "
            f"{r.size} radii; it must be (azimuths, radii)"
        )
    steps = np.diff(r)
    if len(steps) < 8 or not np.allclose(steps, steps.mean(), rtol=0.02, atol=0):
        raise ParameterError("the radii must be in equal steps, and at least 9")
    return np.where(np.isfinite(cake), cake, np.nan), np.deg2rad(angle), steps.mean()


def _moved(cake: Floats, by: Floats) -> Floats:
    """Return each row moved back by a number of bins."""
    place = np.arange(cake.shape[1], dtype=float)
    pairs = zip(cake, by, strict=True)
    return np.array(
        [np.interp(place + d, place, row, np.nan, np.nan) for row, d in pairs]
    )


@dataclass(frozen=True, eq=False)
class _Step:
    """One step of the fit.

    Attributes
    ----------
    shift : (2,), along rows and columns [bins]
    factors : (azimuths,), by which rows are brighter than the mean
    covariance : (2, 2), of the shift [bins^2]
    significance : of the slopes of the profile, in standard errors
    common : share of the variance between radii that all azimuths have in common
    """

    shift: Floats
    factors: Floats
    covariance: Floats
    significance: float
    common: float

    @classmethod
    def of(
        cls, cake: Floats, angle: Floats, directions: Floats, smoothing: float
    ) -> _Step:
        seen = np.isfinite(cake)
        count = seen.sum(axis=0)
        use = seen & (count >= _FEWEST)
        filled = np.where(use, cake, 0)
        profile = filled.sum(axis=0) / np.maximum(use.sum(axis=0), 1)
        slope = np.gradient(_smooth(profile, use.any(axis=0), smoothing))
        terms = np.stack(
            [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
        )
        columns = np.stack(
            [-slope * d[:, None] for d in directions.T]
            + [profile * term[:, None] for term in terms]
        )
        columns, rest = _demeaned(columns, use), _demeaned(cake[None], use)[0]
        return cls._solved(columns, rest, use, terms, profile)

    @classmethod
    def _solved(
        cls,
        columns: Floats,
        rest: Floats,
        use: npt.NDArray[np.bool_],
        terms: Floats,
        profile: Floats,
    ) -> _Step:
        # Bins of radius in which azimuths differ more count less.
        variance = np.sum(rest**2, axis=0) / np.maximum(use.sum(axis=0) - 1, 1)
        floor = float(np.median(variance[use.any(axis=0)])) or 1e-30
        weight = use / (variance + 0.1 * floor)
        flat = columns.reshape(len(columns), -1)
        normal = (flat * weight.ravel()) @ flat.T
        scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
        inverse = np.linalg.pinv(normal / np.outer(scale, scale), rcond=1e-9)
        inverse /= np.outer(scale, scale)
        solution = inverse @ (flat @ (weight * rest).ravel())
        left = rest - np.tensordot(solution, columns, 1)
        # Errors are from the scatter of azimuths.
        scores = np.einsum("cij,ij->ic", columns, weight * left)
        n = int(np.count_nonzero(use.any(axis=1)))
        few = n / max(n - len(columns), 1)
        covariance = few * inverse @ (scores.T @ scores) @ inverse
        change = float(np.sqrt(np.trace(normal[:2, :2])))
        between = float(np.var(profile[use.any(axis=0)]))
        within = float(np.sum(left**2) / max(int(np.count_nonzero(use)), 1))
        common = 1 - within / between if between > 0 else -1.0
        factors = np.clip(1 + solution[2:] @ terms, 0.2, 5)
        return cls(solution[:2], factors, covariance[:2, :2], change, common)


def _demeaned(columns: Floats, use: npt.NDArray[np.bool_]) -> Floats:
    """Return columns (n, azimuths, radii) relative to their mean over azimuths."""
    filled = np.where(use, columns, 0)
    mean = filled.sum(axis=1) / np.maximum(use.sum(axis=0), 1)
    return np.where(use, columns - mean[:, None, :], 0)


def _smooth(profile: Floats, seen: npt.NDArray[np.bool_], smoothing: float) -> Floats:
    from scipy import ndimage

    place = np.arange(len(profile))
    whole = np.interp(place, place[seen], profile[seen])
    smooth: Floats = ndimage.gaussian_filter1d(whole, smoothing)
    return smooth
