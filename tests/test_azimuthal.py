"""What `azimuthalBinning` computes, against vectors by hand and numpy's histograms."""

from __future__ import annotations

import numpy as np
import pytest
from azimuthal_reference import BEAM, TILT, mean_in_bins, panels, phi_by_hand
from geometry_by_hand import ByHand
from hypothesis import given, settings
from hypothesis import strategies as st
from image_source import Images, attached

from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.ana_funcs.azimuthal_maps import Corrections, pixel_response
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.detector.beam_geometry import BeamGeometry

POSITIONS = panels()
SHAPE = POSITIONS.x.shape
HAND = ByHand(POSITIONS, **BEAM)
SEEN = HAND.solid_angle * HAND.polarized(1.0)
BOTH = BEAM | {"polarization": "horizontal"}


def detector(**properties):
    return Images(SHAPE, **{"positions": POSITIONS} | properties)


def function(det=None, **parameters):
    return attached(azimuthalBinning(**BOTH | parameters), det or detector())


def photons(seed=1, mean=20.0):
    counts = np.random.default_rng(seed).poisson(mean * SEEN)
    return counts.astype(np.float32)


def expected(func, image, use=None, seen=SEEN):
    """Return what numpy makes of an image: Σv / Σc and the number of pixels."""
    axes = func.params_as_dict()
    use = np.ones(SHAPE, bool) if use is None else use
    phi = phi_by_hand(HAND)
    return mean_in_bins(image, seen, use, HAND.q, phi, axes["qbins"], axes["phi_edges"])


def assert_mean(func, data, image, **how):
    found = func.process(data)
    mean, number = expected(func, image, **how)
    np.testing.assert_allclose(found["azav"], mean, rtol=2e-6)
    if "count" in found:
        np.testing.assert_array_equal(found["count"], number)


# -- corrections -----------------------------------------------------------------------


@pytest.mark.parametrize("tilt", [{}, TILT], ids=["straight", "tilted"])
def test_solid_angle_of_panels_at_different_depths(tilt):
    hand = ByHand(POSITIONS, **BEAM, **tilt)
    beam = BeamGeometry(
        tuple(BEAM["center"]), BEAM["dis_to_sam"], tilt=tuple(tilt.values()) or (0, 0)
    )
    found = pixel_response(detector(), beam, Corrections(solid_angle=True))
    np.testing.assert_allclose(found.reshape(SHAPE), hand.solid_angle, rtol=1e-6)


def test_solid_angle_of_a_plane():
    """(d/r)³ holds for one flat detector."""
    flat = panels(tilted=False)
    det = Images(SHAPE, positions=flat)
    beam = BeamGeometry(tuple(BEAM["center"]), BEAM["dis_to_sam"])
    found = pixel_response(det, beam, Corrections(solid_angle=True))
    cube = (1e3 * BEAM["dis_to_sam"] / ByHand(flat, **BEAM).far) ** 3
    np.testing.assert_allclose(found.reshape(SHAPE), cube, rtol=1e-6)


def test_a_flat_source_gives_a_flat_line():
    func = function(polCorr=False, phiBins=7)
    found = func.process(3.0 * HAND.solid_angle)["azav"]
    assert np.ptp(HAND.solid_angle) > 0.2
    np.testing.assert_allclose(found[np.isfinite(found)], 3.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "fraction"), [("horizontal", 1), ("vertical", 0), (0.3, 0.3)]
)
def test_a_polarized_pattern_gives_a_flat_azimuth(given, fraction):
    pattern = 3.0 * HAND.polarized(fraction)
    assert np.ptp(pattern) > 0.5
    for parameters in ({"polarization": given}, {"Pplane": fraction}):
        func = azimuthalBinning(**BEAM, **parameters, geomCorr=False, phiBins=9)
        found = attached(func, detector()).process(pattern)["azav"]
        np.testing.assert_allclose(found[np.isfinite(found)], 3.0, rtol=1e-6)


