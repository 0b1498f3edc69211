"""Which polarization an image fits: patterns with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from azimuthal_reference import BEAM, TILT, panels
from geometry_by_hand import ByHand
from image_source import Images, attached

from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.ana_funcs.polarization import checkPolarization
from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.errors import NoDataError, ParameterError

POSITIONS = panels()
SHAPE = POSITIONS.x.shape
HAND = ByHand(POSITIONS, **BEAM)
SOURCE = Images(SHAPE, positions=POSITIONS)
AT = BeamGeometry(tuple(BEAM["center"]), BEAM["dis_to_sam"])


def rings(fraction, mean=200.0):
    return mean * (1 + np.cos(5 * HAND.q)) * HAND.solid_angle * HAND.polarized(fraction)


def counted(fraction, seed=0):
    return np.random.default_rng(seed).poisson(rings(fraction)).astype(np.float32)


@pytest.mark.parametrize("fraction", [0, 0.2, 0.5, 0.9, 1])
def test_fraction(fraction):
    found = checkPolarization(counted(fraction), SOURCE, AT)
    assert abs(found.fraction - fraction) < 5 * found.fraction_err
    assert found.fraction_err < 0.02
    wanted = {0: "vertical", 0.2: "vertical", 0.5: "neither"}
    assert found.fits == wanted.get(fraction, "horizontal")
    assert found.fits in str(found)


def test_error():
    found = [checkPolarization(counted(0.8, seed), SOURCE, AT) for seed in range(30)]
    off = [(each.fraction - 0.8) / each.fraction_err for each in found]
    assert 0.6 < np.std(off) < 1.6
    assert abs(np.mean(off)) < 1


def test_sign_and_size_of_cos2phi():
    """On one ring, against a fit of the image itself."""
    ring = np.abs(HAND.q - 2.0) < 0.02
    phi = np.arctan2(HAND.rays[..., 0], HAND.rays[..., 1])[ring]
    pattern = HAND.polarized(1.0)
    wave = np.stack([np.ones_like(phi), np.cos(2 * phi), np.sin(2 * phi)])
    mean, cosine, _ = np.linalg.lstsq(wave.T, pattern[ring], rcond=None)[0]
    det = Images(SHAPE, positions=POSITIONS, good=ring)
    image = pattern * HAND.solid_angle
    found = checkPolarization(image, det, AT)
    assert found.cos2phi == pytest.approx(cosine / mean, rel=0.02)
    assert found.cos2phi < 0


def test_a_tilted_beam():
    """The pattern is made with the direction of the beam as the axis."""
    hand = ByHand(POSITIONS, **BEAM, **TILT)
    side = np.cross(hand.direction, [1.0, 0, 0])
    side /= np.linalg.norm(side)
    polarized = 1 - (hand.rays @ side / hand.far) ** 2
    beam = BeamGeometry(AT.center, AT.distance, tilt=(TILT["tx"], TILT["ty"]))
    found = checkPolarization(polarized * hand.solid_angle, SOURCE, beam)
    assert found.fraction == pytest.approx(1, abs=0.01)


def test_a_background_makes_it_smaller():
    found = checkPolarization(rings(1) + 100 * HAND.solid_angle, SOURCE, AT)
    assert 0.6 < found.fraction < 0.95
    assert found.fits == "horizontal"


def test_masked_and_invalid_pixels():
    good = np.random.default_rng(7).uniform(size=SHAPE) > 0.2
    image = np.where(good, counted(1), 1e5).astype(np.float32)
    image[0, 0, :9] = np.nan
    det = Images(SHAPE, positions=POSITIONS, good=good)
    assert checkPolarization(image, det, AT).fraction == pytest.approx(1, abs=0.05)


def test_from_a_function():
    """The polarization that the function was given does not matter."""
    mask = np.ones(SHAPE)
    mask[3] = 0
    image = counted(1)
    image[3] = 1e6
    for polarization in ("vertical", "horizontal"):
        func = azimuthalBinning(**BEAM, polarization=polarization, userMask=mask)
        found = attached(func, SOURCE).checkPolarization(image)
        assert found.fits == "horizontal"


def test_nothing_to_tell_from():
    with pytest.raises(NoDataError, match="does not tell"):
        checkPolarization(np.zeros(SHAPE), SOURCE, AT)
    with pytest.raises(NoDataError, match="no good pixel"):
        checkPolarization(np.full(SHAPE, np.nan), SOURCE, AT)
    with pytest.raises(ParameterError, match="shape"):
        checkPolarization(np.zeros((3, 3)), SOURCE, AT)
