"""Photons of droplets against known photons whose charge is shared."""

import numpy as np
import pytest
from image_source import Images, attached
from photon_frames import NOISE, ONE, add_photons, photon_frame
from scipy.spatial import cKDTree
from traitlets import List

from smalldata_ana.ana_funcs.base import DetObjectFunc, Passed
from smalldata_ana.ana_funcs.droplet import dropletFunc
from smalldata_ana.ana_funcs.droplet_photons import droplet2Photons
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.errors import ParameterError

SHAPE = (2, 352, 384)


class Keep(DetObjectFunc):
    """Keeps the positions that it is given."""

    takes = (Passed.POSITIONS,)
    seen = List()

    def describe(self):
        return {}

    def process(self, data):
        self.seen = [data]
        return {}


def chain(shape=SHAPE, source=None, threshold=10.0, **parameters):
    """Return droplets with their photons, set up, and what keeps the positions."""
    drops = dropletFunc(threshold=threshold, thresholdLow=0.3 * threshold)
    photons = droplet2Photons(**{"aduspphot": ONE, "name": "p"} | parameters)
    drops.addFunc(photons)
    photons.addFunc(keep := Keep())
    noise = np.full(shape, NOISE, np.float32)
    attached(drops, source or Images(shape, noise=noise, unit="ADU"))
    return drops, keep


def single(image, **parameters):
    """Return the photons of an image without noise, in one panel."""
    drops, keep = chain(image.shape, **parameters)
    results = drops.process(image.astype(np.float32))
    return keep.seen[0], results


@pytest.mark.parametrize("occupancy", [0.001, 0.01, 0.1])
def test_known_photons_are_counted_and_distributed(occupancy):
    frame = photon_frame(np.random.default_rng(17), SHAPE, occupancy)
    drops, _ = chain()
    results = drops.process(frame.image)
    assert results["p_nPhotons"] == pytest.approx(frame.row.size, rel=0.01)
    pixels = frame.image.size
    truth = np.bincount(frame.by_pixel.ravel(), minlength=12)[:11]
    found = results["p_prob"][:11] * pixels
    error = np.sqrt(np.maximum(truth, 1.0))
    error[0] = np.sqrt(truth[1:].sum())
    assert np.all(np.abs(found - truth) <= 3 * error)
    assert results["p_prob"][11] == pytest.approx(frame.row.size / pixels, rel=0.01)
    assert results["p_prob"][:11].sum() == pytest.approx(1)


@pytest.mark.parametrize("occupancy", [0.001, 0.01])
def test_single_photons_are_placed_within_half_a_pixel(occupancy):
    frame = photon_frame(np.random.default_rng(23), SHAPE, occupancy)
    drops, keep = chain()
    drops.process(frame.image)
    truth = np.stack([1000 * frame.panel, frame.row, frame.column], axis=1)
    found = keep.seen[0]
    ours = np.stack([1000 * found.panel, found.row, found.column], axis=1)
    tree = cKDTree(truth)
    alone = np.array([len(near) == 1 for near in tree.query_ball_point(truth, 4)])
    distance, _ = cKDTree(ours).query(truth[alone], p=np.inf)
    assert alone.sum() > 100
    assert distance.max() < 0.5
    assert np.sqrt(np.mean(distance**2)) < 0.35


def test_two_photons_side_by_side():
    image = np.zeros((1, 20, 20))
    image[0, 5, 5:8] = ONE * np.array([0.75, 0.75, 0.5])
    found, results = single(image)
    assert results["p_nPhotons"] == 2
    np.testing.assert_allclose(sorted(found.column), [5.25, 6.5])
    np.testing.assert_allclose(found.row, 5)


@pytest.mark.parametrize("turn", range(4))
def test_the_greedy_guess_by_hand(turn):
    image = np.zeros((1, 9, 9))
    image[0, 4, 4] = 2.25 * ONE
    image[0, 4, 5] = 0.75 * ONE
    found, results = single(np.rot90(image, turn, axes=(1, 2)))
    assert results["p_nPhotons"] == 3
    whole = (found.row == 4) & (found.column == 4)
    assert np.count_nonzero(whole) == 2
    place = found.row[~whole][0] - 4, found.column[~whole][0] - 4
    right, down = np.cos(np.pi / 2 * turn), -np.sin(np.pi / 2 * turn)
    np.testing.assert_allclose(place, (0.75 * down, 0.75 * right), atol=1e-12)


def test_the_edge_of_a_photon_in_a_bright_pixel_belongs_there():
    image = np.zeros((1, 9, 9))
    image[0, 4, 3:6] = np.array([0.375, 1.25, 0.375]) * ONE
    found, results = single(image)
    assert results["p_nPhotons"] == 2
    assert results["p_prob"][2] == pytest.approx(1 / 81)
    np.testing.assert_allclose(np.sort(found.column), [3.625, 4])


def test_photons_in_one_pixel_are_all_there():
    image = np.zeros((1, 9, 9))
    image[0, 8, 8] = 6.9 * ONE
    found, results = single(image)
    assert results["p_nPhotons"] == 7
    assert set(zip(found.row, found.column, strict=True)) == {(8.0, 8.0)}
    assert results["p_prob"][[0, 7]] == pytest.approx([80 / 81, 1 / 81])


