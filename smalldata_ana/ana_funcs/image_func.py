"""The assembled image of each event."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from traitlets import Bool, Instance, Unicode

from smalldata_ana.ana_funcs.base import DetObjectFunc, Passed
from smalldata_ana.ana_funcs.droplets import good_with
from smalldata_ana.ana_funcs.thresholds import as_floats
from smalldata_ana.ana_funcs.traits import WholeNumbersTrait
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.protocol import Array, Field, ImageSource
from smalldata_ana.errors import GeometryError, ParameterError
from smalldata_ana.parameters.model import register
from smalldata_ana.sources.base import PixelPositions

Indices = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Layout:
    """Which pixel of an image each good pixel of a frame falls into.

    Attributes
    ----------
    shape : of the image
    target, together, place : as in `image_kernels.draw`
    """

    shape: tuple[int, int]
    target: Indices
    together: Indices
    place: Indices

    @classmethod
    def of(cls, target: Indices, good: Mask, shape: tuple[int, int]) -> Self:
        """Lay pixels out.

        Parameters
        ----------
        target : flat index in the image of each pixel of a frame, (pixels,)
        good : (pixels,)
        shape : of the image
        """
        from smalldata_ana.ana_funcs.image_kernels import UNUSED

        number = np.zeros(math.prod(shape), np.int32)
        np.add.at(number, target[good], 1)
        together = np.flatnonzero(good & (number[target] > 1)).astype(np.int32)
        together = together[np.argsort(target[together], kind="stable")]
        used = np.where(good, target, np.int32(UNUSED))
        return cls(shape, used, together, target[together])

    @property
    def good(self) -> Mask:
        """Pixels of the image that show a good pixel."""
        return np.isfinite(self.draw(np.zeros(self.target.shape), mean=False))

    def draw(self, frame: Array, *, mean: bool) -> npt.NDArray[np.float32]:
        """Return the image of a frame, NaN where there is no good and finite pixel."""
        from smalldata_ana.ana_funcs.image_kernels import draw

        image = np.empty(math.prod(self.shape), np.float32)
        flat = np.ascontiguousarray(as_floats(frame)).reshape(-1)
        draw(flat, self.target, self.together, self.place, mean, image)
        return image.reshape(self.shape)


@register("image")
class imageFunc(DetObjectFunc):
    """The assembled image, of the good pixels.

    Result: ``img`` (float32, in the image's unit; NaN in gaps and where no pixel is
    good and finite), unless `writeArea` is off.  The image is drawn as everywhere in
    this package: rows grow along x of the psana frame, columns along y
    (`ImageGeometry`).  Where the panels are turned, several pixels may fall into one of
    the image, which has their mean, or their sum if `normalize` is off.

    Instead of the detector's positions, `ix` and `iy` can be given: row and column in
    the image of each pixel.

    Other functions can be chained to it: they get the image.  Photons and droplets are
    drawn by chaining it to `sparsifyFunc` and `unsparsifyFunc`.
    """

    passes = Passed.IMAGE

    name = Unicode("image", help="what the results are called: <name>_<key>")
    normalize = Bool(
        True, help="mean of the pixels that fall into one of the image; else their sum"
    )
    writeArea = Bool(True, help="store the image")
    ix = Instance(
        np.ndarray,
        allow_none=True,
        help="row in the image of each pixel, whole numbers, shape of the detector",
    ).tag(file=False)
    iy = Instance(np.ndarray, allow_none=True, help="column in the image; as ix").tag(
        file=False
    )
    imgShape = WholeNumbersTrait(
        None,
        allow_none=True,
        help="shape of the image for ix and iy; none: as large as they need",
    )
    mask = Instance(
        np.ndarray, allow_none=True, help="1 = use, shape of the detector"
    ).tag(file=False)

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        if (self.ix is None) != (self.iy is None):
            raise ParameterError("ix and iy belong together; give both, or none")
        if self.imgShape is not None and self.ix is None:
            raise ParameterError(
                "imgShape is for ix and iy; without them the geometry gives the shape"
            )

    def setFromDet(self, det: ImageSource) -> None:
        """Prepare for the images of a detector; as `DetObjectFunc.setFromDet`."""
        super().setFromDet(det)
        good = good_with(self.mask, det, self.name)
        geometry = self._geometry = self._geometry_of(det)
        target = (geometry.ix * np.int32(geometry.shape[1]) + geometry.iy).ravel()
        self._layout = _Layout.of(target, good.ravel(), geometry.shape)

    def _geometry_of(self, det: ImageSource) -> ImageGeometry:
        if self.ix is not None and self.iy is not None:
            return self._given_geometry(det, self.ix, self.iy)
        if det.positions is None and len(det.shape) != 2:
            raise ParameterError(
                f"where the pixels of {det.name!r} are is not known, so they have no "
                "image; deploy a geometry, or give ix and iy"
            )
        try:
            return det.shared(
                "image geometry",
                lambda: ImageGeometry.from_positions(det.positions, det.shape),
            )
        except GeometryError as error:
            raise ParameterError(str(error)) from error

    def _given_geometry(self, det: ImageSource, ix: Array, iy: Array) -> ImageGeometry:
        for name, index in (("ix", ix), ("iy", iy)):
            whole = np.issubdtype(index.dtype, np.integer)
            if index.shape != det.shape or not whole or index.min() < 0:
                raise ParameterError(
                    f"{name} is {index.dtype} of {index.shape}; {det.name!r} needs "
                    f"whole numbers from 0 of {det.shape}"
                )
        needed = int(ix.max()) + 1, int(iy.max()) + 1
        shape = self.imgShape or needed
        if len(shape) != 2 or shape[0] < needed[0] or shape[1] < needed[1]:
            raise ParameterError(
                f"imgShape = {list(shape)} has no room for ix and iy; they need "
                f"{list(needed)}"
            )
        rows, columns = ix.astype(np.int32), iy.astype(np.int32)
        return ImageGeometry(shape, rows, columns, "ix and iy")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image."""
        return self._geometry.shape

    @property
    def good(self) -> Mask:
        """Pixels of the image that show a good pixel."""
        return self._layout.good

    @property
    def noise(self) -> Array | None:
        """Noise of the pixels of the image, if that of the detector's is known."""
        noise = self.source.noise
        if noise is None:
            return None
        variance = self._layout.draw(np.square(noise), mean=False)
        spread = np.sqrt(variance)
        if self.normalize:
            spread /= self._layout.draw(np.ones_like(noise), mean=False)
        return spread

    @property
    def positions(self) -> PixelPositions | None:
        """Where the pixels of the image are, if it is known for the detector."""
        geometry, detector = self._geometry, self.source.positions
        if detector is None or geometry.corner is None or geometry.pixel_size is None:
            return None
        x, y = geometry.um_from_image(*np.indices(geometry.shape))
        extent = detector.whole
        z = np.full(geometry.shape, extent.mean_z)
        return PixelPositions(
            x, y, z, geometry.pixel_size, f"image of {geometry.origin}", extent
        )

    @property
    def normals(self) -> Array | None:
        """Normal of the image: it looks against the beam."""
        return None if self.positions is None else np.array([[0.0, 0.0, 1.0]])

    @property
    def first(self) -> tuple[int, int, int]:
        """Of the image itself, which is no part of the detector's frames."""
        return 0, 0, 0

    def describe(self) -> dict[str, Field]:
        """Return the results that there will be, after set-up."""
        chained = self.describe_chained()
        if not self.writeArea:
            return chained
        image = Field(np.dtype(np.float32), self.shape, self.unit, "assembled image")
        return {"img": image} | chained

    def process(self, data: Array) -> Mapping[str, Any]:
        """Compute the results of one image; as `DetObjectFunc.process`."""
        image = self._layout.draw(data, mean=self.normalize)
        results = {"img": image} if self.writeArea else {}
        return results | self.pass_on(image)
