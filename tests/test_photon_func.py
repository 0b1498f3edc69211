"""Photons counted pixel by pixel: against known photons, and the rule in numpy."""

import numpy as np
import pytest
from image_source import Images, attached
from photon_frames import ONE, photon_frame

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.photon import photonFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.errors import ParameterError

SHAPE = (2, 30, 40)


class Copy(DetObjectFunc):
    """Stores the image that it is given."""

    def process(self, data):
        return {"image": data.copy()}


def photons(image, source=None, **parameters):
    """Return the number of photons, and the image of photons."""
    func = photonFunc(**{"ADU_per_photon": ONE} | parameters)
    func.addFunc(Copy(name="copy"))
    attached(func, source or Images(image.shape, unit="ADU"))
    results = func.process(image)
    return results["nPhot"], results["copy_image"]


def by_the_rule(image, good, one, least, fraction):
    """Return the image of photons, pixel by pixel in plain Python."""
    counts = good & np.isfinite(image) & (image >= max(least, 0))
    value = np.where(counts, image, 0).astype(np.float32) / np.float32(one)
    whole = np.floor(value)
    rest = value - whole
    whole += rest >= fraction
    rest[rest >= fraction] = 0
    free = rest.copy()
    for p, r, c in np.ndindex(*image.shape):
        near = [(p, r, c + 1), (p, r, c - 1), (p, r + 1, c), (p, r - 1, c)]
        near = [
            x for x in near if 0 <= x[1] < image.shape[1] and 0 <= x[2] < image.shape[2]
        ]
        if rest[p, r, c] < 0.5 or any(
            rest[x] > rest[p, r, c] or (rest[x] == rest[p, r, c] and x < (p, r, c))
            for x in near
        ):
            continue
        best = max(near, key=lambda x: free[x])
        if rest[p, r, c] + max(free[best], 0) >= fraction:
            whole[p, r, c] += 1
            free[p, r, c] = free[best] = -1
    return whole


@pytest.mark.parametrize("seed", range(4))
def test_the_rule(seed):
    rng = np.random.default_rng(seed)
    image = rng.gamma(1.0, 100.0, SHAPE).astype(np.float32)
    image[0, ::9, ::7] = np.nan
    image[1, ::9, ::7] = np.inf
    image[0, 1::9, ::7] *= -1
    good = rng.random(SHAPE) > 0.1
    count, found = photons(image, Images(SHAPE, good), thresADU=10.0)
    expected = by_the_rule(image, good, ONE, 10.0, np.float32(0.9))
    np.testing.assert_array_equal(found, expected)
    assert count == expected.sum()
    assert found.dtype == np.float32


@pytest.mark.parametrize("occupancy", [0.001, 0.01, 0.1])
def test_photons_that_light_one_pixel_are_all_counted(occupancy):
    frame = photon_frame(np.random.default_rng(3), (1, 300, 300), occupancy, noise=0)
    counts = frame.by_pixel
    image = np.random.default_rng(4).normal(0, 2.5, counts.shape) + ONE * counts
    count, found = photons(image)
    assert count == pytest.approx(frame.row.size, rel=0.01)
    assert np.mean(found == counts) > 0.999


@pytest.mark.parametrize("share", [0.5, 0.6, 0.75, 0.95])
@pytest.mark.parametrize("neighbour", [(5, 6), (5, 4), (6, 5), (4, 5)])
def test_two_pixels_make_a_photon(share, neighbour):
    image = np.zeros((10, 10))
    image[5, 5], image[neighbour] = share * ONE, (1 - share) * ONE
    count, found = photons(image)
    assert count == 1
    assert found[5, 5] + found[neighbour] == 1


def test_the_fraction_that_is_needed():
    image = np.zeros((10, 10))
    image[5, 5], image[5, 6] = 0.5 * ONE, 0.3 * ONE
    assert photons(image)[0] == 0
    assert photons(image, thr_fraction=0.8)[0] == 1


def test_a_neighbour_is_used_once():
    image = np.zeros((10, 10))
    image[5, 4:7] = np.array([0.6, 0.4, 0.6]) * ONE
    assert photons(image)[0] == 1


def test_photons_side_by_side_are_two():
    image = np.zeros((10, 10))
    image[5, 5], image[5, 6] = 0.95 * ONE, 0.98 * ONE
    assert photons(image)[0] == 2


def test_panels_are_not_neighbours():
    image = np.zeros(SHAPE)
    image[0, -1, 5], image[1, 0, 5] = 0.6 * ONE, 0.4 * ONE
    assert photons(image)[0] == 0


def test_empty_masked_and_saturated():
    mask = np.ones(SHAPE)
    mask[:, 10:] = 0
    source = Images(SHAPE, unit="ADU")
    func = attached(photonFunc(ADU_per_photon=ONE, mask=mask), source)
    assert func.process(np.zeros(SHAPE, np.float32)) == {"nPhot": 0}
    assert func.process(np.full(SHAPE, np.nan)) == {"nPhot": 0}
    full = np.full(SHAPE, 100_000 * ONE)
    full.flags.writeable = False
    assert func.process(full) == {"nPhot": 2 * 10 * 40 * 100_000}
    assert func.process(np.full(SHAPE, 1e38)) == {"nPhot": 0}


def test_it_passes_on_photons():
    func = photonFunc(ADU_per_photon=ONE)
    func.addFunc(inner := ROIFunc(ROI=[[0, 1], [0, 9], [0, 9]]))
    attached(func, Images(SHAPE, noise=np.ones(SHAPE), unit="ADU"))
    assert inner.source.unit == "photon"
    assert inner.source.noise is None
    image = np.zeros(SHAPE, np.float32)
    image[0, 3, 4] = 3 * ONE
    assert func.process(image)["ROI_sum"] == 3
    assert func.describe()["ROI_sum"].unit == "photon"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "ADU_per_photon = None of 'photon': it is needed"),
        ({"ADU_per_photon": -1.0}, "above 0"),
        ({"ADU_per_photon": 1.0, "thr_fraction": 0.4}, "from 0.5 to below 2"),
        ({"ADU_per_photon": 1.0, "thresADU": float("nan")}, "nan is no number"),
        ({"ADU_per_photon": 1.0, "thr_fracion": 0.9}, "Did you mean 'thr_fraction'"),
    ],
)
def test_parameters_that_make_no_sense(parameters, message):
    with pytest.raises(ParameterError, match=message):
        photonFunc(**parameters)


@pytest.mark.parametrize(
    ("parameters", "source", "message"),
    [
        ({"eBeam": 9.5}, Images(SHAPE), "far above a photon of eBeam"),
        ({}, Images((50,)), "rows and columns"),
        ({}, Images(SHAPE, np.zeros(SHAPE, bool)), "no good pixel"),
        ({"mask": np.ones(3)}, Images(SHAPE), "shape"),
    ],
)
def test_detectors_that_do_not_fit(parameters, source, message):
    with pytest.raises(ParameterError, match=message):
        attached(photonFunc(ADU_per_photon=ONE, **parameters), source)
