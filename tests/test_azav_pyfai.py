"""The numbers of `azav_pyfai` against pyFAI called by hand, and known patterns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometry_by_hand import SHAPE, TILTED, ByHand
from image_source import Images, attached
from rotated_panels import SIZE, detector

from smalldata_ana.ana_funcs.azav_pyfai import azav_pyfai
from smalldata_ana.detector.nominal_geometry import flat_positions

pytestmark = pytest.mark.filterwarnings("ignore:::(.*/)?(pyFAI|fabio|silx)([./]|$)")

PLAIN = {"geomCorr": False, "polCorr": False}
METHODS = [(m, a) for m in ("no", "bbox", "full") for a in ("csr", "csc", "histogram")]


@pytest.fixture(scope="module")
def positions():
    return detector(rows=SHAPE[1], cols=SHAPE[2])


@pytest.fixture
def source(positions):
    return Images(SHAPE, positions=positions)


@pytest.fixture
def counts():
    return np.random.default_rng(5).poisson(7.0, SHAPE).astype(np.float32)


# -- against pyFAI --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "method", "algorithm"),
    [(unit, "full", "csr") for unit in ("2th_deg", "q_nm^-1", "r_mm")]
    + [("q_A^-1", *how) for how in METHODS],
)
def test_average_is_that_of_pyfai(source, positions, counts, unit, method, algorithm):
    source.good[2, 3:9] = False
    hand = ByHand(positions, **TILTED)
    frame = counts.reshape(-1, SHAPE[2])
    expected = hand.integrator().integrate1d(
        frame,
        50,
        unit=unit,
        method=(method, algorithm, "cython"),
        mask=~source.good.reshape(frame.shape),
        flat=hand.solid_angle.reshape(frame.shape).astype(np.float32),
        correctSolidAngle=False,
        polarization_factor=0.6,
        error_model="poisson",
    )
    func = azav_pyfai(
        **TILTED,
        polarization=0.8,
        npts=50,
        int_units=unit,
        method=method,
        algorithm=algorithm,
        error_model="poisson",
    )
    found = attached(func, source).process(counts)
    filled = expected.count > 0
    assert filled.sum() > 40
    np.testing.assert_allclose(func.params_as_dict()["q"], expected.radial, rtol=1e-5)
    # The corners are float32: some parts of pixels come to lie in another bin.
    for key, values in (("azav", expected.intensity), ("azav_err", expected.sem)):
        np.testing.assert_allclose(found[key][filled], values[filled], rtol=2e-3)
        assert np.median(np.abs(found[key] / values - 1)[filled]) < 1e-5


@pytest.mark.parametrize(("method", "algorithm"), METHODS)
def test_average_in_sectors_is_that_of_pyfai(
    source, positions, counts, method, algorithm
):
    frame = counts.reshape(-1, SHAPE[2])
    expected = (
        ByHand(positions, **TILTED)
        .integrator()
        .integrate2d(
            frame,
            20,
            12,
            unit="q_A^-1",
            method=(method, algorithm, "cython"),
            azimuth_range=(-180, 180),
            correctSolidAngle=False,
        )
    )
    func = azav_pyfai(
        **TILTED,
        **PLAIN,
        npts=20,
        npts_az=12,
        return2d=True,
        int_units="q_A^-1",
        method=method,
        algorithm=algorithm,
    )
    found = attached(func, source).process(counts)["azav"]
    # The corners are float32: of bins with a tenth of a pixel that is seen.
    filled = expected.count > 0.1
    values = expected.intensity[filled]
    # pyFAI's first integration of a process differs by so much in one bin at times.
    np.testing.assert_allclose(found[filled], values, rtol=5e-3)
    assert np.median(np.abs(found[filled] / values - 1)) < 1e-5
    assert np.isnan(found[expected.count == 0]).all()
    parameters = func.params_as_dict()
    np.testing.assert_allclose(parameters["az"], np.arange(-165.0, 180, 30), rtol=1e-6)
    np.testing.assert_allclose(parameters["q"], expected.radial, rtol=1e-5)


# -- against patterns that are known --------------------------------------------------


RING = 1.85
"""1/Angstrom, in the middle of the detector."""


def ring(q):
    return np.exp(-0.5 * ((q - RING) / 0.05) ** 2)


@pytest.mark.parametrize(("unit", "scale"), [("q_A^-1", 1.0), ("q_nm^-1", 10.0)])
def test_ring_is_where_it_was_painted(source, positions, unit, scale):
    image = ring(ByHand(positions, **TILTED).q)
    func = azav_pyfai(**TILTED, **PLAIN, int_units=unit, npts=100)
    found = attached(func, source).process(image)["azav"]
    expected = ring(func.params_as_dict()["q"] / scale)
    assert expected.max() > 0.99
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_ring_without_the_depth_of_the_panels_is_elsewhere(source, positions):
    """The test above would see panels in one plane."""
    image = ring(ByHand(positions, **TILTED).q)
    flat = replace(positions, z=np.full_like(positions.z, positions.z.mean()))
    func = azav_pyfai(**TILTED, **PLAIN, int_units="q_A^-1", npts=100)
    found = attached(func, Images(SHAPE, positions=flat)).process(image)["azav"]
    assert np.nanmax(np.abs(found - ring(func.params_as_dict()["q"]))) > 0.1


def test_isotropic_scattering_is_flat_on_panels_at_different_depths(source, positions):
    image = 5 * ByHand(positions, **TILTED).solid_angle
    assert np.ptp(image) > 1
    found = attached(azav_pyfai(**TILTED, polCorr=False), source).process(image)
    np.testing.assert_allclose(found["azav"], 5, rtol=1e-5)


@pytest.mark.parametrize("horizontal", [1.0, 0.0, 0.7])
def test_polarized_pattern_is_flat_in_the_azimuth(source, positions, horizontal):
    straight = TILTED | {"tx": 0.0, "ty": 0.0}
    image = ByHand(positions, **straight).polarized(horizontal)

    def ripple(**polarization):
        func = azav_pyfai(
            **straight, **polarization, geomCorr=False, return2d=True, npts=8, npts_az=9
        )
        found = attached(func, source).process(image)["azav"]
        return np.nanmax(np.nanstd(found, axis=0))

    assert ripple(polarization=horizontal) < 1e-5
    assert ripple(Pplane=horizontal) < 1e-5
    assert ripple(polarization_factor=2 * horizontal - 1) < 1e-5
    assert ripple(polarization=1 - horizontal) > 0.03
    name = {1.0: "horizontal", 0.0: "vertical"}.get(horizontal)
    if name is not None:
        assert ripple(polarization=name) < 1e-5


def test_azimuth_is_0_on_the_right_and_90_downwards():
    shape = (41, 41)
    func = azav_pyfai(
        center=[0.0, 0.0], dis_to_sam=50.0, **PLAIN, return2d=True, npts=5, npts_az=8
    )
    attached(func, Images(shape, positions=flat_positions(shape, SIZE)))
    azimuth = func.params_as_dict()["az"]
    for row, column, expected in ((20, 38, 0.0), (38, 20, 90.0), (2, 20, -90.0)):
        image = np.zeros(shape)
        image[row, column] = 1
        found = func.process(image)["azav"]
        hit = azimuth[np.nanmax(found, axis=1) > 0]
        assert np.abs(hit - expected).max() < 23


# -- what is counted ------------------------------------------------------------------


@pytest.mark.parametrize("return2d", [False, True])
@pytest.mark.parametrize(("method", "algorithm"), METHODS)
def test_pixels_that_are_not_finite_are_as_masked(
    source, counts, method, algorithm, return2d
):
    def average(image, **mask):
        func = azav_pyfai(
            **TILTED,
            polarization="horizontal",
            npts=15,
            npts_az=4,
            return2d=return2d,
            radial_range=[15, 35],
            method=method,
            algorithm=algorithm,
            error_model="poisson",
            **mask,
        )
        return attached(func, source).process(image)

    use = np.ones(SHAPE, np.uint8)
    use[1, 2, 3], use[4, 5, 6:8] = 0, 0
    hurt = counts.copy()
    hurt[1, 2, 3], hurt[4, 5, 6:8] = np.nan, (np.inf, -np.inf)
    before = hurt.copy()
    found, expected = average(hurt), average(counts, userMask=use)
    for key in ("azav", "azav_err"):
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-5)
    np.testing.assert_array_equal(hurt, before)
    assert not np.allclose(found["azav"], average(counts)["azav"], equal_nan=True)


def test_values_of_masked_pixels_do_not_matter(source, counts):
    source.good[3] = False
    func = attached(azav_pyfai(**TILTED, polarization=1), source)
    other = np.where(source.good, counts, 1e30)
    np.testing.assert_array_equal(
        func.process(counts)["azav"], func.process(other)["azav"]
    )


def test_bins_without_pixels_are_nan_and_the_axis_stays(source, counts):
    func = azav_pyfai(**TILTED, **PLAIN, npts=40, radial_range=[5, 60])
    attached(func, source)
    found = func.process(counts)["azav"]
    axis = func.params_as_dict()["q"].copy()
    width = 55 / 40
    np.testing.assert_allclose(axis, 5 + width * (np.arange(40) + 0.5), rtol=1e-5)
    assert np.isnan(found[[0, -1]]).all()
    assert np.isfinite(found[15])
    none = func.process(np.full(SHAPE, np.nan))["azav"]
    assert np.isnan(none).all()
    np.testing.assert_array_equal(func.params_as_dict()["q"], axis)
    np.testing.assert_array_equal(func.process(counts)["azav"], found)


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4", ">f4", "f8"])
def test_any_type_and_arrays_that_cannot_be_written(source, counts, dtype):
    func = attached(azav_pyfai(**TILTED, polarization=0), source)
    image = counts.astype(dtype)
    image.flags.writeable = False
    np.testing.assert_array_equal(
        func.process(image)["azav"], func.process(counts)["azav"]
    )


def test_results_are_not_used_again(source, counts):
    func = attached(azav_pyfai(**TILTED, polarization=0), source)
    first = func.process(counts)["azav"]
    kept = first.copy()
    func.process(2 * counts)
    np.testing.assert_array_equal(first, kept)


def test_pixels_below_thres_count_as_0(source, counts):
    plain = attached(azav_pyfai(**TILTED, **PLAIN), source)
    func = attached(azav_pyfai(**TILTED, **PLAIN, thres=7), source)
    expected = plain.process(np.where(counts < 7, 0, counts))["azav"]
    before = counts.copy()
    np.testing.assert_array_equal(func.process(counts)["azav"], expected)
    np.testing.assert_array_equal(counts, before)


@pytest.mark.parametrize("error_model", [None, "poisson", "azimuthal"])
@pytest.mark.parametrize("return2d", [False, True])
@pytest.mark.parametrize("method", ["no", "bbox", "full"])
def test_counts_are_conserved(error_model, return2d, method):
    """The beam is inside, so that pixels lie across the end of the azimuth."""
    shape, bins = (33, 41), (12, 9) if return2d else (12,)
    positions = flat_positions(shape, SIZE)
    beam = {"center": [30.0, 55.0], "dis_to_sam": 20.0, "eBeam": 9.0}
    func = azav_pyfai(
        **beam,
        **PLAIN,
        npts=bins[0],
        npts_az=bins[-1],
        return2d=return2d,
        method=method,
        error_model=error_model,
    )
    attached(func, Images(shape, positions=positions))
    image = np.random.default_rng(0).poisson(3.0, shape)
    found = func.process(image)["azav"]
    integrator = ByHand(positions, **beam).integrator()
    integrate = integrator.integrate2d if return2d else integrator.integrate1d
    area = integrate(
        np.ones(shape),
        *bins,
        unit="2th_deg",
        method=(method, "csr", "cython"),
        correctSolidAngle=False,
        azimuth_range=(-180, 180) if return2d else None,
    ).sum_signal
    np.testing.assert_allclose(area.sum(), image.size, rtol=1e-5)
    np.testing.assert_allclose(np.nansum(found * area), image.sum(), rtol=1e-4)


# -- errors of the average ------------------------------------------------------------


def test_poisson_errors_are_the_scatter_of_many_images(source):
    func = attached(
        azav_pyfai(
            **TILTED, polarization=1, npts=15, method="no", error_model="poisson"
        ),
        source,
    )
    rng = np.random.default_rng(2)
    found = [func.process(rng.poisson(4.0, SHAPE)) for _ in range(200)]
    averages = np.array([f["azav"] for f in found])
    errors = np.array([f["azav_err"] for f in found])
    chi2 = ((averages - averages.mean(axis=0)) / errors) ** 2
    np.testing.assert_allclose(chi2.mean(axis=0), 1, atol=0.3)
    np.testing.assert_allclose(chi2.mean(), 1, atol=0.06)


def test_azimuthal_errors_are_the_scatter_of_the_pixels(source, positions, counts):
    func = azav_pyfai(
        **TILTED,
        **PLAIN,
        int_units="q_A^-1",
        radial_range=[1.3, 2.6],
        npts=500,
        method="no",
        error_model="azimuthal",
    )
    found = attached(func, source).process(counts)
    q = ByHand(positions, **TILTED).q.ravel()
    index = np.digitize(q, np.linspace(1.3, 2.6, 501)) - 1
    number = np.bincount(index, minlength=500)
    assert (number == 1).any()
    assert np.isnan(found["azav_err"][number < 2]).all()
    for ring in np.flatnonzero(number > 5)[::20]:
        values = counts.ravel()[index == ring]
        np.testing.assert_allclose(
            found["azav_err"][ring], values.std() / np.sqrt(values.size), rtol=0.1
        )
