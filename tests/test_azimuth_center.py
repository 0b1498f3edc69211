"""A centre refined with azimuthal averages, on rings whose centre is known."""

from __future__ import annotations

import numpy as np
import pytest

from smalldata_ana.azimuth_center import PictureSource, refined_center
from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.errors import BeamCenterError, GeometryError

SHAPE = (300, 340)
PIXEL = 75.0
OFF = np.array([150.0, -100.0])
"""By how much the centre is off to begin with [um]."""


def picture(seed, *, glow=0.0, stop=0.0):
    """Return a source, counts of two rings about a centre, and the centre [um]."""
    rng = np.random.default_rng(seed)
    positions = flat_positions(SHAPE, PIXEL)
    truth = np.array([positions.x.mean(), positions.y.mean()])
    truth += rng.uniform(-2000, 2000, 2)
    radius = np.hypot(positions.x - truth[0], positions.y - truth[1]) / PIXEL
    rings = sum(20 * np.exp(-0.5 * ((radius - r) / 3) ** 2) for r in (60.0, 100.0))
    rings += glow / (1 + (radius / 12) ** 6)
    image = rng.poisson(rings + 2).astype(np.float32)
    # The beam stop is not about the beam.
    x, y = positions.x - truth[0] - 150, positions.y - truth[1] + 100
    image[np.hypot(x, y) < stop * PIXEL] = 0
    source = PictureSource("rings", np.ones(SHAPE, bool), "photon", positions)
    return source, image, truth


@pytest.mark.parametrize("scene", [{}, {"glow": 3e4, "stop": 15.0}, {"glow": 3e4}])
def test_centre_is_found_with_an_honest_error(scene):
    pulls = []
    for seed in range(8):
        source, image, truth = picture(seed, **scene)
        found = refined_center(source, image, tuple(truth + OFF))
        error = np.sqrt(np.diag(found.covariance))
        pulls += list((np.array(found.center) - truth) / error)
        np.testing.assert_allclose(np.array(found.center) - truth, found.moved + OFF)
        np.testing.assert_allclose(found.center, truth, atol=0.1 * PIXEL)
    assert np.sqrt(np.mean(np.square(pulls))) < 2


def test_noise_tells_no_centre():
    source, _, truth = picture(1)
    noise = np.random.default_rng(2).poisson(5, SHAPE).astype(np.float32)
    with pytest.raises(BeamCenterError):
        refined_center(source, noise, tuple(truth))


def test_places_of_pixels_must_be_known():
    source = PictureSource("opal", np.ones(SHAPE, bool), "ADU", None)
    with pytest.raises(GeometryError, match="not known"):
        refined_center(source, np.ones(SHAPE, np.float32), (0, 0))