def test_a_saturated_blob():
    rng = np.random.default_rng(2)
    image = np.zeros((1, 352, 384))
    row, column = (rng.normal(n / 2, 12, 100_000) for n in image.shape[1:])
    add_photons(image, np.zeros(row.size, int), row, column)
    found, results = single(image)
    assert results["p_nPhotons"] == pytest.approx(100_000, rel=0.001)
    assert results["p_prob"][11] == pytest.approx(100_000 / image.size, rel=0.001)
    assert results["p_prob"][:11].sum() < 1
    assert found.row.mean() == pytest.approx(row.mean(), abs=0.1)
    edges = np.arange(149.5, 200, 5)
    density, *_ = np.histogram2d(found.row, found.column, edges)
    truth, *_ = np.histogram2d(row, column, edges)
    assert np.abs(density - truth).max() < 5 * np.sqrt(truth.max())


@pytest.mark.parametrize("value", [1e12, 1e38])
def test_more_photons_than_can_be(value):
    image = np.zeros((9, 9), np.float32)
    image[4, 4] = value
    with pytest.raises(ParameterError, match="leave out bad pixels"):
        single(image)


def test_a_frame_that_is_one_droplet_is_quick():
    rng = np.random.default_rng(2)
    image = (rng.uniform(0.4, 4, (1, 400, 500)) * ONE).astype(np.float32)
    found, results = single(image)
    assert results["nDroplets"] == 1
    total = image.sum(dtype=float) / ONE
    assert results["p_nPhotons"] == pytest.approx(total, abs=1)
    assert found.pixel.size == results["p_nPhotons"]


def test_an_empty_frame_has_no_photon_in_all_its_pixels():
    drops, keep = chain(perPanel=True, ROIs=[[[0, 1], [0, 5], [0, 5]]])
    results = drops.process(np.zeros(SHAPE, np.float32))
    expected = np.eye(12)[0]
    assert results["p_nPhotons"] == 0
    np.testing.assert_array_equal(results["p_prob"], expected)
    np.testing.assert_array_equal(results["p_prob_panel"], [expected, expected])
    np.testing.assert_array_equal(results["p_prob_ROI"], [expected])
    assert keep.seen[0].row.size == 0


def test_photons_lie_on_pixels_of_their_droplets():
    frame = photon_frame(np.random.default_rng(5), SHAPE, 0.2)
    drops, keep = chain()
    drops.process(frame.image)
    found = keep.seen[0]
    nearest = [np.floor(x + 0.5).astype(int) for x in (found.row, found.column)]
    pixel = np.ravel_multi_index((found.panel, *nearest), SHAPE)
    assert np.mean(pixel == found.pixel) > 0.9999
    assert frame.image.flat[found.pixel].min() > 0


def test_the_distributions_of_panels_and_regions():
    shape = (3, 30, 40)
    frame = photon_frame(np.random.default_rng(11), shape, 0.2)
    good = np.random.default_rng(1).random(shape) > 0.1
    good[2] = False
    noise = np.full(shape, NOISE, np.float32)
    regions = [
        [[0, 1], [5, 20], [3, 30]],
        [[[0, 1], [0, 9], [0, 9]], [[1, 2], [0, 9], [0, 9]]],
    ]
    source = Images(shape, good, noise=noise, unit="ADU")
    drops, keep = chain(shape, source, perPanel=True, ROIs=regions)
    results = drops.process(frame.image)
    counts = np.bincount(keep.seen[0].pixel, minlength=good.size).reshape(shape)
    boxes = np.zeros((2, *shape), bool)
    boxes[0, 0, 5:20, 3:30] = boxes[1, :2, :9, :9] = True

    def distribution(where):
        k = counts[good & where]
        share = [np.mean(k == n) for n in range(11)]
        return [*share, k.mean()]

    everywhere = np.ones(shape, bool)
    np.testing.assert_allclose(results["p_prob"], distribution(everywhere))
    for panel in (0, 1):
        expected = distribution(everywhere & (np.arange(3) == panel)[:, None, None])
        np.testing.assert_allclose(results["p_prob_panel"][panel], expected)
    assert np.isnan(results["p_prob_panel"][2]).all()
    for box, found in zip(boxes, results["p_prob_ROI"], strict=True):
        np.testing.assert_allclose(found, distribution(box))
    fields = drops.describe()
    assert fields.keys() == results.keys()
    for key, value in results.items():
        fields[key].checked(key, value)


def test_a_mask_removes_photons_and_pixels():
    shape = (1, 20, 20)
    image = np.zeros(shape, np.float32)
    image[0, 5, 5] = image[0, 15, 15] = ONE
    mask = np.ones(shape)
    mask[0, 10:] = 0
    drops, keep = chain(shape, mask=mask)
    results = drops.process(image)
    assert results["nDroplets"] == 2
    assert results["p_nPhotons"] == 1
    assert keep.seen[0].row.tolist() == [5]
    assert results["p_prob"][1] == 1 / 200


