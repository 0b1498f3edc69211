"""Correlation of masked images by Fourier transform, for small lags.

An image is padded to its size plus the largest lag that is wanted: what wraps round
then falls on larger lags only.  With the mean taken off before, transforms in float32
are exact to some 1e-6 of the variance, whatever the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from smalldata_ana.detector.protocol import Array

Sums = npt.NDArray[np.float64]

_PRECISION = 1e-6
"""Of the transforms: what they give is uncertain by this fraction of the norms."""


@dataclass(frozen=True)
class PairSums:
    """Sums over the pairs of good pixels at each lag, zero lag in the middle.

    Attributes
    ----------
    mean : of the good pixels, which δ is the deviation from
    n_good : number of good pixels
    pairs : Σ m(r)·m(r+d), the number of pairs
    squares : Σ δ(r)·δ(r+d)
    ahead : Σ δ(r)·m(r+d)
    """

    mean: float
    n_good: int
    pairs: Sums
    squares: Sums
    ahead: Sums

    def normalised(self, min_pairs: int) -> Sums:
        """Return (I⋆I)·(m⋆m) / ((I⋆m)·(m⋆I)), NaN for fewer pairs.

        It is the mean of I(r)·I(r+d), divided by the means that I(r) and I(r+d) have
        over the same pairs; 1 where there is no correlation, and NaN where there is no
        intensity.
        """
        pairs, mean = self.pairs, self.mean
        behind = self.ahead[::-1, ::-1]
        product = self.squares + mean * (self.ahead + behind) + mean**2 * pairs
        intensity = self.ahead + mean * pairs
        lit = np.abs(intensity) > _PRECISION * np.sqrt(self._all_squares * self.n_good)
        known = lit & lit[::-1, ::-1] & (pairs >= min_pairs)
        return _quotient(product * pairs, intensity * intensity[::-1, ::-1], known)

    def covariance(self, min_pairs: int) -> Sums:
        """Return the mean of δ(r)·δ(r+d) over the variance, NaN for fewer pairs."""
        known = (self.pairs >= min_pairs) & (self._all_squares > 0)
        spread = self._all_squares / max(self.n_good, 1) * self.pairs
        return _quotient(self.squares, spread, known)

    @property
    def _all_squares(self) -> float:
        """Σ δ² over the good pixels."""
        rows, columns = self.squares.shape
        return max(0.0, float(self.squares[rows // 2, columns // 2]))


class MaskedCorrelation:
    """Sums over pairs of pixels for images of one shape with one mask.

    Parameters
    ----------
    good : bool, (rows, columns); True = use
    largest : largest lag along rows and columns
    """

    def __init__(self, good: npt.NDArray[np.bool_], largest: tuple[int, int]) -> None:
        self.good = good
        self._largest = largest
        self._size = (
            scipy.fft.next_fast_len(good.shape[0] + largest[0]),
            scipy.fft.next_fast_len(good.shape[1] + largest[1], real=True),
        )
        self._bad = np.flatnonzero(~good)
        self._n_good = good.size - self._bad.size
        exact = self._transformed(good.astype(np.float64))
        self._pairs = np.rint(self._lags(exact.conj() * exact))
        self._mask = exact.astype(np.complex64)

    def pair_sums(self, image: Array) -> PairSums:
        """Return the sums of an image; pixels that are not finite are left out.

        Parameters
        ----------
        image : floating point, (rows, columns); it is not written to
        """
        deviation = image.astype(np.float32)
        flat = deviation.reshape(-1)
        flat[self._bad] = 0
        with np.errstate(invalid="ignore"):
            total = flat.sum(dtype=np.float64)
        if not np.isfinite(total):
            use = self.good & np.isfinite(deviation)
            return MaskedCorrelation(use, self._largest).pair_sums(image)
        # The mean as it is subtracted: the sums hold for any number that is near.
        mean = np.float32(total / self._n_good) if self._n_good else np.float32(np.nan)
        deviation -= mean
        flat[self._bad] = 0
        spectrum = self._transformed(deviation)
        power = spectrum.real**2 + spectrum.imag**2
        np.conjugate(spectrum, out=spectrum)
        spectrum *= self._mask
        return PairSums(
            float(mean),
            self._n_good,
            self._pairs,
            self._lags(power.astype(spectrum.dtype)),
            self._lags(spectrum),
        )

    def _transformed(self, image: Array) -> npt.NDArray[Any]:
        rows = scipy.fft.rfft(image, self._size[1], axis=1)
        return np.asarray(scipy.fft.fft(rows, self._size[0], axis=0, overwrite_x=True))

    def _lags(self, spectrum: npt.NDArray[Any]) -> Sums:
        """Return the inverse transform at the lags that are wanted, in float64."""
        down, right = self._largest
        rows = scipy.fft.ifft(spectrum, axis=0, overwrite_x=True)
        rows = np.concatenate((rows[-down:], rows[: down + 1]))
        lags = scipy.fft.irfft(rows, self._size[1], axis=1)
        wanted = np.concatenate((lags[:, -right:], lags[:, : right + 1]), axis=1)
        return wanted.astype(np.float64)


def _quotient(above: Sums, below: Sums, known: npt.NDArray[np.bool_]) -> Sums:
    quotient = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotient, where=known)
    return quotient
