"""What the simulated detectors see, against pyFAI, numpy and textbook numbers."""

from __future__ import annotations

import numpy as np
import pytest

from smalldata_ana.simulation import physics
from smalldata_ana.simulation.physics import Ring, Setup

SIZE = 75.0
ROWS, COLUMNS = 200, 300


def flat(z: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pixel positions of one flat panel, its centre at the origin [um]."""
    x = (np.arange(ROWS) - (ROWS - 1) / 2) * SIZE
    y = (np.arange(COLUMNS) - (COLUMNS - 1) / 2) * SIZE
    grid = np.meshgrid(x, y, indexing="ij")
    return grid[0][None], grid[1][None], np.full((1, ROWS, COLUMNS), z)


@pytest.mark.parametrize("horizontal", [0.0, 1.0, 0.8])
def test_flat_detector_is_as_pyfai_has_it(horizontal: float) -> None:
    core = pytest.importorskip("pyFAI.geometry.core")
    x, y, z = flat(z=-1e5)
    setup = Setup(9.5, 30.0, (1200.0, -3400.0), (0.0, 0.0), horizontal)
    seen = physics.view(x, y, z, setup)
    # pyFAI's first axis is the rows, and it measures from the corner of the panel
    reference = core.Geometry(
        dist=0.030,
        poni1=(1200.0 + ROWS / 2 * SIZE) * 1e-6,
        poni2=(-3400.0 + COLUMNS / 2 * SIZE) * 1e-6,
        pixel1=SIZE * 1e-6,
        pixel2=SIZE * 1e-6,
        wavelength=physics.HC / 9.5 * 1e-10,
    )
    shape = ROWS, COLUMNS
    angle, q = (reference.center_array(shape, unit) for unit in ("2th_rad", "q_A^-1"))
    np.testing.assert_allclose(seen.two_theta[0], angle, atol=1e-6)
    np.testing.assert_allclose(seen.q[0], q, atol=1e-5)
    weight = reference.solidAngleArray(shape) * reference.polarization(
        shape, factor=2 * horizontal - 1
    )
    np.testing.assert_allclose(seen.weight[0], weight, rtol=1e-5)


def test_polarization_along_the_axes() -> None:
    angle = 0.5
    sin, cos = np.sin(angle), np.cos(angle)
    along_x, along_y = np.array([[sin, 0, -cos], [0, sin, -cos]])
    rays, beam = np.stack([along_x, along_y]), np.array([0.0, 0.0, -1.0])
    vertical = physics.polarization_factor(rays, beam, 0.0)
    horizontal = physics.polarization_factor(rays, beam, 1.0)
    # vertical in the laboratory is psana's x: nothing is scattered along the field
    np.testing.assert_allclose(vertical, [cos**2, 1])
    np.testing.assert_allclose(horizontal, [1, cos**2])


def test_center_and_distance_of_a_tilted_detector() -> None:
    setup = Setup(9.5, 50.0, (1000.0, -2000.0), (4.0, -7.0))
    beam = setup.direction
    assert np.linalg.norm(beam) == pytest.approx(1)
    x, y, z = flat()
    seen = physics.view(x, y, z, setup)
    # the sample, from the definition: the beam meets the plane at the centre, and
    # the sample is 50 mm above the plane
    sample = np.array([1000.0, -2000.0, 0.0]) - beam * (50e3 / abs(beam[2]))
    assert sample[2] == pytest.approx(50e3)
    nearest = np.unravel_index(np.argmin(seen.two_theta), seen.two_theta.shape)
    assert np.hypot(x[nearest] - 1000, y[nearest] + 2000) < SIZE
    for at in ((0, 3, 5), (0, 150, 280)):
        pixel = np.array([x[at], y[at], z[at]])
        a, b = np.linalg.norm(pixel - sample), 50e3 / abs(beam[2])
        c = np.hypot(pixel[0] - 1000, pixel[1] + 2000)
        cosine = (a**2 + b**2 - c**2) / (2 * a * b)
        assert np.cos(seen.two_theta[at]) == pytest.approx(cosine)


def test_solid_angle_knows_the_slant_of_each_panel() -> None:
    x, y, _ = flat()
    slant = np.deg2rad(30)
    tilted = np.cos(slant) * x, y, np.sin(slant) * x
    setup = Setup(distance=500.0, center=(0.0, 0.0), polarization=0.5)
    seen = physics.view(*tilted, setup)
    assert seen.weight[0, 100, 150] == pytest.approx(np.cos(slant), rel=1e-3)


def test_rings_are_at_their_q() -> None:
    q = np.linspace(0.5, 2, 30001)
    pattern = physics.ring_pattern(q, [Ring(1.0, 0.01, 3.0), Ring(1.5, 0.02, 2.0)])
    assert q[np.argmax(pattern)] == pytest.approx(1.0)
    area = pattern.sum() * (q[1] - q[0])
    assert area == pytest.approx(np.sqrt(2 * np.pi) * (0.03 + 0.04), rel=1e-5)
    angle = physics.scattering_angle(1.0, 9.5)
    assert physics.momentum_transfer(angle, 9.5) == pytest.approx(1.0)
    assert 2 * 2 * np.pi * np.sin(angle / 2) == pytest.approx(physics.HC / 9.5)


def test_delay_response() -> None:
    found = physics.delay_response(np.array([-5.0, 0.0, 1.2, 100.0]), 0.4, 1.2)
    np.testing.assert_allclose(found, [0, 0, 0.4 * (1 - np.exp(-1)), 0.4])


def test_speckle_has_the_moments_of_a_negative_binomial() -> None:
    rng = np.random.default_rng(0)
    counts = physics.speckle_photons(rng, 0.3, 4.0, (1000, 1000))
    assert counts.mean() == pytest.approx(0.3, rel=0.01)
    assert counts.var() == pytest.approx(0.3 + 0.3**2 / 4, rel=0.01)


def test_photons_are_in_their_pixels() -> None:
    rng = np.random.default_rng(0)
    counts = np.zeros((20, 30), np.int64)
    counts[3, 4], counts[19, 29] = 2, 1
    found = physics.place_photons(rng, counts)
    np.testing.assert_array_equal(np.rint(found), [[3, 4], [3, 4], [19, 29]])
    assert found.dtype == np.float32


def test_charge_is_shared_as_the_cloud_lies() -> None:
    from math import erf, sqrt

    cloud = 0.2
    image = physics.share_charge(np.array([[5.0, 7.5]]), (12, 12), cloud)
    # on the border of two pixels: half each; along the rows, what is inside +-0.5
    inside = erf(0.5 / cloud / sqrt(2))
    assert image[5, 7] == pytest.approx(0.5 * inside, rel=1e-5)
    assert image[5, 8] == pytest.approx(0.5 * inside, rel=1e-5)
    assert image.sum() == pytest.approx(1, abs=1e-6)
    many = np.random.default_rng(0).uniform(2, 9, (500, 2))
    total = physics.share_charge(many, (12, 12), cloud)
    one_by_one = sum(physics.share_charge(p[None], (12, 12), cloud) for p in many)
    np.testing.assert_allclose(total, one_by_one, rtol=1e-5, atol=1e-6)


def test_charge_over_the_edge_is_lost() -> None:
    image = physics.share_charge(np.array([[-0.5, 3.0]]), (6, 6), 0.1)
    assert image.sum() == pytest.approx(0.5, rel=1e-4)
    assert image[5].sum() == 0


def test_common_mode_offsets() -> None:
    rng = np.random.default_rng(0)
    rows, columns = physics.common_mode(
        rng, (704, 768), bank=96, row_sigma=4, column_sigma=3
    )
    assert rows.shape == (704, 8)
    assert columns.shape == (2, 768)
    assert rows.std() == pytest.approx(4, rel=0.05)
    assert columns.std() == pytest.approx(3, rel=0.05)


def test_edge() -> None:
    profile = physics.edge_profile(512, 200.0, 0.3, 5.0)
    assert profile[0] == pytest.approx(1)
    assert profile[-1] == pytest.approx(0.7)
    assert profile[200] == pytest.approx(0.85)


def test_no_pixel_is_bad_twice() -> None:
    defects = physics.draw_defects(np.random.default_rng(0), (2, 512, 1024))
    sums = defects.dead.astype(int) + defects.hot + defects.noisy
    assert sums.max() == 1
    assert defects.dead.sum() == defects.hot.sum() == defects.noisy.sum() == 209


def test_a_photon_on_the_very_edge_is_in_the_last_pixel():
    image = physics.share_charge(np.array([[3.5, 4.5], [-0.5, -0.5]]), (4, 5), 0.1)
    assert image.shape == (4, 5)
    assert image[3, 4] == pytest.approx(0.25, rel=1e-3)
    assert image[0, 0] == pytest.approx(0.25, rel=1e-3)
