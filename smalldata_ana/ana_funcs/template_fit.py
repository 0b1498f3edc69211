"""A fit of pulses of a known shape to waveforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Int, Unicode

from smalldata_ana.ana_funcs.array_files import LineOrFile, read_array
from smalldata_ana.ana_funcs.beam_traits import Number
from smalldata_ana.ana_funcs.waveforms import INTEGER, NUMBER, WaveformFunc
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

Line = npt.NDArray[np.float64]

_DATASETS = ("template",)

_OVERLAP = 0.3
"""So much of the template's square must lie in the used samples for a first guess."""

_SIGNIFICANT = 5.0
"""A pulse must better the fit by the square of this, in units of its variance."""

NO_PULSE = -1
"""Value of the result ``status``; others are those of the least squares."""


class PulseShape:
    """A pulse that can be shifted by parts of a sample, with a maximum of 1.

    Parameters
    ----------
    template : (samples,), pulse that goes up from 0

    Attributes
    ----------
    samples : the pulse, float64
    top : the sample of its maximum

    Raises
    ------
    ParameterError
        if it has fewer than 4 samples, values that are not finite, or no maximum
        above 0
    """

    def __init__(self, template: Array) -> None:
        from scipy.interpolate import CubicSpline

        usable = template.ndim == 1 and template.size >= 4
        if not usable or not np.isfinite(template).all() or not template.max() > 0:
            raise ParameterError(
                "a template is a line of at least 4 finite samples, of a pulse that "
                f"goes up from 0; this one has the shape {template.shape}"
            )
        self.samples: Line = np.array(template / template.max(), np.float64)
        self.top = int(np.argmax(self.samples))
        self._spline = CubicSpline(np.arange(template.size), self.samples)

    def at(self, positions: Line, n: int) -> Line:
        """Return pulses with their maxima at some positions.

        Parameters
        ----------
        positions : of the maxima [samples]
        n : number of samples

        Returns
        -------
        (n, positions); 0 outside the template.
        """
        pulses = np.zeros((n, len(positions)))
        for pulse, position in zip(pulses.T, positions, strict=True):
            start = position - self.top
            begin = int(np.clip(np.ceil(start), 0, n))
            end = int(np.clip(np.floor(start + self.samples.size - 1) + 1, begin, n))
            pulse[begin:end] = self._spline(np.arange(begin, end) - start)
        return pulses


