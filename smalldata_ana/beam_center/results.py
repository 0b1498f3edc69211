"""What a fit of rings found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ParameterError

Center = tuple[float, float]


@dataclass(frozen=True)
class Ring:
    """A ring of the picture.

    Attributes
    ----------
    radius : of its middle [px]
    radius_err : standard error, with that of the centre [px]
    inliers : number of pixels, or of points, of the ring that agree with the fit
    width : between the radii of half its height, or NaN [px]
    height : above its surroundings, or NaN [unit of the image]
    coverage : share of the full circle on which it was found, 0 to 1
    """

    radius: float
    radius_err: float
    inliers: int
    width: float = float("nan")
    height: float = float("nan")
    coverage: float = float("nan")


@dataclass(frozen=True)
class CenterFit:
    """The common centre of rings, with its error.

    An index that is a whole number is the middle of a pixel.  Lengths in micrometres
    are known if `pixel_size` is; they are in the frame of `corner`, with x along the
    rows' index and y along the columns' (`interfaces.md` section 5).

    Attributes
    ----------
    center_px : row and column in the assembled image [px]
    covariance : of row and column, (2, 2) float64 [px^2]
    rings : by radius
    quality : 0 to 1, how far all around the picture tells the same rings; for points,
        the share of those that agree with the fit
    how : what was fitted, in a few words
    pixel_size : edge of a pixel [um], or None
    corner : x and y of the outer corner of the image's first pixel [um]; without it,
        lengths count from the middle of the first pixel
    notes : what users must know of it
    """

    center_px: Center
    covariance: npt.NDArray[np.float64] = field(compare=False, repr=False)
    rings: tuple[Ring, ...]
    quality: float
    how: str
    pixel_size: float | None = None
    corner: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def center_px_err(self) -> Center:
        """Standard errors of row and column [px]."""
        row, col = np.sqrt(np.diag(self.covariance))
        return float(row), float(col)

    @property
    def radius_px(self) -> tuple[float, ...]:
        """Radii of the rings [px]."""
        return tuple(ring.radius for ring in self.rings)

    @property
    def radius_px_err(self) -> tuple[float, ...]:
        """Standard errors of the radii [px]."""
        return tuple(ring.radius_err for ring in self.rings)

    @property
    def inliers(self) -> tuple[int, ...]:
        """Number of pixels or points of each ring that agree with the fit."""
        return tuple(ring.inliers for ring in self.rings)

    @property
    def center_um(self) -> Center:
        """The centre, x and y of the psana frame [um]."""
        size = self._size
        corner = self.corner or (-size / 2, -size / 2)
        x, y = (
            c + (index + 0.5) * size
            for c, index in zip(corner, self.center_px, strict=True)
        )
        return x, y

    @property
    def center_um_err(self) -> Center:
        """Standard errors of x and y [um]."""
        row, col = self.center_px_err
        return row * self._size, col * self._size

    @property
    def radius_um(self) -> tuple[float, ...]:
        """Radii of the rings [um]."""
        return tuple(radius * self._size for radius in self.radius_px)

    @property
    def radius_um_err(self) -> tuple[float, ...]:
        """Standard errors of the radii [um]."""
        return tuple(error * self._size for error in self.radius_px_err)

    def located(
        self, pixel_size: float, corner: tuple[float, float] | None = None
    ) -> Self:
        """Return the same fit on a detector whose place is known.

        Parameters
        ----------
        pixel_size : edge of a pixel [um]
        corner : x and y of the outer corner of the image's first pixel [um], as of
            `smalldata_ana.detector.geometry.ImageGeometry`

        Raises
        ------
        ParameterError
            if the size is not a positive number
        """
        return replace(self, pixel_size=checked_size(pixel_size), corner=corner)

    @property
    def _size(self) -> float:
        if self.pixel_size is None:
            raise ParameterError(
                "lengths in um are not known, as there is no pixel size; use "
                ".located(pixel_size=…) or read .center_px"
            )
        return self.pixel_size


def checked_size(pixel_size: float | None) -> float | None:
    """Return a pixel size [um] that is one, or None."""
    if pixel_size is not None and not (np.isfinite(pixel_size) and pixel_size > 0):
        raise ParameterError(f"pixel_size = {pixel_size} is not a positive number [um]")
    return pixel_size
