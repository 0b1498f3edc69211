"""Made-up detectors: panels that are turned and tilted, at different z."""

from __future__ import annotations

import numpy as np

from smalldata_ana.sources.base import PixelPositions

SIZE = 75.0


def turn(rz: float, ry: float = 0.0, rx: float = 0.0) -> np.ndarray:
    """Return a matrix that turns by degrees around x, then y, then z."""
    (cz, cy, cx), (sz, sy, sx) = (f(np.deg2rad([rz, ry, rx])) for f in (np.cos, np.sin))
    return (
        np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    )


def one_panel(rows, cols, centre, angles, gap=0.0) -> np.ndarray:
    """Return positions (rows, columns, 3) [um] of a panel with a gap in the middle."""
    row, col = np.mgrid[:rows, :cols].astype(float)
    row, col = (row - (rows - 1) / 2) * SIZE, (col - (cols - 1) / 2) * SIZE
    col = col + np.where(np.arange(cols) >= cols // 2, gap, 0.0)
    plane = np.stack([row, col, np.zeros_like(row)], axis=-1)
    return plane @ turn(*angles).T + np.asarray(centre, float)


def detector(rows=12, cols=16, gap=150.0, tilted=True, seed=3) -> PixelPositions:
    """Return six panels around a hole, turned by about 60 degrees each."""
    rng = np.random.default_rng(seed)
    panels = []
    for number in range(6):
        angle = 60.0 * number
        centre = turn(angle) @ [SIZE * (2 * cols), 0.0, 0.0]
        small = rng.uniform(-2, 2, 3) if tilted else (rng.uniform(-2, 2), 0.0, 0.0)
        depth = 1000.0 * rng.uniform(-1, 1) if tilted else 0.0
        panels.append(
            one_panel(
                rows,
                cols,
                centre + np.array([500.0, -300.0, 40000.0 + depth]),
                (angle + small[0], small[1], small[2]),
                gap,
            )
        )
    x, y, z = np.moveaxis(np.stack(panels), -1, 0)
    return PixelPositions(x, y, z, SIZE, "made up")
