"""Our geometries in pyFAI, and ``.poni`` files, against computation by hand."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from rotated_panels import SIZE, detector

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.detector.panel_grid import panel_grids
from smalldata_ana.detector.pyfai_geometry import (
    pixel_corners,
    pyfai_detector,
    pyfai_parameters,
    read_poni,
    write_poni,
)
from smalldata_ana.errors import FileError, GeometryError, ParameterError

pytestmark = pytest.mark.filterwarnings("ignore:::(.*/)?(pyFAI|fabio|silx)([./]|$)")

RINGS = Path(__file__).parents[2] / "shared/data/ring_i12_pixium"
HC = 12.398419843320026
BEAM = BeamGeometry((700.0, -450.0), 9.0, energy=9.5, tilt=(1.5, -2.5))


@pytest.fixture(scope="module")
def positions():
    return detector(rows=30, cols=40)


@pytest.fixture(scope="module")
def pyfai():
    return pytest.importorskip("pyFAI.geometry")


@pytest.fixture
def geometry(positions):
    return ImageGeometry.from_positions(positions, positions.x.shape)


def by_hand(positions, beam):
    """Return q [1/Angstrom] from vectors: no matrix, no frame but psana's."""
    tx, ty = np.deg2rad(beam.tilt)
    direction = -np.array(
        [np.sin(ty) * np.cos(tx), np.sin(tx), np.cos(ty) * np.cos(tx)]
    )
    centre = np.array([*beam.center, positions.z.mean()])
    sample = centre + direction * 1e3 * beam.distance / direction[2]
    rays = np.stack([positions.x, positions.y, positions.z], axis=-1) - sample
    cosine = rays @ direction / np.linalg.norm(rays, axis=-1)
    return 4 * np.pi * beam.energy / HC * np.sin(np.arccos(cosine) / 2)


@pytest.mark.parametrize(
    "beam", [BEAM, BeamGeometry((0.0, 900.0), 11.0, energy=12.0)], ids=["tilt", "flat"]
)
def test_q_on_turned_panels(pyfai, positions, beam):
    found = pyfai.Geometry(**pyfai_parameters(positions, beam))
    q = found.array_from_unit(unit="q_A^-1").reshape(positions.x.shape)
    expected = by_hand(positions, beam)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(q, expected, atol=1e-6)


def test_q_needs_the_depth_of_the_panels(pyfai, positions):
    """The test above would see panels in one plane."""
    found = pyfai.Geometry(**pyfai_parameters(positions, BEAM))
    found.detector.get_pixel_corners()[..., 0] = 0
    q = found.array_from_unit(unit="q_A^-1").reshape(positions.x.shape)
    assert np.abs(q - by_hand(positions, BEAM)).max() > 1e-3


def test_q_of_some_of_the_panels(pyfai, positions):
    part = type(positions)(
        *(a[2:4] for a in (positions.x, positions.y, positions.z)),
        SIZE,
        extent=positions.whole,
    )
    found = pyfai.Geometry(**pyfai_parameters(part, BEAM))
    q = found.array_from_unit(unit="q_A^-1").reshape(part.x.shape)
    np.testing.assert_allclose(q, by_hand(positions, BEAM)[2:4], atol=1e-6)


def test_azimuth_begins_on_the_right_and_grows_downwards(pyfai):
    positions = flat_positions((201, 201), SIZE)
    found = pyfai.Geometry(
        **pyfai_parameters(positions, BeamGeometry((0.0, 0.0), 100.0, 9.5))
    )
    chi = np.rad2deg(found.chiArray((201, 201)))
    right, down = chi[100, 200], chi[200, 100]
    np.testing.assert_allclose((right, down), (0, 90), atol=1e-3)


