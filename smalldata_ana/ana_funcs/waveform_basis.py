"""Bases of waveforms: the shapes of a single pulse, from reference waveforms.

============================  ====================================================
HDF5 file                     attribute ``schema`` = ``smalldata-ana-waveforms/1``
============================  ====================================================
``components``                (components, samples), orthonormal, the strongest
                              first
``singular_values``           of all reference waveforms, falling
``roi``, ``background_roi``   [begin, end) of the pulse, and of samples without one;
                              the latter may be missing
``channel``                   of the digitizer; missing for a single waveform
============================  ====================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.ana_funcs.waveforms import medians
from smalldata_ana.errors import FileError, NoDataError, ParameterError
from smalldata_ana.safe_files import make_folder, replacing

SCHEMA = "smalldata-ana-waveforms/1"

Lines = npt.NDArray[np.float64]
Range = tuple[int, int]


@dataclass(frozen=True, eq=False)
class WaveformBasis:
    """The shapes of which the waveform of a single pulse is made.

    Attributes
    ----------
    components : float64, (components, samples), orthonormal, the strongest first
    singular_values : float64, of all reference waveforms, falling
    roi : samples [begin, end) of the waveform that the components are for
    background_roi : samples [begin, end) whose median is subtracted, or None
    channel : of the digitizer, or None for a single waveform
    """

    components: Lines
    singular_values: Lines
    roi: Range
    background_roi: Range | None = None
    channel: int | None = None

    def __post_init__(self) -> None:
        shape, (begin, end) = self.components.shape, self.roi
        if len(shape) != 2 or not shape[0] or shape[1] != end - begin:
            raise ParameterError(
                f"components have the shape {shape}; for roi = [{begin}, {end}] it is "
                f"(components, {end - begin})"
            )
        if not np.isfinite(self.components).all():
            raise ParameterError("components of a basis must be finite")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the basis to a file; one that is there is replaced.

        Raises
        ------
        FileError
            if it cannot be written
        """
        path = Path(path).expanduser().absolute()
        make_folder(path.parent)
        with replacing(path) as aside, h5py.File(aside, "w") as file:
            file.attrs["schema"] = SCHEMA
            for name, value in vars(self).items():
                if value is not None:
                    file[name] = value
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a basis that `save` wrote.

        Raises
        ------
        FileError
            if there is no such file, or it holds no basis
        """
        path = Path(path).expanduser()
        if not path.is_file():
            raise FileError(f"there is no file {path}; make_basis makes one")
        try:
            with h5py.File(path, "r") as file:
                schema = file.attrs.get("schema", "none")
                if schema != SCHEMA:
                    raise FileError(
                        f"{path} is no basis of waveforms: its schema is {schema!r}, "
                        f"not {SCHEMA!r}"
                    )
                return cls(
                    file["components"][()].astype(np.float64),
                    file["singular_values"][()].astype(np.float64),
                    _range(file["roi"][()]),
                    _range(file["background_roi"][()])
                    if "background_roi" in file
                    else None,
                    int(file["channel"][()]) if "channel" in file else None,
                )
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise FileError(
                f"{path} cannot be read as a basis of waveforms: {error}"
            ) from error


def _range(values: npt.NDArray[Any]) -> Range:
    begin, end = (int(value) for value in values)
    return begin, end


def make_basis(
    waveforms: npt.NDArray[Any],
    path: str | os.PathLike[str] | None = None,
    *,
    n_components: int = 10,
    roi: Range | None = None,
    background_roi: Range | None = None,
    channel: int | None = None,
) -> WaveformBasis:
    """Make a basis of reference waveforms, each of them of a single pulse.

    The components are the first right singular vectors of the waveforms, each with its
    largest sample above 0.  They are not centred, so that they describe the waveforms
    and not only how these differ.  Events with samples that are not finite are left
    out.

    Parameters
    ----------
    waveforms : (events, samples), or (events, channels, samples) with `channel`
    path : the file to write the basis to; None: it is not written
    n_components : how many components to keep, at most
    roi : samples [begin, end) of the pulse; default: all
    background_roi : samples [begin, end) without a pulse, whose median is subtracted
    channel : of the digitizer

    Raises
    ------
    ParameterError
        if the waveforms have another shape, or a range is not inside them
    NoDataError
        if no event is left, or all are 0
    FileError
        if the file cannot be written
    """
    if n_components < 1:
        raise ParameterError(f"n_components = {n_components} must be at least 1")
    references = _references(np.asarray(waveforms), channel)
    n = references.shape[1]
    for name, samples in {"roi": roi, "background_roi": background_roi}.items():
        if samples is not None and not 0 <= samples[0] < samples[1] <= n:
            raise ParameterError(
                f"{name} = {list(samples)} does not lie in waveforms of {n} samples"
            )
    begin, end = roi or (0, n)
    if background_roi is not None:
        use = np.ones(references.shape, np.bool_)
        references = (
            references - medians(references, use, slice(*background_roi))[:, None]
        )
    _, strength, shapes = np.linalg.svd(references[:, begin:end], full_matrices=False)
    rank = int(np.count_nonzero(strength > strength[0] * 1e-12)) if strength[0] else 0
    if not rank:
        raise NoDataError(
            "the reference waveforms are all 0; choose events with a pulse"
        )
    shapes = shapes[: min(n_components, rank)]
    largest = np.take_along_axis(shapes, np.abs(shapes).argmax(axis=1)[:, None], axis=1)
    basis = WaveformBasis(
        shapes * np.sign(largest), strength, (begin, end), background_roi, channel
    )
    if path is not None:
        basis.save(path)
    return basis


def _references(waveforms: npt.NDArray[Any], channel: int | None) -> Lines:
    """Return the finite waveforms of the channel, float64 (events, samples)."""
    axes = 2 if channel is None else 3
    if waveforms.ndim != axes:
        raise ParameterError(
            f"waveforms have the shape {waveforms.shape}; they must be (events, "
            "samples), or (events, channels, samples) with channel=…"
        )
    if channel is not None:
        if not 0 <= channel < waveforms.shape[1]:
            raise ParameterError(
                f"channel = {channel}, but the waveforms have {waveforms.shape[1]} "
                "channels, counted from 0"
            )
        waveforms = waveforms[:, channel]
    finite = waveforms[np.isfinite(waveforms).all(axis=1)]
    if not finite.size:
        raise NoDataError(
            f"none of {len(waveforms)} reference waveforms has only finite samples"
        )
    return np.asarray(finite, np.float64)