@pytest.mark.parametrize(
    ("parameters", "sums", "counts"),
    [
        ({}, [79, 81, 239, 241, 16000], [0, 1, 1, 2, 100]),
        ({"offset": 40.0}, [119, 121, 279, 281], [0, 1, 1, 2]),
        (
            {"photpts": [0, 100.0, 300.0]},
            [99, 100, 299, 300, 459, 461],
            [0, 1, 1, 2, 2, 3],
        ),
    ],
)
def test_the_number_of_photons_follows_from_the_sum(parameters, sums, counts):
    for adu, count in zip(sums, counts, strict=True):
        image = np.zeros((9, 9))
        image[4, 4] = adu
        assert single(image, **parameters)[1]["p_nPhotons"] == count


def test_positions_are_those_in_the_detector():
    shape = (2, 40, 50)
    image = np.zeros(shape, np.float32)
    image[1, 25, 30], image[1, 15, 15:17] = ONE, 0.5 * ONE
    image[1, 35, 20:22] = 1.25 * ONE, 0.75 * ONE
    roi = ROIFunc(ROI=[[1, 2], [10, 40], [5, 45]])
    roi.addFunc(drops := dropletFunc(threshold=10.0))
    drops.addFunc(photons := droplet2Photons(aduspphot=ONE))
    photons.addFunc(keep := Keep())
    noise = np.full(shape, NOISE, np.float32)
    attached(roi, Images(shape, noise=noise, unit="ADU")).process(image)
    found = keep.seen[0]
    assert found.panel.tolist() == [1, 1, 1, 1]
    assert found.row.tolist() == [15, 25, 35, 35]
    assert found.column.tolist() == [15.5, 30, 20, 20.75]
    row, column = np.unravel_index(found.pixel, (30, 40))
    assert (row + 10).tolist() == [15, 25, 35, 35]
    assert (column + 5).tolist() == [16, 30, 20, 21]


def test_the_order_of_the_panels_makes_no_difference():
    frame = photon_frame(np.random.default_rng(8), SHAPE, 0.1)
    drops, keep = chain(perPanel=True)
    results, found = drops.process(frame.image), keep.seen[0]
    turned, other = drops.process(frame.image[::-1]), keep.seen[0]
    np.testing.assert_array_equal(results["p_prob"], turned["p_prob"])
    np.testing.assert_array_equal(results["p_prob_panel"], turned["p_prob_panel"][::-1])
    for panel in (0, 1):
        one, two = found.panel == panel, other.panel == 1 - panel
        np.testing.assert_array_equal(found.row[one], other.row[two])
        np.testing.assert_array_equal(found.column[one], other.column[two])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "aduspphot = None of 'droplet2phot': it is needed"),
        ({"aduspphot": 0.0}, "above 0"),
        ({"aduspphot": float("nan")}, "nan is no number"),
        ({"aduspphot": 1.0, "offset": 1.5}, "from 0 to below"),
        ({"aduspphot": 1.0, "offset": 0.5, "photpts": [0, 1]}, "give one"),
        ({"aduspphot": 1.0, "photpts": [0, 2, 1]}, "must grow"),
        ({"aduspphot": 1.0, "ROIs": [[3, 2, 1]]}, "is not a region"),
        ({"adusphot": 1.0}, "Did you mean 'aduspphot'"),
    ],
)
def test_parameters_that_make_no_sense(parameters, message):
    with pytest.raises(ParameterError, match=message):
        droplet2Photons(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"aduspphot": 154.0, "eBeam": 9.5}, "far above a photon of eBeam = 9.5 keV"),
        ({"aduspphot": 9.5, "eBeam": 9500.0}, "photon energy"),
        ({"aduspphot": 9.5, "ROIs": [[[0, 3], [0, 5], [0, 5]]]}, "does not lie"),
        ({"aduspphot": 9.5, "mask": np.ones((2, 2))}, "shape"),
    ],
)
def test_detectors_that_do_not_fit(parameters, message):
    source = Images(SHAPE, noise=np.ones(SHAPE, np.float32), unit="keV")
    with pytest.raises(ParameterError, match=message):
        chain(source=source, **parameters)


def test_a_region_without_a_good_pixel():
    good = np.ones(SHAPE, bool)
    good[0, :5, :5] = False
    source = Images(SHAPE, good, noise=np.ones(SHAPE, np.float32))
    with pytest.raises(ParameterError, match="in ROIs of 'p' is good"):
        chain(source=source, ROIs=[[[0, 1], [0, 5], [0, 5]]])


def test_the_energy_is_compared_in_kev_only():
    noise = np.ones(SHAPE, np.float32)
    chain(source=Images(SHAPE, noise=noise, unit="ADU"), eBeam=9.5)
    chain(source=Images(SHAPE, noise=noise), aduspphot=9.5, eBeam=9.5)


def test_photons_of_an_image_are_refused():
    with pytest.raises(ParameterError, match="works on droplets"):
        ROIFunc().addFunc(droplet2Photons(aduspphot=1.0))