def test_corners_are_those_of_the_pixels(positions):
    corners = pixel_corners(positions).astype(float)
    rows, cols = positions.x.shape[-2:]
    assert corners.shape == (6 * rows, cols, 4, 3)
    middle = corners.mean(axis=2)
    np.testing.assert_allclose(
        np.ptp(middle[..., 1]), 1e-6 * np.ptp(positions.x), rtol=1e-6
    )
    sides = np.linalg.norm(np.diff(corners, axis=2), axis=-1)
    np.testing.assert_allclose(sides, 1e-6 * SIZE, rtol=1e-3)
    # the right side of a pixel is the left side of the next but at the gap
    gap = np.linalg.norm(corners[:, :-1, 3] - corners[:, 1:, 0], axis=-1)
    np.testing.assert_allclose(gap[:, cols // 2 - 1], 150e-6, atol=2e-8)
    np.testing.assert_allclose(np.delete(gap, cols // 2 - 1, axis=1), 0, atol=2e-8)
    normal = panel_grids(positions)[0]
    edge = corners[0, 0, 3] - corners[0, 0, 0]
    np.testing.assert_allclose(
        edge[[1, 2, 0]] * [1, 1, -1], 1e-6 * SIZE * normal.right, atol=2e-8
    )


def test_detector_survives_a_copy(pyfai, positions):
    mine = pyfai_detector(positions)
    other = copy.deepcopy(mine)
    assert not other.uniform_pixel
    assert not other.IS_CONTIGUOUS
    assert other.shape == mine.shape == (6 * 30, 40)
    for a, b in zip(
        mine.calc_cartesian_positions(), other.calc_cartesian_positions(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_ring_has_its_maximum_where_it_was_put(pyfai, positions):
    """A ring painted by hand comes out of pyFAI's integration at its q."""
    pytest.importorskip("pyFAI.integrator.azimuthal")
    from pyFAI.integrator.azimuthal import AzimuthalIntegrator

    q = by_hand(positions, BEAM)
    ring = float(np.median(q))
    frame = np.exp(-0.5 * ((q - ring) / 0.02) ** 2).reshape(-1, 40)
    integrator = AzimuthalIntegrator(**pyfai_parameters(positions, BEAM))
    found = integrator.integrate1d_ng(
        frame, 200, unit="q_A^-1", method=("no", "histogram", "cython")
    )
    some = found.count > 0
    center = np.average(found.radial[some], weights=found.intensity[some] ** 2)
    assert center == pytest.approx(ring, abs=0.005)


# -- .poni files -----------------------------------------------------------------------


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (3.0, -5.0)])
@pytest.mark.parametrize("energy", [None, 9.5])
def test_poni_there_and_back(tmp_path, geometry, tilt, energy):
    beam = BeamGeometry((1234.5, -6000.0), 88.0, energy, tilt, rotation=4.0)
    path = tmp_path / "beam.poni"
    write_poni(path, beam, geometry)
    back = read_poni(path, geometry)
    np.testing.assert_allclose(
        (*back.center, back.distance, *back.tilt, back.rotation),
        (*beam.center, beam.distance, *tilt, 4.0),
        atol=1e-6,
    )
    assert back.energy == (None if energy is None else pytest.approx(energy))


def test_point_on_the_beam_axis_is_the_center(pyfai, tmp_path, geometry):
    """PyFAI itself, with a plain detector, finds the centre on the image."""
    beam = BeamGeometry((1234.5, -600.0), 88.0, 9.5, (3.0, -5.0))
    write_poni(tmp_path / "beam.poni", beam, geometry)
    theirs = pyfai.Geometry.sload(str(tmp_path / "beam.poni"))
    row, col = geometry.image_from_um(*beam.center)
    at = theirs.tth(np.array([row]), np.array([col]), path="tan")
    np.testing.assert_allclose(at, 0, atol=1e-7)
    fit2d = theirs.getFit2D()
    np.testing.assert_allclose(
        (fit2d["centerY"] - 0.5, fit2d["centerX"] - 0.5), (row, col), atol=1e-6
    )
    path = beam.distance / -beam.direction[2]
    assert fit2d["directDist"] == pytest.approx(path)


@pytest.mark.skipif(not RINGS.is_dir(), reason=f"no {RINGS}")
def test_real_poni():
    shape = (1441, 1440)
    geometry = ImageGeometry.from_positions(flat_positions(shape, 296.0), shape)
    beam = read_poni(RINGS / "DLS_CeO2_1200mm_pyFAI.poni", geometry)
    center = geometry.image_from_um(*beam.center)
    np.testing.assert_allclose(center, (724.15, 711.66), atol=0.01)
    assert beam.distance == pytest.approx(1193.9, abs=0.05)
    assert beam.energy == pytest.approx(HC / 0.1393)


def test_files_that_are_not_for_this_image(tmp_path, geometry):
    path = tmp_path / "other.poni"
    other = ImageGeometry.from_positions(flat_positions((5, 6), SIZE), (5, 6))
    coarse = ImageGeometry.from_positions(
        flat_positions(geometry.shape, 100.0), geometry.shape
    )
    write_poni(path, BEAM, other)
    with pytest.raises(GeometryError, match=r"for images of \(5, 6\)"):
        read_poni(path, geometry)
    write_poni(path, BEAM, coarse)
    with pytest.raises(GeometryError, match="for pixels of 100 um"):
        read_poni(path, geometry)
    write_poni(path, BEAM, geometry)
    path.write_text(path.read_text().replace('"orientation": 3', '"orientation": 2'))
    with pytest.raises(GeometryError, match="orientation 2"):
        read_poni(path, geometry)


def test_files_that_are_no_poni(tmp_path, geometry):
    with pytest.raises(FileError, match="no file"):
        read_poni(tmp_path / "none.poni", geometry)
    (tmp_path / "text.poni").write_text("hello\n")
    with pytest.raises(FileError, match="no distance"):
        read_poni(tmp_path / "text.poni", geometry)
    (tmp_path / "bad.poni").write_text("Distance: far\n")
    with pytest.raises(FileError, match="cannot be read"):
        read_poni(tmp_path / "bad.poni", geometry)
    (tmp_path / "behind.poni").write_text(
        "Distance: 0.1\nPoni1: 0\nPoni2: 0\nRot1: 3.14\n"
    )
    with pytest.raises(ParameterError, match="from the front"):
        read_poni(tmp_path / "behind.poni", geometry)


def test_poni_needs_micrometres(tmp_path):
    with pytest.raises(GeometryError, match="not known"):
        write_poni(
            tmp_path / "x.poni", BEAM, ImageGeometry.from_positions(None, (3, 4))
        )
