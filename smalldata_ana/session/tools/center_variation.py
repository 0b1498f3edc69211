"""`CenterVariationTool`: see at which beam centre the rings are straight over phi."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.ana_funcs.beam_parameters import BeamParameters
from smalldata_ana.average_image import AverageImage
from smalldata_ana.beam_center import CenterFit, glow_radius
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.errors import ParameterError
from smalldata_ana.session.azint import AzimuthalAverage, azimuthal_average
from smalldata_ana.session.tools.ring import Mask, RingTool
from smalldata_ana.session.tools.ring_fit import RingFit, pixel_of
from smalldata_ana.units import wavelength

Center = tuple[float, float]
"""x and y where the beam meets the detector [um]."""

Step = tuple[int, int]

STEPS: tuple[Step, ...] = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
"""The centre and four around it, in steps of x and y."""

_COMMAND = "AzInt_centerVar"
_CHOSEN, _GIVEN = "chosen where rings are straight over phi", "as given"
_FARTHEST = 10
"""How far outside of the picture a centre may be, in its longer edges."""
_KEPT = 64
"""How many averages are kept: each takes a while, and undo needs them again."""


class CenterVariationTool(RingTool):
    """A beam centre that is moved until the rings are straight over phi.

    Its value is a centre without rings and errors; `move`, ``value = (x, y)`` [um] and
    a click on one of the pictures change it.  See `RingTool` for what else it can.

    Parameters
    ----------
    session, average, good, options : as for `RingTool`
    det : the detector
    beam : ``center`` to begin with [um], distance, and what else is known of the beam
    given : other parameters of the command: ``varCenter`` [um], ``qBin`` [1/angstrom],
        ``phiBins``, and those of the beam that it was given

    Raises
    ------
    ParameterError
        if a parameter makes no sense
    """

    def __init__(
        self,
        session: Any,
        det: DetObject,
        average: AverageImage,
        good: Mask,
        options: Mapping[str, Any],
        *,
        beam: Mapping[str, Any],
        given: Mapping[str, Any],
    ) -> None:
        step = given["varCenter"]
        if not (math.isfinite(step) and step > 0):
            raise ParameterError(f"varCenter = {step!r} is not a step above 0 [um]")
        self._det = det
        self._beam = {key: value for key, value in beam.items() if key != "center"}
        self._given = dict(given)
        self._start: Center = (float(beam["center"][0]), float(beam["center"][1]))
        self._average_at = functools.lru_cache(_KEPT)(self._integrated)
        super().__init__(session, average, good, options, start=self._start)

    @property
    def step(self) -> float:
        """By how much x and y are varied [um]."""
        return float(self._given["varCenter"])

    @property
    def center(self) -> Center:
        """The value as x and y [um]."""
        if self.value is None:
            raise ParameterError("there is no centre")
        return self.value.center_um

    def checked(self, value: CenterFit | Sequence[float]) -> RingFit:
        """Return a fit, also of x and y [um], about which the image can be averaged."""
        fit = super().checked(
            value if isinstance(value, CenterFit) else self._at(value)
        )
        _check_near(fit.center_px, self.average.geometry.shape)
        self.averages(fit.center_um)
        return fit

    def _at(self, center: Sequence[float]) -> RingFit:
        """Return a centre at x and y [um] as a fit."""
        x, y = map(float, BeamParameters(center=list(center)).center)
        fit = CenterFit(
            center_px=pixel_of(self.average.geometry, (x, y)),
            covariance=np.full((2, 2), np.nan),
            rings=(),
            quality=math.nan,
            how=_GIVEN if (x, y) == self._start else _CHOSEN,
        )
        return RingFit.of(fit, _COMMAND, **self._options, **self._given, center=[x, y])

    def move(self, x: float, y: float) -> RingFit | None:
        """Take another centre, and show the averages about it.

        Parameters
        ----------
        x, y : where the beam meets the detector [um]

        Raises
        ------
        ParameterError
            if the image cannot be averaged about it
        """
        self.value = self._at((x, y))
        return self.value

    def averages(self, center: Center | None = None) -> dict[Step, AzimuthalAverage]:
        """Return the averages about a centre and four around it, by step in x and y.

        Parameters
        ----------
        center : x and y [um]; by default those of the value
        """
        x, y = self.center if center is None else center
        return {
            (down, right): self._average_at(x + down * self.step, y + right * self.step)
            for down, right in STEPS
        }

    @property
    def glow_end(self) -> float:
        """Up to where the glow reaches that a beam stop cuts off, or 0 [1/angstrom]."""
        fit = self.value
        if fit is None or fit.pixel_size is None:
            return 0.0
        radius = 1e-3 * fit.pixel_size * glow_radius(*self.picture, fit.center_px)
        angle = math.atan(radius / self._beam["dis_to_sam"])
        return 4 * math.pi / wavelength(self._beam["eBeam"]) * math.sin(angle / 2)

    def _integrated(self, x: float, y: float) -> AzimuthalAverage:
        func = azimuthalBinning(
            center=[x, y],
            qbin=self._given["qBin"],
            phiBins=self._given["phiBins"],
            polCorr=False,
            **self._beam,
        )
        func.attach(self._det)
        return azimuthal_average(func, self.average, self.good)


def _check_near(center_px: tuple[float, float], shape: tuple[int, ...]) -> None:
    """Refuse a centre from which no beam would come to the detector."""
    outside = max(
        max(-place, place - edge, 0.0)
        for place, edge in zip(center_px, shape, strict=True)
    )
    edges = outside / max(shape)
    if edges > _FARTHEST:
        raise ParameterError(
            f"the centre is {edges:.0f} times the longer edge of the picture outside "
            f"of it, at row {center_px[0]:.0f}, column {center_px[1]:.0f}; at most "
            f"{_FARTHEST} times are allowed. Is it in um?"
        )