@register("templatefit")
class templateFitFunc(WaveformFunc):
    """Pulses of a known shape T: when they come, and how high they are.

    Positions p and amplitudes a minimise Σ (w(t) - b - Σ a·T(t - p))² over the samples.
    T is a cubic spline through the template, scaled to a maximum of 1 and 0 outside.
    The first guess of a pulse is the maximum of the correlation with the template, of
    each further one that of what the pulses before leave; then all positions are
    refined together (SciPy's `least_squares`), the amplitudes at each step being those
    of linear least squares.  The baseline b is the median in `bkg_roi`, else it is
    fitted.

    ``positions``: of the maximum of the template, growing [samples, or ns with
    `sampling`; the first sample is 0]; ``amplitudes``, ``baseline`` and ``residual``,
    the standard deviation of the waveform from the fit [unit of the waveform];
    ``status``: 1 to 4 fitted, 0 not converged, -1 no pulse.  A pulse counts if it is
    higher than `threshold` and the fit without it is worse by 5 standard deviations;
    NaN stands for those that are not found, at the end of the list.  Samples that are
    masked, not finite or saturated are left out.
    """

    name = Unicode("templateFit", help="what the results are called: <name>_<key>")
    template = LineOrFile(
        help="the pulse, going up from 0: numbers, or a .npy file, or an HDF5 file "
        "with the dataset 'template'"
    )
    nPeaks = Int(1, min=1, max=20, help="number of pulses to look for")
    threshold = Number(
        default_value=0.0,
        allow_none=False,
        within=(0.0, np.inf),
        help="least height of a pulse [unit of the waveform]",
    )
    saturation = Number(
        help="where the digitizer saturates, as the waveform says it; samples beyond "
        "saturationFraction of it are left out [unit of the waveform]"
    )
    saturationFraction = Number(
        default_value=0.98,
        allow_none=False,
        within=(0.01, 1.0),
        help="part of saturation from which on samples are left out",
    )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`.

        Raises
        ------
        ParameterError
            if the template is missing, no pulse, or longer than the waveforms
        FileError
            if the file of the template cannot be read
        """
        super().setFromDet(det)
        if self.template is None:
            raise ParameterError(
                f"{self.name!r} needs the template of a pulse: numbers, or a file"
            )
        given = self.template
        is_file = isinstance(given, str)
        samples = (
            read_array("template", given, _DATASETS) if is_file else np.array(given)
        )
        self._pulse = PulseShape(samples)
        if samples.size > det.shape[-1]:
            raise ParameterError(
                f"the template has {samples.size} samples, more than the "
                f"{det.shape[-1]} of {det.name!r}; cut it"
            )

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters, and the pulse with a maximum of 1, for the record."""
        return super().params_as_dict() | {"pulse": self._pulse.samples}

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        shape, unit = self.channels, self.source.unit
        pulses = (*shape, self.nPeaks)
        return {
            "positions": Field(NUMBER, pulses, self.time_unit, "times of the maxima"),
            "amplitudes": Field(NUMBER, pulses, unit, "heights of the pulses"),
            "baseline": Field(NUMBER, shape, unit, "baseline of the fit"),
            "residual": Field(NUMBER, shape, unit, "deviation from the fit"),
            "status": Field(INTEGER, shape, "", "1 to 4 fitted, 0 not, -1 no pulse"),
        }

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one event; as `DetObjectFunc.process`."""
        found = self.waveforms(data)
        use = found.use & ~self._saturated(data).reshape(found.use.shape)
        fits = [self._fit(*pair) for pair in zip(found.values, use, strict=True)]
        columns = (np.array(column) for column in zip(*fits, strict=True))
        positions, amplitudes, constant, residual, status = columns
        if self.bkg_roi is None:
            baseline = -constant if self.negative_signal else constant
        else:
            baseline = found.baseline
        results = {
            "positions": positions * self.period,
            "amplitudes": amplitudes,
            "baseline": baseline,
            "residual": residual,
            "status": status,
        }
        return {key: self.per_channel(value) for key, value in results.items()}

    def _saturated(self, data: Array) -> npt.NDArray[np.bool_]:
        if self.saturation is None:
            return np.zeros(data.shape, np.bool_)
        limit = self.saturationFraction * self.saturation
        saturated: npt.NDArray[np.bool_] = (
            data <= limit if self.negative_signal else data >= limit
        )
        return saturated

    def _fit(
        self, values: Line, use: npt.NDArray[np.bool_]
    ) -> tuple[Line, Line, float, float, int]:
        """Return positions, amplitudes, constant, residual and status of a waveform."""
        waveform = values[use]
        if waveform.size <= 2 * self.nPeaks + 1:
            nothing = np.full(self.nPeaks, np.nan)
            return nothing, nothing, np.nan, np.nan, NO_PULSE
        model = _Model(self._pulse, use, waveform, self.bkg_roi is None)
        positions, status = self._positions(model)
        coefficients, rest = model.solved(positions)
        order = np.argsort(positions)
        constant = float(coefficients[-1]) if self.bkg_roi is None else 0.0
        residual = float(np.sqrt(np.mean(rest**2)))
        found = self._filled(positions[order]), self._filled(coefficients[order])
        return *found, constant, residual, status

    def _positions(self, model: _Model) -> tuple[Line, int]:
        """Return the positions of the pulses, and the status of the last fit."""
        from scipy.optimize import least_squares

        positions, status = np.empty(0), NO_PULSE
        for n in range(1, self.nPeaks + 1):
            rest = model.solved(positions)[1]
            guess = model.best_guess(rest)
            if guess is None:
                break
            fit = least_squares(
                lambda p: model.solved(p)[1],
                np.append(positions, guess),
                bounds=(0, model.use.size - 1),
            )
            amplitudes = model.solved(fit.x)[0][:n]
            variance = 2 * fit.cost / (rest.size - 2 * n)
            gain = rest @ rest - 2 * fit.cost
            if (
                gain <= _SIGNIFICANT**2 * variance
                or (amplitudes <= self.threshold).any()
            ):
                break
            positions, status = fit.x, fit.status
        return positions, status

    def _filled(self, values: Line) -> Line:
        """Return values with NaN for the pulses that were not found."""
        return np.append(values, np.full(self.nPeaks - len(values), np.nan))


class _Model:
    """The pulses of one waveform, as a function of their positions.

    Parameters
    ----------
    pulse : the shape
    use : bool, (samples,)
    waveform : its samples that are used
    constant : whether a constant is fitted too
    """

    def __init__(
        self,
        pulse: PulseShape,
        use: npt.NDArray[np.bool_],
        waveform: Line,
        constant: bool,
    ) -> None:
        self.pulse, self.use, self.waveform = pulse, use, waveform
        self.constant = constant

    def solved(self, positions: Line) -> tuple[Line, Line]:
        """Return the best coefficients for some positions, and what is left over."""
        terms = self.pulse.at(positions, self.use.size)[self.use]
        if self.constant:
            terms = np.column_stack([terms, np.ones(len(terms))])
        if not terms.shape[1]:
            return np.empty(0), self.waveform
        coefficients = np.linalg.lstsq(terms, self.waveform, rcond=None)[0]
        rest = self.waveform - terms @ coefficients
        return np.asarray(coefficients, np.float64), np.asarray(rest, np.float64)

    def best_guess(self, rest: Line) -> int | None:
        """Return where one more pulse explains most of what is left over, if any."""
        from scipy.signal import correlate

        template, n = self.pulse.samples, self.use.size
        line, weight = np.zeros(n), self.use.astype(np.float64)
        line[self.use] = rest - np.median(rest) if self.constant else rest
        product = correlate(line, template)[template.size - 1 - self.pulse.top :][:n]
        square = correlate(weight, template**2)
        square = square[template.size - 1 - self.pulse.top :][:n]
        seen = (square > _OVERLAP * (template**2).sum()) & (product > 0)
        if not seen.any():
            return None
        gain = np.where(seen, product**2 / np.where(seen, square, 1.0), 0.0)
        return int(np.argmax(gain))
