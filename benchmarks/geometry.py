"""Assembly of the image of a jungfrau4M, and psana's ``image``."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from benchmarks.report import Row, Topic, at_least, in_turn, ratio
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.nominal_geometry import nominal_positions, text
from smalldata_ana.sources.base import DetectorInfo
from smalldata_ana.sources.psana2.mended import psana

FRAME = 8, 512, 1024
ROUNDS = 21

_HOW = f"""\
A calibrated frame of a jungfrau4M (float32, 8 panels of 512 x 1024), psana's default
geometry, {ROUNDS} rounds, one thread. *assemble*: a new image each time; *into an
array*: into the same. *psana*: what its `image` does with the frame,
`img_from_pixel_arrays`, given the indices of the pixels. The images are equal, with 0
in the gaps."""


def run() -> Topic:
    """Measure, in memory."""
    psana()
    from psana.pscalib.geometry.GeometryAccess import img_from_pixel_arrays

    geometry, (rows, cols) = _geometry(), _indices()
    frame = np.random.default_rng(1).normal(5, 2, FRAME).astype(np.float32)
    out = np.empty(geometry.shape, np.float32)

    def theirs() -> Any:
        return img_from_pixel_arrays(rows, cols, W=frame)

    np.testing.assert_array_equal(geometry.assemble(frame, fill=0.0), theirs())
    times = in_turn(
        {
            "assemble": lambda: geometry.assemble(frame, fill=0.0),
            "out": lambda: geometry.assemble(frame, fill=0.0, out=out),
            "psana": theirs,
        },
        ROUNDS,
    )
    names = {"assemble": "assemble", "out": "into an array", "psana": "psana"}
    return Topic(
        "Image assembly",
        _HOW,
        [
            *(
                Row(what, f"{1e3 * statistics.median(times[name]):.1f} ms")
                for name, what in names.items()
            ),
            at_least("psana / assemble", ratio(times["psana"], times["assemble"]), 3),
            Row("psana / into an array", f"{ratio(times['psana'], times['out']):.2f}"),
        ],
    )


def _geometry() -> ImageGeometry:
    panels = tuple(range(FRAME[0]))
    info = DetectorInfo("jungfrau4M", "jungfrau", FRAME, np.dtype(np.uint16), panels)
    return ImageGeometry.from_positions(nominal_positions(info), FRAME)


def _indices() -> Any:
    from psana.pscalib.geometry.GeometryAccess import GeometryAccess

    access = GeometryAccess()
    access.load_pars_from_str(text("jungfrau4M"))
    return access.get_pixel_coord_indexes()
