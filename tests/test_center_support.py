"""What a picture says of a centre, on drawn rings."""

from __future__ import annotations

import numpy as np
from ring_scenes import scene

from smalldata_ana.beam_center import Support, fit_circle, glow_radius


def test_a_picture_supports_the_centre_of_its_rings_only():
    drawn = scene("masked", 0, 800)
    support = Support(drawn.image, drawn.good)

    def noted(row, column):
        fit = fit_circle([(row, column + 99), (row + 99, column), (row - 99, column)])
        return len(support.checked(fit).notes) - len(fit.notes)

    row, column = drawn.center
    assert noted(row, column) == 0
    assert noted(row + 3, column - 3) == 0
    assert noted(row + 30, column - 25) == 1
    assert noted(1e5, 0) == 0
    few = Support(drawn.image[:40, :40], None)
    fit = fit_circle([(0, 9), (9, 0), (-9, 0)])
    assert few.checked(fit) is fit


def test_the_glow_that_a_beam_stop_cuts_off_ends_before_the_first_ring():
    row, column = np.indices((400, 420))
    radius = np.hypot(row - 190.0, column - 215.0)
    ring = 30 * np.exp(-0.5 * ((radius - 120) / 2) ** 2) + 2
    glow = np.where(radius > 20, 1e4 * np.exp(-(radius - 20) / 8), 0)
    assert 50 < glow_radius(ring + glow, None, (190.0, 215.0)) < 120
    assert glow_radius(ring, None, (190.0, 215.0)) == 0