def test_absorption_in_the_sensor():
    normals = np.cross(*HAND.axes)[:, None, None]
    incidence = np.abs((normals * HAND.rays).sum(axis=-1)) / HAND.far
    stopped = (1 - np.exp(-320 / 130 / incidence)) / (1 - np.exp(-320 / 130))
    func = function(sensor_thickness=320, attenuation_length=130)
    found = func.process(5.0 * SEEN * stopped)["azav"]
    assert np.ptp(stopped) > 0.01
    np.testing.assert_allclose(found[np.isfinite(found)], 5.0, rtol=1e-6)


# -- bins ------------------------------------------------------------------------------


def test_means_in_bins():
    func = function(phiBins=11, counts=True)
    assert_mean(func, photons(), photons())


def test_edges_and_turns_of_the_circle():
    edges = [0.2, 0.5, 0.6, 1.9, 2.5]
    func = function(qbin=edges, phiBins=[-100, -30, 10, 90], counts=True)
    assert_mean(func, photons(), photons())
    again = function(qbin=np.array(edges), phiBins=[260, 330, 370, 450])
    np.testing.assert_array_equal(
        again.process(photons())["azav"], func.process(photons())["azav"]
    )


def test_bins_by_default():
    axes = function(qbin=0.07, phiBins=4).params_as_dict()
    edges = axes["qbins"]
    np.testing.assert_allclose(edges / 0.07, np.rint(edges / 0.07), atol=1e-9)
    assert abs(edges[0] - HAND.q.min()) <= 0.035
    assert abs(edges[-1] - HAND.q.max()) <= 0.035
    np.testing.assert_allclose(axes["q"], edges[:-1] + 0.035)
    np.testing.assert_allclose(axes["phi"], [0, 90, 180, 270])


def test_bins_depend_on_good_pixels_only():
    good = HAND.q < 1
    func = function(detector(good=good), qbin=0.01)
    assert func.params_as_dict()["qbins"][-1] == pytest.approx(1.0)
    assert np.isfinite(func.process(photons())["azav"]).mean() > 0.95


def test_a_number_of_bins_holds_every_pixel():
    func = function(nBins=50, counts=True)
    found = func.process(photons())
    assert found["azav"].shape == (1, 50)
    assert found["count"].sum() == HAND.q.size


@pytest.mark.parametrize("rbin", [200.0, [0.0, 1000.0, 3000.0]])
def test_bins_in_radius(rbin):
    func = azimuthalBinning(**BOTH | {"eBeam": None}, rbin=rbin)
    found = attached(func, detector()).process(photons())["azav"]
    edges = func.params_as_dict()["r_edges"]
    beside = np.hypot(HAND.rays[..., 0], HAND.rays[..., 1])
    radius = beside / np.abs(HAND.rays[..., 2]) * 1e3 * BEAM["dis_to_sam"]
    use = np.ones(SHAPE, bool)
    mean, _ = mean_in_bins(photons(), SEEN, use, radius, 0 * radius, edges, [-1, 1])
    np.testing.assert_allclose(found, mean, rtol=2e-6)


def test_many_bins():
    func = function(qbin=1e-3, phiBins=90, counts=True)
    assert func.describe()["azav"].shape[1] * 90 > 2**16
    assert_mean(func, photons(), photons())


# -- pixels that do not count ----------------------------------------------------------


def test_masked_pixels_leave_the_normalization():
    rng = np.random.default_rng(3)
    good, mask = (rng.uniform(size=SHAPE) > part for part in (0.2, 0.3))
    image = np.where(good & mask, photons(), 1e6).astype(np.float32)
    image[~good & (rng.uniform(size=SHAPE) > 0.5)] = np.nan
    func = function(detector(good=good), userMask=mask.astype(int), counts=True)
    assert_mean(func, image, photons(), use=good & mask)


@pytest.mark.parametrize("errors", [False, True])
def test_invalid_pixels_are_as_if_masked(errors):
    rng = np.random.default_rng(4)
    invalid = rng.uniform(size=SHAPE) < 0.05
    image = np.where(invalid, rng.choice([np.nan, np.inf, -np.inf], SHAPE), photons())
    settings_ = {"qbin": 0.02, "counts": True, "errors": errors}
    found = function(**settings_).process(image.astype(np.float32))
    axes = function(**settings_).params_as_dict()
    masked = function(detector(good=~invalid), **settings_ | {"qbin": axes["qbins"]})
    for key, values in masked.process(photons()).items():
        np.testing.assert_allclose(found[key], values, rtol=1e-6, err_msg=key)


