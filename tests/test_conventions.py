"""What `docs/conventions.md` says, on patterns with a known answer."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from psana_reference import psana_module
from rotated_panels import SIZE, one_panel

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.detector.pyfai_geometry import pyfai_parameters
from smalldata_ana.simulation.physics import Setup, view
from smalldata_ana.sources.base import PixelPositions

DOCS = Path(__file__).parents[1] / "docs"
SPOTS = {"right": (0.0, 1500.0), "below": (1500.0, 0.0), "above": (-1500.0, 0.0)}
ANGLES = {"right": 0.0, "below": 90.0, "above": -90.0}


def spot(positions, x, y):
    """Return a frame with one bright pixel, the nearest to a place [um]."""
    frame = np.zeros(positions.x.shape)
    frame.ravel()[np.argmin(np.hypot(positions.x - x, positions.y - y))] = 1.0
    return frame


@pytest.fixture(params=[0, 37, 90, 200], ids="turned by {}".format)
def positions(request):
    """A panel around the origin; however it is turned, the picture stays the same."""
    x, y, z = np.moveaxis(one_panel(61, 61, (0, 0, 0), (request.param, 0, 0)), -1, 0)
    return PixelPositions(x, y, z, SIZE)


@pytest.mark.parametrize("where", SPOTS)
def test_spot_on_the_image(positions, where):
    geometry = ImageGeometry.from_positions(positions, positions.x.shape)
    image = np.nan_to_num(geometry.assemble(spot(positions, *SPOTS[where])))
    row, col = np.unravel_index(np.argmax(image), image.shape)
    middle = geometry.image_from_um(0.0, 0.0)
    x, y = SIZE * (row - middle[0]), SIZE * (col - middle[1])
    np.testing.assert_allclose((x, y), SPOTS[where], atol=1.5 * SIZE)


@pytest.mark.parametrize("where", SPOTS)
def test_azimuth_of_a_spot_in_pyfai(positions, where):
    pyfai = pytest.importorskip("pyFAI.geometry")
    beam = BeamGeometry((0.0, 0.0), 50.0, 9.5)
    found = pyfai.Geometry(**pyfai_parameters(positions, beam))
    chi = np.rad2deg(found.chiArray(positions.x.shape))
    lit = spot(positions, *SPOTS[where]) > 0
    np.testing.assert_allclose(chi[lit], ANGLES[where], atol=3)


def test_spot_above_the_beam_is_up_in_the_laboratory():
    beam = BeamGeometry((0.0, 0.0), 50.0)
    x, y = (np.array([SPOTS[w][i] for w in SPOTS]) for i in range(2))
    right, up, along = beam.laboratory(x, y, np.zeros(3))
    np.testing.assert_allclose(right, [-1500, 0, 0])
    np.testing.assert_allclose(up, [0, -1500, 1500])
    np.testing.assert_allclose(along, 50000)


def test_laboratory_is_that_of_psana(positions):
    access = psana_module("psana.pscalib.geometry.GeometryAccess").GeometryAccess()
    x, y, z = (a.ravel()[:9] + 3.0 for a in (positions.x, positions.y, positions.z))
    expected = access.coords_psana_to_lab_frame(x, y, z)
    beam = BeamGeometry((0.0, 0.0), 50.0)
    found = list(beam.laboratory(x, y, z))
    found[2] = found[2] - 50000
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_horizontal_polarization_is_weakest_on_the_right():
    positions = flat_positions((1, 101, 101), SIZE)
    setup = Setup(center=(0.0, 0.0), distance=5.0, energy=9.5, polarization=1.0)
    weight = view(positions.x, positions.y, positions.z, setup).weight[0]
    assert weight[50, 100] < weight[100, 50]


def test_tilts_are_those_of_the_simulation():
    positions = flat_positions((1, 101, 101), SIZE)
    setup = Setup(center=(300.0, -700.0), distance=20.0, energy=9.5, tilt=(4.0, -7.0))
    seen = view(positions.x, positions.y, positions.z, setup)
    beam = BeamGeometry((300.0, -700.0), 20.0, 9.5, (4.0, -7.0))
    right, up, along = beam.laboratory(positions.x, positions.y, positions.z)
    found = np.arctan2(np.hypot(right, up), along)
    np.testing.assert_allclose(found, seen.two_theta, atol=1e-7)


def test_the_picture_can_be_drawn():
    picture = ElementTree.parse(DOCS / "pictures/frame.svg").getroot()
    assert picture.tag.endswith("svg")
    assert "pictures/frame.svg" in (DOCS / "conventions.md").read_text()
