"""The edge that a time tool writes into an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Instance, Int, Unicode

from smalldata_ana.ana_funcs.array_files import read_array
from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.beam_traits import Number
from smalldata_ana.ana_funcs.edge_fit import NO_CONTRAST, NO_SIGNAL, Edge, fit_edge
from smalldata_ana.ana_funcs.regions import RegionTrait, boxes_within
from smalldata_ana.ana_funcs.smoothing import moving_average
from smalldata_ana.ana_funcs.waveforms import INTEGER, NUMBER
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

Image = npt.NDArray[np.float64]

_WHOLE = 1 - 1e-6
"""Weight of the used pixels from which on an interpolated pixel counts."""

_BACKGROUNDS = ("Sums/{}_calib", "entry/instrument/{}/data")
"""Where a background may be: in small data, in an average image."""


@register("mectt")
class mecttFunc(DetObjectFunc):
    """The edge of the time tool in an image: when the X-rays come.

    The image is divided by the background image and by the ratio of their means in
    `roi_n` (so that its level is 1), turned around its middle as by SciPy's `rotate`
    with the angle `tilt` (linear between pixels), so that an edge along
    column·cos(tilt) + row·sin(tilt) = constant stands upright, cut to `roi_s`, averaged
    over the rows, and smoothed by a moving average over `sm` samples.  To minus its
    gradient g(x) the edge is fitted by least squares:
    g(x) = A·exp(-(x - x0)²/2w²) + b + m·(x - x0).  The signal falls at the edge, or
    rises with `rising`.

    ``time_px`` = x0 [pixel], the column of the turned image, not of `roi_s`;
    ``width_px`` = w [pixel]; ``ampl_px`` = A, ``bkg_const`` = b [relative/pixel];
    ``bkg_slope`` = m [relative/pixel2] (without background the unit of the image
    instead of relative); ``sig_pj``: the average over the rows before the smoothing,
    NaN for columns without a pixel; ``err``: 1 to 4 fitted (MINPACK's number), 5 and
    more not converged, -1 the signal varies by less than `minContrast` of its mean,
    -2 the fit is no edge within `roi_s`, -3 too few columns, or less light than
    `minLight`; the numbers are NaN unless it is 1 to 4.  ``ttRaw``: the turned and cut
    image, float32.  Pixels that are masked, not finite, or whose background is not
    above 0 are left out.
    """

    name = Unicode("mectt", help="what the results are called: <name>_<key>")
    roi_s = RegionTrait(help="[[r0, r1], [c0, c1]] of the signal in the turned image")
    roi_n = RegionTrait(
        help="[[r0, r1], [c0, c1]] whose mean is made that of the background; none: all"
    )
    bkgfile = Unicode(
        help="background image: a .npy file, small data with its sum, or an average "
        "image saved as HDF5"
    )
    bkgdet = Unicode(help="name of the detector in bkgfile; none: this one")
    background = Instance(
        np.ndarray, allow_none=True, help="instead of bkgfile; the image"
    ).tag(file=False)
    tilt = Number(
        default_value=0.0, allow_none=False, within=(-180.0, 180.0), help="[deg]"
    )
    sm = Int(1, min=1, help="length of the moving average, odd [pixel]")
    sigma_TT = Number(
        default_value=18.0,
        allow_none=False,
        above=0,
        help="width of the edge that the fit starts with [pixel]",
    )
    minContrast = Number(
        default_value=0.03,
        allow_none=False,
        within=(0.0, np.inf),
        help="least difference of largest and smallest signal, as part of its mean",
    )
    minLight = Number(
        default_value=0.2,
        allow_none=False,
        within=(0.0, np.inf),
        help="least mean in roi_n, as part of the spread of its pixels: less is no "
        "light",
    )
    rising = Bool(False, help="the signal rises at the edge")
    ttRaw = Bool(False, help="store the turned and cut image")

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        if self.bkgfile and self.background is not None:
            raise ParameterError("give bkgfile or background, not both")
        if self.sm % 2 == 0:
            raise ParameterError(
                f"sm = {self.sm} must be odd, so that the average does not shift the "
                "edge"
            )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`.

        Raises
        ------
        ParameterError
            if there is no roi_s, or a region is not in the image or has no good
            pixels; if the detector has several panels, the background another shape
        FileError
            if the background cannot be read
        """
        super().setFromDet(det)
        if self.roi_s is None:
            raise ParameterError(
                f"{self.name!r} needs roi_s = [[r0, r1], [c0, c1]], where the signal is"
            )
        shape = (
            det.shape[1:] if len(det.shape) == 3 and det.shape[0] == 1 else det.shape
        )
        if len(shape) != 2:
            raise ParameterError(
                f"{self.name!r} works on a single image of rows and columns, and "
                f"{det.name!r} has the shape {det.shape}; choose a panel with a ROI"
            )
        self._shape = shape
        self._background = self._background_of(det)
        self._good = det.good.reshape(shape) & np.isfinite(self._background)
        self._signal = self._box("roi_s", det)
        self._norm = self._box("roi_n", det)
        self._where = self._turned_coordinates()
        self._seen = self._turned(self._good) > _WHOLE
        if not self._good[self._norm].any() or not self._seen.any():
            raise ParameterError(
                f"no pixel of {det.name!r} in roi_s = {self.roi_s} or in roi_n = "
                f"{self.roi_n} is good, or has a background above 0"
            )
        self._level = float(self._background[self._norm][self._good[self._norm]].mean())

    def _background_of(self, det: ImageSource) -> Image:
        """Return the background: NaN where it is not above 0; 1 if there is none."""
        given = self.background
        if self.bkgfile:
            detector = self.bkgdet or det.name
            given = read_array(
                "bkgfile",
                self.bkgfile,
                [path.format(detector) for path in _BACKGROUNDS],
            )
        if given is None:
            return np.ones(self._shape)
        if given.size != np.prod(self._shape) or given.shape[-2:] != self._shape:
            raise ParameterError(
                f"the background has the shape {given.shape}, but the images of "
                f"{det.name!r} have {self._shape}"
            )
        image = given.reshape(self._shape).astype(np.float64)
        return np.where(np.isfinite(image) & (image > 0), image, np.nan)

    def _box(self, name: str, det: ImageSource) -> tuple[slice, ...]:
        boxes = boxes_within(getattr(self, name), self._shape, det.name)
        if len(boxes) > 1:
            raise ParameterError(f"{name} = {getattr(self, name)} is not a single box")
        return tuple(slice(*pair) for pair in boxes[0])

    def _turned_coordinates(self) -> Image:
        """Return where in the image the pixels of `roi_s` are, (2, rows, columns)."""
        middle = (np.array(self._shape, np.float64) - 1) / 2
        row, column = np.mgrid[self._signal].astype(np.float64)
        row, column = row - middle[0], column - middle[1]
        sine, cosine = np.sin(np.deg2rad(self.tilt)), np.cos(np.deg2rad(self.tilt))
        return np.stack(
            [
                cosine * row + sine * column + middle[0],
                cosine * column - sine * row + middle[1],
            ]
        )

    def _turned(self, image: Array) -> Image:
        """Return the turned image in `roi_s`; 0 beyond the image."""
        from scipy.ndimage import map_coordinates

        turned: Image = map_coordinates(
            image.astype(np.float64, copy=False), self._where, order=1
        )
        return turned

    def _cut(self, image: Image, use: npt.NDArray[np.bool_]) -> Image:
        """Return the turned image in `roi_s`, NaN where a pixel is not used."""
        same = np.array_equal(use, self._good)
        seen = self._seen if same else self._turned(use) > _WHOLE
        return np.where(seen, self._turned(np.where(use, image, 0.0)), np.nan)

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters, the background and the columns of ``sig_pj``."""
        columns = np.arange(self._signal[1].start, self._signal[1].stop, dtype=float)
        axes: dict[str, Any] = {"columns": columns}
        if self._has_background:
            axes["background"] = self._background.astype(np.float32)
        return super().params_as_dict() | axes

    @property
    def _has_background(self) -> bool:
        return bool(self.bkgfile) or self.background is not None

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        unit = "" if self._has_background else self.source.unit
        slope, bend = f"{unit}/pixel".lstrip("/"), f"{unit}/pixel2"
        rows, columns = (cut.stop - cut.start for cut in self._signal)
        fields = {
            "sig_pj": Field(NUMBER, (columns,), unit, "signal along the columns"),
            "time_px": Field(NUMBER, (), "pixel", "column of the edge"),
            "width_px": Field(NUMBER, (), "pixel", "width of the edge, sigma"),
            "ampl_px": Field(NUMBER, (), slope, "height of the peak of the gradient"),
            "err": Field(INTEGER, (), "", "1 to 4 fitted, else not"),
            "bkg_const": Field(NUMBER, (), slope, "gradient beside the edge"),
            "bkg_slope": Field(NUMBER, (), bend, "slope of the gradient beside it"),
        }
        if self.ttRaw:
            raw = Field(
                np.dtype(np.float32), (rows, columns), unit, "image of the edge"
            )
            fields["ttRaw"] = raw
        return fields

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        image = data.reshape(self._shape).astype(np.float64)
        use = self._good & np.isfinite(image)
        image = self._cut(self._normalised(image, use), use)
        seen = np.isfinite(image)
        count = np.count_nonzero(seen, axis=0)
        total = np.where(seen, image, 0.0).sum(axis=0)
        line = np.divide(total, count, out=np.full(count.size, np.nan), where=count > 0)
        edge = self._edge(line)
        first = self._signal[1].start
        results = {
            "sig_pj": line,
            "time_px": first + edge.position,
            "width_px": edge.width,
            "ampl_px": edge.height,
            "err": edge.status,
            "bkg_const": edge.constant,
            "bkg_slope": edge.slope,
        }
        if self.ttRaw:
            results["ttRaw"] = image.astype(np.float32)
        return results

    def _normalised(self, image: Image, use: npt.NDArray[np.bool_]) -> Image:
        """Return the image over the background; NaN if there is no light for that."""
        if not self._has_background:
            return image
        level = image[self._norm][use[self._norm]]
        mean, spread = (level.mean(), level.std()) if level.size else (0.0, 0.0)
        lit = mean > 0 and mean >= self.minLight * spread
        return image / self._background / (mean / self._level if lit else np.nan)

    def _edge(self, line: Image) -> Edge:
        use = np.isfinite(line)
        smooth = moving_average(np.where(use, line, 0.0), use, self.sm)
        finite = smooth[np.isfinite(smooth)]
        if finite.size < 2:
            return Edge(NO_SIGNAL)
        if np.ptp(finite) <= self.minContrast * abs(finite.mean()):
            return Edge(NO_CONTRAST)
        slope = np.gradient(smooth)
        return fit_edge(slope if self.rising else -slope, self.sigma_TT)