def test_an_event_of_invalid_pixels():
    func = function(errors=True, counts=True)
    found = func.process(np.full(SHAPE, np.nan, np.float32))
    assert np.isnan(found["azav"]).all()
    assert np.isnan(found["azav_err"]).all()
    assert not found["count"].any()
    assert np.isfinite(func.process(photons())["azav"]).mean() > 0.9


def test_empty_bins():
    func = function(qbin=[0, 0.001, 1, 2], counts=True)
    found = func.process(photons())
    np.testing.assert_array_equal(found["count"] == 0, [[True, False, False]])
    np.testing.assert_array_equal(np.isnan(found["azav"]), [[True, False, False]])


def sums_of(func, image):
    return func.process(image)["azav"] * func.params_as_dict()["norm"]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_a_mask_and_its_complement(seed, part):
    mask = np.random.default_rng(seed).uniform(size=SHAPE) < part
    edges = [0, 0.5, 1, 1.5, 10]
    image = photons(seed)
    total = np.zeros((3, 4))
    for use in (mask, ~mask):
        func = function(qbin=edges, phiBins=3, userMask=use)
        total += np.nan_to_num(sums_of(func, image))
    assert total.sum() == pytest.approx(image.sum(dtype=float))
    sums = sums_of(function(qbin=edges, phiBins=3), image)
    np.testing.assert_allclose(total, sums, rtol=1e-6)


# -- values ----------------------------------------------------------------------------


def test_thresholds():
    image = photons()
    image[0, 0, :5] = np.nan
    keeps = np.where((image < 12) | (image > 25), 0, image)
    func = function(thresADU=12, thresADUhigh=25, counts=True)
    assert_mean(func, image, keeps, use=np.isfinite(image))


def test_threshold_in_noise():
    image = photons()
    noise = np.random.default_rng(5).uniform(1, 5, SHAPE).astype(np.float32)
    func = function(detector(noise=noise), thresRms=4, thresADU=6)
    keeps = np.where((image < 4 * noise) | (image < 6), 0, image)
    assert_mean(func, image, keeps)


def test_dark_and_gain():
    rng = np.random.default_rng(6)
    dark, gain = rng.uniform(0, 5, SHAPE), rng.uniform(0.5, 2, SHAPE)
    gain[0, 1, 2], dark[1, 2, 3] = 0, np.nan
    before = dark.copy(), gain.copy()
    image = photons()
    use = (gain != 0) & np.isfinite(dark)
    with np.errstate(divide="ignore"):
        corrected = (image - dark) / gain
    func = function(darkImg=dark, gainImg=gain, counts=True)
    assert_mean(func, image, corrected, use=use)
    np.testing.assert_array_equal(before, (dark, gain))


def test_photons():
    det = detector(unit="ADU")
    func = function(det, ADU_per_Photon=160)
    assert_mean(func, 160 * photons(), photons())
    assert func.describe()["azav"].unit == "photon"


def test_squares():
    func = function(square=True)
    assert_mean(func, photons(), photons() ** 2, seen=SEEN**2)
    assert func.describe()["azav"].unit == "keV2"
    det = detector(unit="ADU")
    func = function(det, square=True, ADU_per_Photon=3)
    assert_mean(func, 3 * photons(), photons() ** 2, seen=SEEN**2)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float16, np.float64, bool])
def test_kinds_of_numbers(dtype):
    image = photons().astype(dtype)
    func = function(phiBins=2)
    found = func.process(image)["azav"]
    same = func.process(image.astype(np.float64))["azav"]
    np.testing.assert_array_equal(found, same)


def test_the_image_stays():
    image = photons()[..., ::-1]
    image.flags.writeable = False
    before = image.copy()
    func = function(thresADU=3)
    assert_mean(func, image, np.where(image < 3, 0, image))
    np.testing.assert_array_equal(image, before)


