"""Sixteen turned panels, and an azimuthal average by numpy's histograms."""

from __future__ import annotations

import numpy as np
from rotated_panels import SIZE, one_panel

from smalldata_ana.sources.base import PixelPositions

BEAM = {"center": [700.0, -450.0], "dis_to_sam": 9.0, "eBeam": 9.5}
TILT = {"tx": 1.5, "ty": -2.5}


def panels(tilted=True, rows=24, cols=30, seed=5) -> PixelPositions:
    """Return four by four panels, each turned a little; tilted and at its own z."""
    rng = np.random.default_rng(seed)
    found = []
    for row, col in np.ndindex(4, 4):
        centre = [(row - 1.5) * SIZE * (rows + 6), (col - 1.5) * SIZE * (cols + 6), 0.0]
        angles = rng.uniform(-3, 3, 3)
        if tilted:
            centre[2] = rng.uniform(-400, 400)
        else:
            angles[1:] = 0
        found.append(one_panel(rows, cols, centre, angles))
    x, y, z = np.moveaxis(np.stack(found), -1, 0)
    return PixelPositions(x, y, z, SIZE, "made up")


def phi_by_hand(hand):
    """Return φ [deg] of a geometry without tilt."""
    return np.rad2deg(np.arctan2(hand.rays[..., 0], hand.rays[..., 1])) % 360


def in_bins(values, q, phi, q_edges, phi_edges):
    """Return sums over bins, (bins in φ, bins in q)."""
    turned = (phi - phi_edges[0]) % 360 + phi_edges[0]
    found, _, _ = np.histogram2d(
        turned.ravel(), q.ravel(), bins=[phi_edges, q_edges], weights=values.ravel()
    )
    return found


def mean_in_bins(image, seen, use, q, phi, q_edges, phi_edges):
    """Return Σv / Σc of the pixels to use, and how many there are."""
    axes = q, phi, q_edges, phi_edges
    value = in_bins(np.where(use, image, 0), *axes)
    number = in_bins(use.astype(float), *axes)
    with np.errstate(invalid="ignore"):
        return value / in_bins(np.where(use, seen, 0), *axes), number
