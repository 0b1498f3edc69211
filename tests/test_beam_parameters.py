"""Centre, distance, energy and polarization, as functions and files share them."""

from __future__ import annotations

import numpy as np
import pytest

from smalldata_ana.ana_funcs import azav_pyfai, droplet2Photons
from smalldata_ana.ana_funcs.beam_parameters import (
    BeamParameters,
    GeometryParameters,
    completed,
)
from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import model_of

FULL = {"center": [1.0, 2.0], "dis_to_sam": 80.0, "eBeam": 9.5}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"center": 5}, "two finite numbers"),
        ({"tx": None}, "a finite number"),
        ({"center": [1]}, "two finite numbers"),
        ({"center": ["1", "2"]}, "two finite numbers"),
        ({"dis_to_sam": -1}, "must be above 0"),
        ({"dis_to_sam": np.nan}, "a finite number"),
        ({"dis_to_sam": "80"}, "a finite number"),
        ({"dis_to_sam": True}, "a finite number"),
        ({"eBeam": 9500}, "in keV: a photon energy of 9500 keV is not possible"),
        ({"eBeam": 0}, "in keV"),
        ({"ty": -90}, "from -89 to 89"),
        ({"polarization": "plane"}, "no polarization 'plane'"),
        ({"polarization": -0.1}, "a number from 0 to 1"),
        ({"Pplane": 2}, "from 0 to 1"),
        ({"Pplane": 1, "polarization": "horizontal"}, "give one"),
        ({"dist_to_sam": 5}, "Did you mean 'dis_to_sam'?"),
    ],
    ids=str,
)
def test_wrong_values(wrong, says):
    with pytest.raises(ParameterError, match=says.replace("?", r"\?")):
        BeamParameters(**wrong)


def test_numbers_of_numpy():
    given = BeamParameters(
        center=np.array([1, 2], np.float32),
        dis_to_sam=np.int64(80),
        eBeam=np.float32(9),
    )
    assert given.center == [1.0, 2.0]
    assert given.beam("azav") == BeamGeometry((1.0, 2.0), 80.0, 9.0)


def test_geometry_of_the_beam():
    beam = BeamParameters(**FULL, tx=1, ty=-2).beam("azav")
    assert beam == BeamGeometry((1.0, 2.0), 80.0, 9.5, (1.0, -2.0))


@pytest.mark.parametrize("missing", FULL)
def test_what_is_missing_is_named(missing):
    values = {key: value for key, value in FULL.items() if key != missing}
    with pytest.raises(ParameterError, match=rf"'azav' needs {missing} \["):
        BeamParameters(**values).beam("azav")


def test_the_energy_may_be_missing():
    beam = BeamParameters(center=[1, 2], dis_to_sam=80).beam("azav", energy=False)
    assert beam.energy is None


@pytest.mark.parametrize(
    ("given", "fraction"),
    [
        ({"polarization": "horizontal"}, 1),
        ({"polarization": "vertical"}, 0),
        ({"polarization": 0.3}, 0.3),
        ({"Pplane": 0}, 0),
        ({"Pplane": 1}, 1),
    ],
    ids=str,
)
def test_fraction(given, fraction):
    assert BeamParameters(**given).fraction("azav") == fraction


def test_the_polarization_is_never_assumed():
    with pytest.raises(ParameterError, match="polarization='horizontal'"):
        BeamParameters(**FULL).fraction("azav")


def test_geometry_entry():
    assert model_of("geometry") is GeometryParameters
    assert not GeometryParameters.is_named()
    GeometryParameters()
    found = GeometryParameters(**FULL, center_err=[0.5, 1], eBeam_err=0)
    assert found.center_err == [0.5, 1.0]
    with pytest.raises(ParameterError, match="tx_err"):
        GeometryParameters(tx_err=-1)


def test_an_entry_takes_what_it_lacks():
    geometry = FULL | {"polarization": "vertical", "center_err": [1, 1], "tx": None}
    found = completed({"eBeam": 12.0, "Pplane": 1.0, "qbin": 0.1}, geometry)
    assert found == {
        "center": [1.0, 2.0],
        "dis_to_sam": 80.0,
        "eBeam": 12.0,
        "Pplane": 1.0,
        "qbin": 0.1,
    }


def test_what_a_parameter_stands_for_is_not_taken_from_the_geometry():
    geometry = FULL | {"polarization": 1.0, "tx": 2.0}
    found = completed({"poni_file": "a.poni"}, geometry, azav_pyfai)
    assert found == {"poni_file": "a.poni", "eBeam": FULL["eBeam"], "polarization": 1.0}
    found = completed({"polarization_factor": 0.5}, geometry, azav_pyfai)
    assert "polarization" not in found


def test_photons_take_the_energy_and_nothing_else():
    assert completed({}, FULL, droplet2Photons) == {"eBeam": FULL["eBeam"]}