def test_results_are_not_reused():
    func = function(errors=True, counts=True)
    first = func.process(photons(1))
    kept = {key: values.copy() for key, values in first.items()}
    func.process(photons(2))
    for key, values in kept.items():
        np.testing.assert_array_equal(first[key], values)


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize("counted", [True, False])
def test_errors_of_counts(counted):
    """χ² per bin is 1 within its own error."""
    det = detector(unit="ADU")
    parameters = {"ADU_per_Photon": 7.0} if counted else {}
    func = function(det, qbin=0.05, phiBins=3, errors=True, counts=True, **parameters)
    scale = 7 if counted else 1
    square, number = 0.0, 0
    for seed in range(40):
        found = func.process(scale * photons(seed))
        many = found["count"] > 40
        square += np.square((found["azav"] - 20) / found["azav_err"])[many].sum()
        number += np.count_nonzero(many)
    assert number > 3000
    assert square / number == pytest.approx(1, abs=5 * np.sqrt(2 / number))


@pytest.mark.parametrize("square", [False, True])
def test_error_from_scatter(square):
    func = function(qbin=[0.5, 0.6], errors=True, square=square)
    inside = (HAND.q >= 0.5) & (HAND.q < 0.6)
    value, seen = photons()[inside].astype(float), SEEN[inside]
    if square:
        value, seen = value**2, seen**2
    ratio, n = value.sum() / seen.sum(), value.size
    error = np.sqrt(n / (n - 1) * np.square(value - ratio * seen).sum()) / seen.sum()
    found = func.process(photons())
    assert found["azav"].item() == pytest.approx(ratio, rel=1e-6)
    assert found["azav_err"].item() == pytest.approx(error, rel=1e-6)


def test_errors_of_bins_with_few_pixels():
    func = function(qbin=[0, 0.001, 0.03, 5], errors=True, counts=True)
    found = func.process(photons())
    assert found["azav_err"][found["count"] > 1].min() > 0
    assert np.isnan(found["azav_err"][found["count"] < 2]).all()


# -- how it stands in a chain ----------------------------------------------------------


@pytest.mark.parametrize("phi", [1, 5])
def test_description(phi):
    func = function(phiBins=phi, errors=True, counts=True)
    fields, found = func.describe(), func.process(photons())
    assert list(fields) == list(found) == ["azav", "azav_err", "count"]
    for key, described in fields.items():
        assert (
            found[key].shape
            == described.shape
            == (phi, func.params_as_dict()["q"].size)
        )
        assert found[key].dtype == described.dtype
        described.checked(key, found[key])


def test_of_a_region():
    """A region keeps the mean depth of the whole detector."""
    roi = ROIFunc(ROI=[[2, 3], [3, 20], [5, 30]])
    func = azimuthalBinning(**BOTH, qbin=[0, 1, 2, 4], counts=True)
    roi.addFunc(func)
    found = attached(roi, detector()).process(photons())
    use = np.zeros(SHAPE, bool)
    use[2, 3:20, 5:30] = True
    mean, number = expected(func, photons(), use)
    np.testing.assert_allclose(found["azav_azav"], mean, rtol=2e-6)
    np.testing.assert_array_equal(found["azav_count"], number)


def test_of_a_detector_without_panels():
    place = (axis[0] for axis in (POSITIONS.x, POSITIONS.y, POSITIONS.z))
    flat = type(POSITIONS)(*place, POSITIONS.pixel_size, extent=POSITIONS.whole)
    func = function(Images(SHAPE[1:], positions=flat), qbin=[0, 1, 2, 4])
    found = func.process(photons()[0])["azav"]
    use = np.zeros(SHAPE, bool)
    use[0] = True
    np.testing.assert_allclose(found, expected(func, photons(), use)[0], rtol=2e-6)


def test_maps_are_shared():
    det = detector()
    function(det, phiBins=3)
    kept = len(det.shared._values)
    function(det, phiBins=5, eBeam=12.0, name="other")
    assert len(det.shared._values) == kept == 2
    function(det, polarization="vertical", name="third")
    assert len(det.shared._values) == 3
