"""What is wrong with the parameters of `azimuthalBinning`, and how it is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from azimuthal_reference import BEAM, panels
from image_source import Images, attached

from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.ana_funcs.projection import projectionFunc
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import model_of

POSITIONS = panels(rows=6, cols=8)
SHAPE = POSITIONS.x.shape
BOTH = BEAM | {"polarization": "horizontal"}
SQUARE = np.ones((3, 3))


def without(*keys):
    return {key: value for key, value in BOTH.items() if key not in keys}


def refused(det=None, /, **parameters):
    det = det or Images(SHAPE, positions=POSITIONS)
    with pytest.raises(ParameterError) as error:
        attached(azimuthalBinning(**parameters), det)
    return str(error.value)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"phibins": 3}, "Did you mean 'phiBins'?"),
        ({"phiBins": 0}, "a number of bins"),
        ({"phiBins": 2.5}, "a number of bins"),
        ({"phiBins": True}, "a number of bins"),
        ({"phiBins": [0, 90, 45]}, "growing"),
        ({"phiBins": [0, 400]}, "more than a circle"),
        ({"phiBins": [0, 1.5708, 3.1416]}, "[0.0, 90.0, 180.0]"),
        ({"qbin": 0}, "a width above 0"),
        ({"qbin": -0.1}, "a width above 0"),
        ({"qbin": np.nan}, "a width above 0"),
        ({"qbin": "0.1"}, "a width above 0"),
        ({"qbin": []}, "a width above 0"),
        ({"qbin": 1e-9}, "wider ones"),
        ({"phiBins": 10**9}, "wider ones"),
        ({"phiBins": 10**5, "qbin": 0.001}, "wider ones"),
        ({"nBins": 10**9}, "wider ones"),
        ({"qbin": [50, 60]}, "no good pixel"),
        ({"nBins": 0}, "nBins"),
        ({"nBins": 10, "rbin": 5.0}, "give it, or rbin"),
        ({"rbin": -5.0}, "a width above 0"),
        ({"dis_to_sam": 0}, "must be above 0"),
        ({"dis_to_sam": None}, "needs dis_to_sam [mm]"),
        ({"center": None}, "needs center [um]"),
        ({"center": [1, 2, 3]}, "two finite numbers"),
        ({"center": [1, np.inf]}, "two finite numbers"),
        ({"eBeam": None}, "needs eBeam [keV]"),
        ({"eBeam": 9500}, "eBeam is in keV"),
        ({"tx": 95}, "from -89 to 89"),
        ({"polarization": None}, "polarization='horizontal'"),
        ({"polarization": "horisontal"}, "Did you mean 'horizontal'?"),
        ({"polarization": 1.5}, "a number from 0 to 1"),
        ({"Pplane": 1}, "give one"),
        ({"thresADU": 5, "thresADUhigh": 5}, "not below"),
        ({"thresRms": 5}, "noise"),
        ({"ADU_per_Photon": 0}, "must be above 0"),
        ({"ADU_per_Photon": 162}, "in which a photon is 9.5"),
        ({"sensor_thickness": 320}, "attenuation_length"),
        ({"userMask": SQUARE}, "userMask has shape (3, 3)"),
        ({"darkImg": SQUARE}, "darkImg has shape (3, 3)"),
        ({"gainImg": SQUARE}, "gainImg has shape (3, 3)"),
        ({"userMask": np.zeros(SHAPE)}, "all are masked"),
        ({"gainImg": np.zeros(SHAPE)}, "all are masked"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_parameters(parameters, says):
    assert says in refused(**BOTH | parameters)


def test_all_that_is_missing_is_named():
    found = refused(polarization="horizontal")
    assert "center [um] and dis_to_sam [mm] and eBeam [keV]" in found
    assert "'geometry' entry" in found


def test_a_detector_without_good_pixels():
    det = Images(SHAPE, positions=POSITIONS, good=np.zeros(SHAPE, bool))
    assert "all are masked" in refused(det, **BOTH)


def test_a_detector_without_geometry():
    assert "geometry" in refused(Images(SHAPE), **BOTH)


def test_a_detector_without_normals():
    class Bent(Images):
        normals = None

    det = Bent(SHAPE, positions=POSITIONS)
    assert "geomCorr=False" in refused(det, **BOTH)
    attached(azimuthalBinning(**BOTH, geomCorr=False), det)


def test_an_image_of_another_shape():
    func = attached(azimuthalBinning(**BOTH), Images(SHAPE, positions=POSITIONS))
    with pytest.raises(ParameterError, match="set up for images of"):
        func.process(np.zeros((3, 3), np.float32))


def test_before_the_set_up():
    func = azimuthalBinning(**BOTH)
    assert "q" not in func.params_as_dict()
    with pytest.raises(ParameterError, match="belongs to no detector"):
        func.describe()


def test_nothing_can_be_chained_to_it():
    with pytest.raises(ParameterError, match="passes nothing on"):
        azimuthalBinning(**BOTH).addFunc(projectionFunc())


def test_a_second_detector():
    """All is made anew, also where the first one could not be used."""
    func = azimuthalBinning(**BOTH, nBins=5)
    first = attached(func, Images(SHAPE, positions=POSITIONS)).params_as_dict()["q"]
    away = replace(POSITIONS, x=POSITIONS.x + 20000.0, extent=None)
    second = attached(func, Images(SHAPE, positions=away)).params_as_dict()["q"]
    assert second[0] > first[0]


def test_it_is_a_kind_of_entry():
    model = model_of("azav")
    assert model is azimuthalBinning
    assert {"center", "phiBins", "qbin"} <= set(model.file_keys())
    assert not {"userMask", "darkImg", "gainImg"} & set(model.file_keys())


def test_bins_are_said_once():
    with pytest.raises(ParameterError, match="nBins and qbin"):
        azimuthalBinning(nBins=20, qbin=[1.0, 2.0, 3.0])
