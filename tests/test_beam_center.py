"""The beam centre against scenes with a known centre, and published centres."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from powder_pictures import BEAM_STOP_PX, powder
from ring_scenes import BRIGHT, FEW_PHOTONS, LIMITS, RINGLESS, scene, without_rings

from smalldata_ana.beam_center import (
    CenterFit,
    center_from_azimuth,
    find_center,
    fit_circle,
    fit_circle_threshold,
)
from smalldata_ana.beam_center.polishing import polish
from smalldata_ana.beam_center.preparation import cleaned
from smalldata_ana.errors import BeamCenterError, ParameterError

DATA = Path(__file__).parent.parent.parent / "shared" / "data"
SIZE = 550
# Of a smaller picture: there are fewer pixels on shorter arcs.
LOOSER = 1650 / SIZE


def distance(fit: CenterFit, center: tuple[float, float]) -> float:
    return math.dist(fit.center_px, center)


@pytest.mark.parametrize("kind", LIMITS)
def test_the_centre_is_found_without_a_guess(kind):
    truth = scene(kind, 1, SIZE)
    image, good = truth.image.copy(), truth.good.copy()
    fit = find_center(image, good)
    assert distance(fit, truth.center) < LOOSER * LIMITS[kind]
    np.testing.assert_array_equal(image, truth.image)
    np.testing.assert_array_equal(good, truth.good)
    assert 0.6 < fit.quality <= 1
    offsets = np.subtract(fit.center_px, truth.center) / fit.center_px_err
    assert np.abs(offsets).max() < 4
    if kind in BRIGHT:
        seen = [r for r in truth.radii if kind != "beam stop" or r > 180 * SIZE / 1650]
        np.testing.assert_allclose(fit.radius_px, seen, atol=0.3)
        assert all(n > 100 for n in fit.inliers)
        assert all(0.5 < ring.coverage <= 1 for ring in fit.rings)


@pytest.mark.parametrize("kind", FEW_PHOTONS)
def test_few_photons_are_found_within_their_error(kind):
    truth = scene(kind, 1, SIZE)
    fit = find_center(truth.image, truth.good)
    offsets = np.subtract(fit.center_px, truth.center) / fit.center_px_err
    assert np.abs(offsets).max() < 4


@pytest.mark.parametrize("kind", RINGLESS)
def test_a_picture_without_rings_has_no_centre(kind):
    with pytest.raises(BeamCenterError, match=r"no rings are seen: .*; average"):
        find_center(without_rings(kind, 1, 250))


@pytest.mark.parametrize("kind", ["clean", "corner", "weak"])
def test_the_standard_error_is_honest(kind):
    pulls = []
    for seed in range(8):
        truth = scene(kind, seed, 412)
        image = cleaned(truth.image, truth.good)
        near = truth.center[0] + 0.3, truth.center[1] - 0.3
        fit = polish(image.pixels, near, image.mean.shape)
        offset = np.subtract(fit.center, truth.center)
        pulls.append(offset / np.sqrt(np.diag(fit.covariance)))
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_the_same_picture_gives_the_same_answer():
    truth = scene("masked", 3, 412)
    first, second = (find_center(truth.image, truth.good) for _ in range(2))
    assert first == second
    np.testing.assert_array_equal(first.covariance, second.covariance)


def test_gaps_may_be_nan_and_the_image_of_any_number():
    truth = scene("clean", 2, 412)
    gaps = np.where(truth.good, truth.image, np.nan)
    whole = np.round(truth.image).astype(np.int32)
    whole.flags.writeable = False
    for image, good in ((gaps, None), (whole, truth.good)):
        assert distance(find_center(image, good), truth.center) < 0.2


@pytest.mark.parametrize(
    ("value", "seen"), [(0, "the picture is empty"), (16383, "saturated")]
)
def test_an_empty_or_saturated_detector_is_said_to_be_so(value, seen):
    with pytest.raises(BeamCenterError, match=seen):
        find_center(np.full((100, 200), value))


def test_a_picture_must_have_two_axes_good_pixels_and_a_mask_that_fits():
    with pytest.raises(ParameterError, match=r"\(2, 50, 50\)"):
        find_center(np.ones((2, 50, 50)))
    with pytest.raises(ParameterError, match=r"\(50, 40\)"):
        find_center(np.ones((50, 50)), np.ones((50, 40), bool))
    with pytest.raises(BeamCenterError, match="0 pixels are good"):
        find_center(np.ones((50, 50)), np.zeros((50, 50), bool))


@pytest.mark.parametrize(
    ("detector", "center"), [("pil1M", (488.07, 204.15)), ("pilW2", (577.0, 648.88))]
)
def test_silver_behenate_has_its_published_centre(detector, center):
    h5py = pytest.importorskip("h5py")
    path = DATA / "agbh_lix_pilatus" / "AgBH-2020Aug16.h5"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with h5py.File(path) as file:
        image = file[f"AgBH_2020Aug16/primary/data/{detector}_image"][0]
    fit = find_center(image, image >= 0)
    assert distance(fit, center) < 0.7
    assert len(fit.rings) >= 3


def test_a_powder_has_its_published_centre():
    fabio = pytest.importorskip("fabio")
    path = DATA / "ring_i12_pixium" / "pixium_03150.tif"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    fit = find_center(fabio.open(str(path)).data)
    assert distance(fit, (724.15, 711.66)) < 0.7


def on_circle(center, radius, degrees):
    angle = np.deg2rad(degrees)
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1) + center


def test_three_points_tell_a_circle():
    fit = fit_circle(on_circle((30.5, -12.25), 55, [0, 50, 170]))
    np.testing.assert_allclose(fit.center_px, (30.5, -12.25), atol=1e-9)
    np.testing.assert_allclose(fit.radius_px, [55])
    assert np.isfinite(fit.center_px_err).all()
    assert fit.inliers == (3,)


def test_points_on_several_rings_tell_one_centre_with_honest_errors():
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(100):
        arcs = [
            on_circle((300, -50), radius, rng.uniform(0, 110, 15))
            for radius in (200, 350)
        ]
        fit = fit_circle([arc + rng.normal(0, 1, arc.shape) for arc in arcs])
        pulls.append(np.subtract(fit.center_px, (300, -50)) / fit.center_px_err)
        assert fit.radius_px == pytest.approx((200, 350), abs=12)
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.5
    assert fit_circle(arcs, point_err=2).center_px_err > (0.1, 0.1)


@pytest.mark.parametrize(
    ("points", "seen"),
    [
        ([[0, 0], [1, 1], [2, 2]], "lie on a line"),
        ([[0, 0], [100, 0.1], [200, 0], [300, 0.1]], "do not tell a centre"),
        ([[0, 0], [1, 1]], "2 points on 1 ring: at least 3"),
        ([[0, 0], [1, 1], [1, 1]], "2 different points"),
        ([[[0, 1], [1, 0], [0, -1]], [[5, 5]]], "on each of several rings at least 2"),
    ],
)
def test_points_that_tell_no_centre_are_refused(points, seen):
    with pytest.raises(BeamCenterError, match=seen):
        fit_circle(points)


@pytest.mark.parametrize(
    ("points", "seen"), [([1, 2, 3], r"\(3,\)"), ([[0, 1], [1, np.nan]], "not finite")]
)
def test_points_must_be_pairs_of_numbers(points, seen):
    with pytest.raises(ParameterError, match=seen):
        fit_circle(points)


def test_points_of_several_rings_as_one_have_no_quality():
    points = [[760.6, 389], [614, 145], [268, 389], [600, 846]]
    fit = fit_circle(points)
    assert fit.quality == 0
    assert max(fit.center_px_err) > 0.1 * fit.radius_px[0]


@pytest.mark.parametrize(("points", "most"), [(5, 2), (6, 0), (8, 0)])
def test_points_picked_on_two_rings_have_no_quality(points, most):
    rng = np.random.default_rng(points)
    liked = 0
    for _ in range(25):
        radii = np.where(np.arange(points) % 2, 150.0, 250.0)[:, None]
        degrees = rng.uniform(0, 360, points)
        picked = (400, 500) + radii * on_circle((0, 0), 1, degrees)
        fit = fit_circle(picked + rng.normal(0, 0.5, picked.shape))
        liked += fit.quality > 0
    assert liked <= most


def test_few_points_are_said_to_check_each_other_hardly():
    points = on_circle((300, 0), 200, [0, 100, 200, 300, 330])
    three, four = fit_circle(points[:3]), fit_circle(points[:4])
    assert three.notes == ("three points cannot be checked against each other",)
    assert "by chance" in four.notes[0]
    assert fit_circle(points).notes == ()
    assert 0 < three.quality <= 0.5 < four.quality <= 0.75


@pytest.mark.parametrize("points", [4, 5, 8])
def test_errors_of_a_few_clicks_are_honest(points):
    rng = np.random.default_rng(7)
    pulls = []
    for _ in range(200):
        circle = on_circle((300, 400), 200, rng.uniform(0, 360, points))
        fit = fit_circle(circle + rng.normal(0, 0.5, circle.shape))
        pulls.append(np.subtract(fit.center_px, (300, 400)) / fit.center_px_err)
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_the_quality_of_points_falls_with_their_scatter_and_the_error():
    rng = np.random.default_rng(5)
    whole, arc = np.linspace(0, 330, 12), np.linspace(0, 25, 12)
    noise = rng.normal(0, 1, (12, 2))

    def quality(degrees, scatter):
        return fit_circle(on_circle((300, 0), 200, degrees) + scatter * noise).quality

    assert quality(whole, 0.1) > 0.99 > quality(whole, 1) > 0.8 > quality(whole, 2)
    assert quality(whole, 4) == 0
    assert quality(arc, 1) < 0.5


# ---- ellipses, and the glow around the beam ------------------------------------------


@pytest.mark.parametrize("lab6", [True, False])
def test_on_a_tilted_detector_the_centre_is_where_the_beam_meets_it(lab6):
    pulls = []
    for seed in range(2):
        truth = powder(seed, lab6=lab6)
        fit = find_center(*truth.assembled)
        offset = np.subtract(fit.center_px, truth.center_px)
        assert math.hypot(*offset) < 0.1
        pulls.append(offset / fit.center_px_err)
        assert "refineGeometry" in fit.notes[0]
    assert np.sqrt(np.mean(np.square(pulls))) < 2


def test_without_tilt_rings_are_circles_and_the_edge_of_the_beam_stop_is_none():
    truth = powder(0, lab6=False, tilt=(0.0, 0.0))
    fit = find_center(*truth.assembled)
    np.testing.assert_allclose(fit.center_px, truth.center_px, atol=0.03)
    assert fit.notes == ()
    assert len(fit.rings) == 4
    assert min(fit.radius_px) > 5 * BEAM_STOP_PX


def test_a_beam_stop_that_is_off_does_not_move_the_centre():
    truth = powder(1, lab6=False, tilt=(0.0, 0.0))
    image, good = truth.assembled
    row, column = truth.center_px
    rows, columns = np.indices(image.shape)
    image[np.hypot(rows - row - 5, columns - column + 3) < BEAM_STOP_PX + 6] = 0
    fit = find_center(image, good)
    assert math.dist(fit.center_px, truth.center_px) < 0.05


def test_a_circle_at_the_edge_of_the_beam_stop_is_said_to_be_there():
    image, good = powder(0).assembled
    fit = fit_circle_threshold(image, good=good, percentile=99.9)
    assert abs(fit.radius_px[0] - BEAM_STOP_PX) < 5
    assert "beam stop" in fit.notes[0]
    assert fit_circle_threshold(*one_ring(0)[:1], 13).notes == ()


def one_ring(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    center = np.array([260.3, 200.7]) + rng.uniform(-1, 1, 2)
    rows, cols = np.mgrid[:500, :600]
    r = np.hypot(rows - center[0], cols - center[1])
    image = rng.poisson(3 + 20 * np.exp(-0.5 * ((r - 180) / 5) ** 2)).astype(float)
    image[rng.random(image.shape) < 0.001] = 1000
    image[:, 290:300] = np.nan
    return image, center


def test_bright_pixels_tell_a_circle():
    pulls = []
    for seed in range(10):
        image, center = one_ring(seed)
        fit = fit_circle_threshold(image, 13)
        pulls.append(np.subtract(fit.center_px, center) / fit.center_px_err)
        np.testing.assert_allclose(fit.center_px, center, atol=0.15)
        assert fit.radius_px[0] == pytest.approx(180, abs=0.3)
        # Its scatter is the width of the ring.
        assert 0.8 < fit.quality < 0.9
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.6
    by_share = fit_circle_threshold(image, percentile=97, below=500)
    np.testing.assert_allclose(by_share.center_px, center, atol=0.3)


def test_bright_pixels_that_are_no_circle_are_refused():
    rng = np.random.default_rng(2)
    with pytest.raises(BeamCenterError, match="do not lie on one circle"):
        fit_circle_threshold(rng.poisson(3, (200, 300)), percentile=90)
    with pytest.raises(BeamCenterError, match="highest value is 7"):
        fit_circle_threshold(np.full((50, 50), 7.0))
    with pytest.raises(BeamCenterError, match="no pixel"):
        fit_circle_threshold(np.full((50, 50), np.nan))
    with pytest.raises(ParameterError, match="percentile = 100"):
        fit_circle_threshold(np.ones((50, 50)), percentile=100)
    with pytest.raises(ParameterError, match=r"\(3, 50, 50\)"):
        fit_circle_threshold(np.ones((3, 50, 50)))


def test_micrometres_count_from_the_middle_or_the_given_corner():
    fit = fit_circle(on_circle((10, 20), 5, [0, 90, 200]))
    with pytest.raises(ParameterError, match="no pixel size"):
        fit.center_um  # noqa: B018
    plain = fit.located(75)
    np.testing.assert_allclose(plain.center_um, (750, 1500))
    np.testing.assert_allclose(plain.radius_um, [375])
    np.testing.assert_allclose(plain.center_um_err, 75 * np.array(fit.center_px_err))
    np.testing.assert_allclose(plain.radius_um_err, 75 * np.array(fit.radius_px_err))
    placed = fit.located(75, corner=(-1000.0, 200.0))
    np.testing.assert_allclose(placed.center_um, (-1000 + 787.5, 200 + 1537.5))
    with pytest.raises(ParameterError, match="pixel_size = -1"):
        fit_circle(on_circle((10, 20), 5, [0, 90, 200]), pixel_size=-1)


def cake(shift, seed, rings=(120, 230, 390)):
    """Draw I(phi, r) about a centre that is off, with polarization and gaps."""
    rng = np.random.default_rng(seed)
    phi, radius = np.arange(13) * 360 / 13 + 5, np.arange(50, 500.0)
    angle = np.deg2rad(phi)
    off = np.sin(angle) * shift[0] + np.cos(angle) * shift[1]
    r = radius - off[:, None]
    mean = 50 * np.exp(-r / 200)
    for ring in rings:
        mean += 40 * np.exp(-0.5 * ((r - ring) / 6) ** 2)
    mean *= 1 + 0.2 * np.cos(2 * angle)[:, None]
    pixels = 2 * np.pi * radius / len(phi)
    intensity = rng.poisson(mean * pixels) / pixels
    intensity[3, 100:140], intensity[5] = np.nan, np.nan
    return intensity, phi, radius


def test_the_azimuth_tells_the_shift_of_the_centre():
    rng, pulls = np.random.default_rng(1), []
    for seed in range(15):
        shift = rng.uniform(-6, 6, 2)
        intensity, phi, radius = cake(shift, seed)
        found = center_from_azimuth(intensity, phi, 75 * radius)
        off = np.array([found.x, found.y]) - 75 * shift
        assert np.abs(off).max() < 75 * 0.05
        pulls.append(off / (found.x_err, found.y_err))
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_the_azimuth_of_a_picture_without_rings_tells_nothing():
    rng = np.random.default_rng(3)
    phi, radius = np.arange(13) * 27.0, np.arange(50, 500.0)
    with pytest.raises(BeamCenterError, match="no rings are seen"):
        center_from_azimuth(rng.poisson(5, (13, 450)), phi, radius)
    with pytest.raises(BeamCenterError, match="0 azimuths"):
        center_from_azimuth(np.full((13, 450), np.nan), phi, radius)
    with pytest.raises(ParameterError, match=r"\(azimuths, radii\)"):
        center_from_azimuth(np.ones((5, 450)), phi, radius)
    with pytest.raises(ParameterError, match="equal steps"):
        center_from_azimuth(np.ones((13, 450)), phi, radius**2)
