"""Marks a small-data file as NeXus, so that viewers open it with its plots.

The group ``entry`` is an ``NXentry`` with an ``NXdata`` for each plot: links to the
datasets, which stay where users know them.  Axes become dimension scales of HDF5.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import h5py
import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.sums import COUNT
from smalldata_ana.smalldata.layout import CONFIGURATION, SUMS, TIMESTAMP

ENTRY = "entry"
TIME = f"{ENTRY}/time"

_AXES = ("q", "r", "phi", "az", "columns")
"""Axes that functions record beside their parameters, one value for each bin."""


Axes = Sequence[tuple[str, str]]
"""Name and path of the axis of each dimension; an empty path: it has none."""


@dataclass(frozen=True)
class _Result:
    """What a function gives for each event, with the axes of one event.

    ``stamps`` is the path of the timestamps of these events.
    """

    detector: str
    function: str
    dataset: h5py.Dataset
    axes: Axes
    stamps: str

    @property
    def path(self) -> str:
        """Its path in the file."""
        return f"{self.detector}/{self.dataset.name.rsplit('/', 1)[-1]}"

    @property
    def time(self) -> tuple[str, str]:
        """Name and path of its first axis."""
        return "time", _time_of(self.stamps)


@dataclass(frozen=True)
class Plot:
    """What an ``NXdata`` shows, all by the paths of datasets.

    Attributes
    ----------
    name : of its group
    signals : what is drawn; all but the first are auxiliary
    axes : of all dimensions; empty: no dimension has one
    """

    name: str
    signals: Sequence[str]
    axes: Axes = ()


def mark(file: h5py.File) -> None:
    """Add the plots and the dimension scales to a complete small-data file.

    There are the azimuthal averages and other curves against their axes, the numbers
    that the functions give for each event against the time, and the sums as images.

    Parameters
    ----------
    file : open for writing, with its datasets and ``UserDataCfg``
    """
    results = list(_results(file))
    _attach_scales(file, results)
    _write_times(file, {TIMESTAMP, *(result.stamps for result in results)})
    write_plots(file, [*_curves(results), *_sums(file), *_numbers(results)])


def write_plots(file: h5py.File, plots: Iterable[Plot]) -> None:
    """Add an ``NXentry`` with some plots, the first of which is shown first.

    Parameters
    ----------
    file : open for writing
    plots : of datasets that it has
    """
    entry = file.require_group(ENTRY)
    _say(file, NX_class="NXroot", default=ENTRY)
    _say(entry, NX_class="NXentry")
    names = [_write(entry, plot) for plot in plots]
    if names:
        _say(entry, default=names[0])


def _say(group: h5py.Group, **attributes: object) -> None:
    group.attrs.update(attributes)


def _time_of(stamps: str) -> str:
    """Return the path of the times for the timestamps at a path.

    A detector that is slower than the run has timestamps, and times, of its own.
    """
    return "_".join([TIME, *stamps.split("/")[:-1]])


def _write_times(file: h5py.File, stamps: Iterable[str]) -> None:
    """Write the times of events, which viewers can draw against.

    Parameters
    ----------
    file : open for writing
    stamps : paths of their timestamps
    """
    begin = next(iter(_nanoseconds(file[TIMESTAMP])), 0)
    for path in sorted(stamps):
        seconds = (_nanoseconds(file[path]) - begin) / 1e9
        time = file.create_dataset(_time_of(path), data=seconds)
        time.attrs["units"] = "s"
        time.attrs["long_name"] = "time since the first event of the run"


def _nanoseconds(stamps: h5py.Dataset) -> npt.NDArray[np.int64]:
    values: npt.NDArray[np.int64] = stamps[()]
    return (values >> 32) * 10**9 + (values & 0xFFFFFFFF)


def _write(entry: h5py.Group, plot: Plot) -> str:
    """Write a plot, and return the name of its group."""
    # Detector ``a`` with function ``b_c`` is called as detector ``a_b`` with ``c``.
    others = (f"{plot.name}_{n}" for n in itertools.count(2))
    free = next(n for n in itertools.chain([plot.name], others) if n not in entry)
    group = entry.create_group(free)
    names = [path.rsplit("/", 1)[-1] for path in plot.signals]
    for name, path in [*zip(names, plot.signals, strict=True), *plot.axes]:
        if path:
            group[name] = h5py.SoftLink(f"/{path}")
    _say(group, NX_class="NXdata", signal=names[0])
    if len(names) > 1:
        _say(group, auxiliary_signals=names[1:])
    if plot.axes:
        _say(group, axes=[name if path else "." for name, path in plot.axes])
    return free


# -- what there is to plot -------------------------------------------------------------


def _detectors(file: h5py.File) -> Iterator[str]:
    """Yield the detectors that have results and a configuration."""
    for name in file.get(CONFIGURATION, ()):
        if isinstance(file[CONFIGURATION][name], h5py.Group) and name in file:
            yield name


def _functions(file: h5py.File, detector: str) -> dict[str, dict[str, str]]:
    """Return the functions of a detector with the paths of their axes.

    A function that is chained to another is called ``<function>_<chained>``, like its
    results.
    """
    found: dict[str, dict[str, str]] = {}
    group = f"{CONFIGURATION}/{detector}"
    for key in file[group]:
        outer, separator, rest = key.partition("__")
        if not separator or not rest.endswith("_name"):
            continue
        inner = rest.removesuffix("_name")
        name = outer if inner == outer else f"{outer}_{inner}"
        paths = {axis: f"{group}/{outer}__{inner}_{axis}" for axis in _AXES}
        found[name] = {axis: path for axis, path in paths.items() if path in file}
    return found


def _results(file: h5py.File) -> Iterator[_Result]:
    """Yield the results with a row for each event."""
    for detector in _detectors(file):
        functions = _functions(file, detector)
        own = f"{detector}/{TIMESTAMP}"
        stamps = own if own in file else TIMESTAMP
        longest = sorted(functions, key=len, reverse=True)
        for key, dataset in file[detector].items():
            owner = next((f for f in longest if key.startswith(f"{f}_")), None)
            if owner is not None and _by_event(file[stamps], dataset):
                axes = _axes_of(dataset, functions[owner], file)
                yield _Result(detector, owner, dataset, axes, stamps)


def _by_event(stamps: h5py.Dataset, dataset: h5py.Dataset | h5py.Group) -> bool:
    return (
        isinstance(dataset, h5py.Dataset)
        and dataset.dtype.kind in "iuf"
        and dataset.shape[:1] == stamps.shape
    )


def _curves(results: Iterable[_Result]) -> Iterator[Plot]:
    """Yield the results of which at least the last dimension has an axis."""
    for result in results:
        if result.axes and result.axes[-1][1]:
            name = result.path.replace("/", "_")
            yield Plot(name, [result.path], [result.time, *result.axes])


def _axes_of(
    dataset: h5py.Dataset, known: Mapping[str, str], file: h5py.File
) -> list[tuple[str, str]]:
    """Return name and path of the axis of each dimension of an event, by its length."""
    axes = []
    left = dict(known)
    for length in dataset.shape[1:]:
        fitting = [axis for axis, path in left.items() if file[path].shape == (length,)]
        # In ``(phi, q)`` of equal length, the last in `_AXES` is the first dimension.
        name = fitting[-1] if fitting else ""
        axes.append((name, left.pop(name, "")))
    return axes


def _numbers(results: Iterable[_Result]) -> Iterator[Plot]:
    """Yield the numbers of each function, those of the same unit in one plot."""
    together: dict[tuple[str, str, str], list[_Result]] = {}
    for result in results:
        if result.dataset.ndim == 1:
            unit = result.dataset.attrs.get("units", "")
            key = result.detector, result.function, unit
            together.setdefault(key, []).append(result)
    for (detector, function, _), alike in together.items():
        signals = [result.path for result in alike]
        yield Plot(f"{detector}_{function}", signals, [alike[0].time])


def _sums(file: h5py.File) -> Iterator[Plot]:
    """Yield the sums, as images."""
    for key, dataset in file.get(SUMS, {}).items():
        if not key.endswith(COUNT) and dataset.ndim >= 2:
            dataset.attrs["interpretation"] = "image"
            yield Plot(f"{SUMS}_{key}", [f"{SUMS}/{key}"])


# -- dimension scales ------------------------------------------------------------------


def _attach_scales(file: h5py.File, results: Iterable[_Result]) -> None:
    """Make the axes dimension scales of the datasets that have them."""
    for dataset, stamps in _datasets_by_event(file):
        _attach(dataset, 0, stamps, TIMESTAMP)
    for result in results:
        for number, (name, path) in enumerate(result.axes, start=1):
            if path:
                _attach(result.dataset, number, file[path], name)


def _attach(
    dataset: h5py.Dataset, dimension: int, scale: h5py.Dataset, name: str
) -> None:
    if not scale.is_scale:
        scale.make_scale(name)
    dataset.dims[dimension].attach_scale(scale)


def _datasets_by_event(
    file: h5py.File,
) -> Sequence[tuple[h5py.Dataset, h5py.Dataset]]:
    """Return the datasets with a row for each event, and the timestamps of these.

    The timestamps are those of its group, or of the next one above that has some.
    """
    found: list[tuple[h5py.Dataset, h5py.Dataset]] = []

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        groups = PurePosixPath(name).parents
        if name.partition("/")[0] in {CONFIGURATION, SUMS}:
            return
        stamps = next(file[p] for g in groups if (p := f"{g}/{TIMESTAMP}") in file)
        if item != stamps and _by_event(stamps, item):
            found.append((item, stamps))

    file.visititems(collect)
    return found
