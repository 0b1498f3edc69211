"""Intensities of several pulses in a waveform, from the shapes of a single pulse."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Enum, Int, Unicode

from smalldata_ana.ana_funcs.array_files import LineTrait
from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.beam_traits import Number
from smalldata_ana.ana_funcs.waveform_basis import WaveformBasis
from smalldata_ana.ana_funcs.waveforms import (
    NUMBER,
    check_waveforms,
    medians,
    samples_of,
)
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import register

Lines = npt.NDArray[np.float64]

_INTENSITIES = {
    "max": {"intensities": "largest sample of the pulse"},
    "norm": {"intensities": "norm of the coefficients"},
    "both": {
        "intensities_max": "largest sample of the pulse",
        "intensities_norm": "norm of the coefficients",
    },
}
"""The results that each mode has."""

_WORST_CONDITION = 1e6
"""Of the shapes of all pulses; pulses that are worse cannot be told apart."""


@register("svdfit")
class SvdFit(DetObjectFunc):
    """Intensities of one or several pulses in a waveform.

    The waveform above the median of the background is fitted by the first
    `n_components` shapes of a basis for each pulse, shifted by the pulse's delay
    (linear between samples, 0 before the first sample of the basis):
    w(t) = Σ_k Σ_c a_kc·u_c(t - d_k), by linear least squares.  `make_basis` makes the
    basis from waveforms of single pulses.

    ``intensities`` of the pulses: the largest sample of the fitted pulse, with its
    sign, or the norm √Σ_c a_kc² of its coefficients (`mode`; with ``both`` they are
    ``intensities_max`` and ``intensities_norm``) [unit of the waveform].  ``score``:
    R² = 1 - Σ (w - fit)² / Σ (w - mean w)².  ``coefficients`` a_kc, (pulses,
    components) [unit of the waveform].  ``reconstructed``: the fit, in the samples of
    the basis [unit of the waveform].  Samples that are masked or not finite are left
    out; if too few are left, or no background, all is NaN.
    """

    name = Unicode("svdFit", help="what the results are called: <name>_<key>")
    basis_file = Unicode(help="HDF5 file with the basis, written by make_basis")
    n_components = Int(2, min=1, help="number of shapes for a pulse")
    n_pulse = Int(1, min=1, help="number of pulses")
    delay = LineTrait(
        default_value=(),
        help="of the second and each further pulse after the first [ns with sampling, "
        "else samples]",
    )
    sampling = Number(above=0, help="time between two samples [ns]")
    mode = Enum(
        tuple(_INTENSITIES), "max", help="what the intensity is: max, norm or both"
    )
    return_reconstructed = Bool(False, help="store the fit")

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`.

        Raises
        ------
        ParameterError
            if there are not as many delays as pulses; if the basis does not fit the
            waveforms, has too few components, or pulses are so close that they cannot
            be told apart
        FileError
            if the basis cannot be read
        """
        super().setFromDet(det)
        check_waveforms(self.name, det)
        if len(self.delay) != self.n_pulse - 1:
            raise ParameterError(
                f"delay = {list(self.delay)} must be {self.n_pulse - 1} numbers for "
                f"n_pulse = {self.n_pulse}: one for each pulse after the first"
            )
        basis = self._basis(det)
        self._channel = (basis.channel or 0,) if len(det.shape) > 1 else ()
        self._roi = samples_of("roi of the basis", list(basis.roi), det)
        self._background = basis.background_roi
        if basis.background_roi is not None:
            samples_of("background_roi of the basis", list(basis.background_roi), det)
        self._good = det.good[self._channel]
        self._shapes = self._shifted(basis.components[: self.n_components])
        self._terms = self._shapes.reshape(-1, self._shapes.shape[-1]).T.copy()
        self._check_terms(det)
        self._usual = self._good[self._roi]
        self._solver = np.linalg.pinv(self._terms[self._usual])

    def _basis(self, det: ImageSource) -> WaveformBasis:
        if not self.basis_file:
            raise ParameterError(
                f"{self.name!r} needs basis_file; make_basis writes it from waveforms "
                "of single pulses"
            )
        basis = WaveformBasis.load(self.basis_file)
        if self.n_components > len(basis.components):
            raise ParameterError(
                f"n_components = {self.n_components}, but {self.basis_file} has "
                f"{len(basis.components)}"
            )
        channels = det.shape[0] if len(det.shape) > 1 else 1
        if (basis.channel or 0) >= channels:
            raise ParameterError(
                f"{self.basis_file} is for channel {basis.channel}, and {det.name!r} "
                f"has {channels}, counted from 0"
            )
        if basis.channel is None and channels > 1:
            raise ParameterError(
                f"{self.basis_file} does not say for which of the {channels} channels "
                f"of {det.name!r} it is; make it with channel=…"
            )
        return basis

    def _shifted(self, components: Lines) -> Lines:
        """Return the components for each pulse, (pulses, components, samples)."""
        period = 1.0 if self.sampling is None else self.sampling
        samples = np.arange(components.shape[1], dtype=np.float64)
        return np.array(
            [
                [np.interp(samples - d / period, samples, c, 0, 0) for c in components]
                for d in (0.0, *self.delay)
            ]
        )

    def _check_terms(self, det: ImageSource) -> None:
        used = self._terms[self._good[self._roi]]
        if used.shape[0] <= used.shape[1]:
            raise ParameterError(
                f"{used.shape[0]} good samples of {det.name!r} are not enough for "
                f"{used.shape[1]} shapes"
            )
        if not np.linalg.cond(used) < _WORST_CONDITION:
            raise ParameterError(
                f"delay = {self.delay}: the pulses cannot be told apart, or do not lie "
                "in the samples of the basis; choose other delays or fewer components"
            )

    def params_as_dict(self) -> dict[str, Any]:
        """Return the parameters, and the shapes of the first pulse, for the record."""
        return super().params_as_dict() | {"components": self._shapes[0]}

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        unit, pulses = self.source.unit, self.n_pulse
        fields = {
            key: Field(NUMBER, (pulses,), unit, text)
            for key, text in _INTENSITIES[self.mode].items()
        }
        fields["score"] = Field(NUMBER, (), "", "R² of the fit")
        fields["coefficients"] = Field(
            NUMBER, (pulses, self.n_components), unit, "of the shapes of each pulse"
        )
        if self.return_reconstructed:
            samples = (len(self._terms),)
            fields["reconstructed"] = Field(
                np.dtype(np.float32), samples, unit, "fitted waveform"
            )
        return fields

    def process(self, data: Array) -> dict[str, Any]:
        """Compute the results of one event; as `DetObjectFunc.process`."""
        values = data[self._channel].astype(np.float64)
        use = self._good & np.isfinite(values)
        if self._background is not None:
            background = slice(*self._background)
            values = values - medians(values[None], use[None], background)
        waveform = values[self._roi]
        coefficients = self._coefficients(waveform, use[self._roi])
        results = self._intensities(coefficients)
        fit = self._terms @ coefficients.ravel()
        results["score"] = _score(waveform, fit, use[self._roi])
        results["coefficients"] = coefficients
        if self.return_reconstructed:
            results["reconstructed"] = fit.astype(np.float32)
        return results

    def _coefficients(self, waveform: Lines, use: npt.NDArray[np.bool_]) -> Lines:
        """Return the coefficients (pulses, components) of least squares."""
        shape = self._shapes.shape[:2]
        if np.array_equal(use, self._usual):
            return np.asarray(self._solver @ waveform[use]).reshape(shape)
        found = np.full(shape, np.nan)
        terms, values = self._terms[use], waveform[use]
        if len(terms) > terms.shape[1] and np.isfinite(values).all():
            solution, _, rank, _ = np.linalg.lstsq(terms, values, rcond=None)
            if rank == terms.shape[1]:
                found[...] = solution.reshape(shape)
        return found

    def _intensities(self, coefficients: Lines) -> dict[str, Any]:
        pulses = np.einsum("kc,kcs->ks", coefficients, self._shapes)
        largest = np.abs(pulses).argmax(axis=1)
        maxima = pulses[np.arange(self.n_pulse), largest]
        norms = np.linalg.norm(coefficients, axis=1)
        values = {"max": [maxima], "norm": [norms], "both": [maxima, norms]}[self.mode]
        return dict(zip(_INTENSITIES[self.mode], values, strict=True))


def _score(waveform: Lines, fit: Lines, use: npt.NDArray[np.bool_]) -> float:
    """Return R², NaN for a waveform without any variation."""
    values = waveform[use]
    if not values.size:
        return np.nan
    variation = float(((values - values.mean()) ** 2).sum())
    rest = float(((values - fit[use]) ** 2).sum())
    return 1 - rest / variation if variation else np.nan
