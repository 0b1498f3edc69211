"""Images as lists of what is not 0, and lists as images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from traitlets import Int, Unicode

from smalldata_ana.ana_funcs.base import DetObjectFunc, Passed
from smalldata_ana.ana_funcs.droplets import Droplets, Positions, panels_of
from smalldata_ana.detector.protocol import Array, Field, ImageSource, Length
from smalldata_ana.parameters.model import register

_FLOAT = np.dtype(np.float32)
_INDEX = np.dtype(np.int32)
_COUNT = np.dtype(np.int64)

_COLUMNS = {
    "data": (_FLOAT, "value"),
    "row": (_FLOAT, "row in the raw panel"),
    "col": (_FLOAT, "column in the raw panel"),
    "tile": (_INDEX, "panel"),
    "npix": (_INDEX, "number of pixels"),
}
"""Type and description of each column that a list may have."""


@register("sparsify")
class sparsifyFunc(DetObjectFunc):
    """A list of what an image, droplets or photon positions consist of.

    Results, one value for each entry: ``data`` (the pixel, the sum of the droplet, or
    1 for a photon), ``row``, ``col`` and ``tile`` (raw indices in the detector; an
    integer is the centre of a pixel), and of droplets ``npix``.  Of an image these are
    the good and finite pixels that are not 0.

    How they are stored is `nData`: None, in one long vector for all events, with the
    number of each event (``var_<name>/...``); 0, as an array for each event
    (``ragged_<name>_...``); a number, in so many columns.  There, ``n`` is how many
    there were; if they are less, the rest is 0, if they are more, those with the
    largest indices are left out and ``truncated`` is 1.

    The whole list is passed on; see `unsparsifyFunc`.
    """

    takes = (Passed.IMAGE, Passed.DROPLETS, Passed.POSITIONS)
    passes = Passed.POSITIONS

    name = Unicode("sparse", help="what the results are called: <name>_<key>")
    nData = Int(
        None,
        allow_none=True,
        min=0,
        help="entries of an event that are stored; default: all, in one long vector; "
        "0: all, as an array for each event",
    )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for a source; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        self._panels = panels_of(det.shape, self.name)
        above = det.passes if isinstance(det, DetObjectFunc) else Passed.IMAGE
        self._of_droplets = above is Passed.DROPLETS

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        units = {"data": self.source.unit, "row": "pixel", "col": "pixel"}
        length = Length.VARIABLE if self.nData is None else Length.RAGGED
        fields = {
            key: Field(
                dtype,
                (self.nData,) if self.nData else (),
                units.get(key, ""),
                long_name=text,
                length=Length.FIXED if self.nData else length,
            )
            for key, (dtype, text) in _COLUMNS.items()
            if key != "npix" or self._of_droplets
        }
        if self.nData:
            fields |= {
                "n": Field(_COUNT, long_name="number of entries that there were"),
                "truncated": Field(_COUNT, long_name="1: some are left out"),
            }
        return fields | self.describe_chained()

    def process(self, data: Array | Droplets | Positions) -> dict[str, Any]:
        """List the entries of one image, or of what was found in it."""
        entries = self._of_image(data) if isinstance(data, np.ndarray) else data
        results: dict[str, Any] = {
            key: values.astype(_COLUMNS[key][0])
            for key, values in entries.columns().items()
        }
        if self.nData:
            found = results["data"].size
            results = {key: _cut(values, self.nData) for key, values in results.items()}
            results |= {"n": found, "truncated": int(found > self.nData)}
        return results | self.pass_on(self._positions(entries))

    def _of_image(self, image: Array) -> Positions:
        """Return the good pixels that are not 0."""
        counts = self.source.good & (image != 0) & np.isfinite(image)
        pixel = np.flatnonzero(counts).astype(np.int32)
        panel, row, column = np.unravel_index(pixel, self._panels)
        first = self.source.first
        return Positions(
            data=image.reshape(-1)[pixel],
            row=row + float(first[1]),
            column=column + float(first[2]),
            panel=(panel + first[0]).astype(np.int32),
            pixel=pixel,
        )

    def _positions(self, entries: Droplets | Positions) -> Positions:
        """Return the entries with the pixels that are nearest to them."""
        if isinstance(entries, Positions):
            return entries
        first = self.source.first
        axes = (entries.panel, entries.row, entries.column)
        nearest = [
            np.floor(axis - begin + 0.5).astype(np.int64)
            for axis, begin in zip(axes, first, strict=True)
        ]
        pixel = np.ravel_multi_index(nearest, self._panels).astype(np.int32)
        return Positions(entries.adu, entries.row, entries.column, entries.panel, pixel)


@register("unsparsify")
class unsparsifyFunc(DetObjectFunc):
    """The image that a list of positions makes: the opposite of `sparsifyFunc`.

    Each pixel is the sum of ``data`` of the positions that it is nearest to: of the
    photons of `droplet2Photons` it is their number.  There are no results; the image
    (float32, shape of the detector or region) is passed on.
    """

    takes = (Passed.POSITIONS,)
    passes = Passed.IMAGE

    name = Unicode("dense", help="what the results are called: <name>_<key>")

    @property
    def noise(self) -> None:
        """The noise of what is passed on: not known."""

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        return self.describe_chained()

    def process(self, data: Positions) -> dict[str, Any]:
        """Make the image of one list."""
        size = math.prod(self.shape)
        image = np.bincount(data.pixel, data.data, minlength=size)
        return self.pass_on(image.reshape(self.shape).astype(np.float32))


def _cut(values: Array, size: int) -> Array:
    """Return the first values, and zeros up to `size`."""
    cut = np.zeros(size, values.dtype)
    cut[: values.size] = values[:size]
    return cut
