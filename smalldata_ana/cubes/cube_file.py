"""The file of a cube: its datasets, filled bin after bin."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.cubes.axes import stored_name
from smalldata_ana.cubes.bin_sums import BinSums
from smalldata_ana.cubes.planning import CubePlan
from smalldata_ana.detector.det_object import DetObject, EventData
from smalldata_ana.detector.function_results import functions_as_dict
from smalldata_ana.detector.protocol import Array
from smalldata_ana.detector.sums import assembled_sums
from smalldata_ana.smalldata.compression import filters
from smalldata_ana.smalldata.configuration import (
    ConfigurationWriter,
    units_of,
    write_configuration,
)
from smalldata_ana.smalldata.nexus import Plot, write_plots

logger = logging.getLogger(__name__)

_PIXEL_ARRAYS = ("ped", "rms", "gain", "mask", "x", "y", "z", "ix", "iy")

SELECTION = "cubeSelection"
BIN_VARIABLE = "binVar"
"""What the only variable of a cube is called too, as in the files that users know."""


class CubeFile:
    """One file of a cube, open for writing.

    Parameters
    ----------
    file : the file
    plan : the cube
    output : which of the outputs it is
    gaps : detectors with pixels that lack values in some images
    compression : of the images, or None
    """

    def __init__(
        self,
        file: h5py.File,
        plan: CubePlan,
        output: int,
        gaps: frozenset[str],
        compression: str | None,
    ) -> None:
        self._file = file
        self._plan = plan
        self._output = output
        self._gaps = gaps
        self._filters = filters(compression)
        self._shape = plan.binning.shape
        for detector in plan.detectors:
            self._create(detector)

    def _create(self, detector: DetObject) -> None:
        """Create the datasets of a detector; what is not written costs no space."""
        name, unit = detector.name, detector.unit
        parameters = self._plan.parameters.of_detector(name)
        frame = detector.imgShape if parameters.image else detector.shape
        chunks = (*(1 for _ in (*self._shape, *frame[:-2])), *frame[-2:])

        def images(key: str, dtype: Any, unit: str, meaning: str) -> None:
            dataset = self._file.create_dataset(
                f"{name}_{key}",
                (*self._shape, *frame),
                dtype,
                chunks=chunks,
                **self._filters,
            )
            _describe(dataset, unit, meaning)
            dataset.attrs["interpretation"] = "image"

        images("data", np.float64, unit, f"sum of the images of {name} in each bin")
        if parameters.squares:
            images("square", np.float64, f"({unit})2", "sum of the squared pixels")
        if name in self._gaps:
            images("nEntries_pixel", np.int32, "", "number of values of each pixel")
        count = self._file.create_dataset(f"{name}_nEntries", self._shape, np.int64)
        _describe(count, "", f"number of images of {name} in each bin")
        for key, field in detector.fields.items():
            dataset = self._file.create_dataset(
                f"{name}_{key}",
                (*self._shape, *field.shape),
                field.dtype,
                fillvalue=field.missing().flat[0] if math.prod(field.shape) else None,
            )
            _describe(dataset, field.unit, field.long_name)

    def write_bin(self, number: int, sums: Mapping[str, BinSums]) -> None:
        """Write the sums of a bin, and what the functions find in its mean images."""
        where = tuple(int(i) for i in np.unravel_index(number, self._shape))
        for detector in self._plan.detectors:
            of_detector = sums[detector.name]
            self._file[f"{detector.name}_nEntries"][where] = of_detector.events
            if of_detector.events:
                self._write_images(detector, where, of_detector)
                self._write_results(detector, where, of_detector.mean())

    def _write_images(
        self, detector: DetObject, where: tuple[int, ...], sums: BinSums
    ) -> None:
        arrays: dict[str, Array] = {"data": sums.totals}
        if sums.squares.size:
            arrays["square"] = sums.squares
        if detector.name in self._gaps:
            arrays["nEntries_pixel"] = sums.counts
        image = self._plan.parameters.of_detector(detector.name).image
        for key, array in arrays.items():
            self._file[f"{detector.name}_{key}"][where] = (
                assembled_sums(array, detector.geometry, maximum=False)
                if image
                else array
            )

    def _write_results(
        self,
        detector: DetObject,
        where: tuple[int, ...],
        mean: npt.NDArray[np.float32],
    ) -> None:
        def failed(function: str, error: Exception) -> None:
            logger.warning(
                "%s/%s failed on the mean image of bin %s: %s",
                detector.name,
                function,
                where,
                error,
            )

        detector.forget()
        detector.evt = EventData(dat=mean)
        detector.processFuncs(failed)
        for key, value in detector.evt.results.items():
            self._file[f"{detector.name}_{key}"][where] = value

    # -- what is written once --------------------------------------------------------

    def finish(self, done: npt.NDArray[np.bool_], record: Mapping[str, Any]) -> None:
        """Write the bins, counts and summed variables, and how the cube was made.

        Parameters
        ----------
        done : (events of the binning,), True for those that were worked on
        record : what ``UserDataCfg/producer`` holds
        """
        self._write_axes()
        self._write_scalars(done)
        plan = self._plan
        file = self._file
        suffix = plan.binning.outputs[self._output]
        light = f"\nlightStatus/laser: {suffix}" if suffix else ""
        text = (plan.binning.selection + light).strip()
        file[SELECTION] = text
        file.attrs[SELECTION] = text
        writer = ConfigurationWriter(file)
        for detector in plan.detectors:
            values = {key: getattr(detector, key) for key in _PIXEL_ARRAYS}
            values |= {"calib_mask": detector.cmask, "good": detector.good}
            values |= {"common_mode": detector.common_mode}
            values |= functions_as_dict(detector.funcs)
            writer.write(f"{detector.name}_cfg", values, units_of(detector))
        write_configuration(file, plan.job.resolved, [], record)
        write_plots(file, self._plots())

    def _write_axes(self) -> None:
        for axis in self._plan.binning.axes:
            self._file[axis.key] = axis.centers
            self._file[f"{axis.key}_bins"] = axis.edges
            what = "values" if axis.exact else "middles"
            _describe(self._file[axis.key], axis.unit, f"{axis.name}, {what} of bins")
            edges = self._file[f"{axis.key}_bins"]
            _describe(edges, axis.unit, f"{axis.name}, edges of the bins")
        if len(self._plan.binning.axes) == 1:
            self._file[BIN_VARIABLE] = self._file[axis.key]
            self._file[f"{BIN_VARIABLE}_bins"] = self._file[f"{axis.key}_bins"]

    def _write_scalars(self, done: npt.NDArray[np.bool_]) -> None:
        """Write how many events each bin has, and the sums of variables over them."""
        binning = self._plan.binning
        slots = np.searchsorted(binning.ends, np.arange(len(done)), side="right")
        ours = done & (slots // binning.bins == self._output)
        bins = slots[ours] % binning.bins
        count = np.bincount(bins, minlength=binning.bins).reshape(self._shape)
        self._file["nEntries"] = count
        _describe(self._file["nEntries"], "", "number of events in each bin")
        for name, column in binning.added.items():
            values = column[ours]
            known = np.isfinite(values)
            total = self._summed(np.where(known, values, 0), bins)
            square = self._summed(np.where(known, values, 0) ** 2, bins)
            number = self._summed(known.astype(float), bins)
            with np.errstate(invalid="ignore", divide="ignore"):
                std = np.sqrt(np.maximum(square / number - (total / number) ** 2, 0))
            key, unit = stored_name(name), self._plan.fields[name].unit
            for path, array, unit_, meaning in (
                (self._key_of_sum(name), total, unit, f"sum of {name} in each bin"),
                (f"std_{key}", std, unit, f"standard deviation of {name}"),
                (f"{key}_nEntries", number, "", f"number of values of {name}"),
            ):
                self._file[path] = array
                _describe(self._file[path], unit_, meaning)

    def _key_of_sum(self, name: str) -> str:
        """Return the name of a sum: not that of the bins, if these are in it."""
        key = stored_name(name)
        return f"sum_{key}" if key in {a.key for a in self._plan.binning.axes} else key

    def _summed(self, values: Array, bins: npt.NDArray[np.int64]) -> Array:
        total = np.zeros((self._plan.binning.bins, *values.shape[1:]))
        np.add.at(total, bins, values)
        return total.reshape(*self._shape, *values.shape[1:])

    def _plots(self) -> list[Plot]:
        images = [
            f"{detector.name}_{key}"
            for detector in self._plan.detectors
            for key in [*detector.fields, "data"]
        ]
        numbers = ["nEntries", *map(self._key_of_sum, self._plan.binning.added)]
        return [Plot(key, [key], self._axes_of(key)) for key in [*images, *numbers]]

    def _axes_of(self, key: str) -> list[tuple[str, str]]:
        axes = [(axis.key, axis.key) for axis in self._plan.binning.axes]
        return [*axes, *[("", "")] * (self._file[key].ndim - len(axes))]


def _describe(dataset: h5py.Dataset, unit: str, meaning: str) -> None:
    texts = {"units": unit, "long_name": meaning}
    dataset.attrs.update({key: text for key, text in texts.items() if text})
