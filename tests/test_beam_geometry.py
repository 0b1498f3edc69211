"""Beam, centre and tilts, against geometry done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_ana.detector.beam_geometry import BeamGeometry, Poni
from smalldata_ana.errors import ParameterError

CORNER = (-20000.0, 3000.0)
tilts = st.floats(-60, 60)
places = st.floats(-1e5, 1e5)
beams = st.builds(
    BeamGeometry,
    center=st.tuples(places, places),
    distance=st.floats(10, 5000),
    energy=st.one_of(st.none(), st.floats(1, 90)),
    tilt=st.tuples(tilts, tilts),
    rotation=st.floats(-179, 179),
)


def numbers(beam):
    return (*beam.center, beam.distance, *beam.tilt, beam.rotation, beam.energy or 0)


@given(beams)
def test_there_and_back_through_pyfai_parameters(beam):
    back = BeamGeometry.from_poni(beam.to_poni(CORNER), CORNER)
    np.testing.assert_allclose(numbers(back), numbers(beam), rtol=1e-9, atol=1e-6)
    assert (back.energy is None) == (beam.energy is None)


@given(beams, st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(-1e3, 1e3))
def test_laboratory_is_a_turned_frame(beam, x, y, z):
    """Distances are kept; the angle with the beam is that of the vectors."""
    point = np.array([x, y, z])
    height = 1e3 * beam.distance
    centre = np.array([*beam.center, 0.0])
    sample = centre - beam.direction * height / -beam.direction[2]
    assert sample[2] == pytest.approx(height)
    ray = point - sample
    found = np.array([float(a) for a in beam.laboratory(*point)])
    np.testing.assert_allclose(np.linalg.norm(found), np.linalg.norm(ray), rtol=1e-9)
    np.testing.assert_allclose(found[2], ray @ beam.direction, rtol=1e-9, atol=1e-4)
    on_axis = [float(a) for a in beam.laboratory(*beam.center, 0.0)]
    np.testing.assert_allclose(on_axis[:2], 0, atol=1e-6 * height)


def test_axes_of_the_laboratory():
    beam = BeamGeometry((100.0, -200.0), 50.0)
    found = beam.laboratory(np.array(110.0), np.array(-180.0), np.array(5.0))
    np.testing.assert_allclose(found, (-20.0, -10.0, 50000.0 - 5.0))
    np.testing.assert_allclose(beam.direction, (0, 0, -1))


def test_pyfai_parameters_without_tilt():
    poni = BeamGeometry((0.0, 5000.0), 120.0, energy=12.398419843320026).to_poni(CORNER)
    np.testing.assert_allclose(poni[:3], (0.120, 0.020, 0.002))
    np.testing.assert_allclose(poni[3:6], 0, atol=1e-15)
    assert poni.wavelength == pytest.approx(1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": 0.0}, "not above 0"),
        ({"distance": np.nan}, "not finite"),
        ({"center": (np.inf, 0.0)}, "not finite"),
        ({"tilt": (90.0, 0.0)}, "not below 90"),
        ({"energy": 9500.0}, "9.5 keV"),
        ({"energy": -1.0}, "above 0"),
    ],
)
def test_numbers_that_make_no_sense(options, message):
    with pytest.raises(ParameterError, match=message):
        BeamGeometry(**{"center": (0.0, 0.0), "distance": 100.0, **options})


def test_beam_from_behind():
    with pytest.raises(ParameterError, match="from the front"):
        BeamGeometry.from_poni(Poni(0.1, 0.0, 0.0, rot1=np.pi), CORNER)
