"""Distance and energy that follow a variable of the run; centres without them."""

import logging

import h5py
import numpy as np
import pytest
from produced import produced

from smalldata_ana.ana_funcs.beam_parameters import GeometryParameters
from smalldata_ana.ana_funcs.followed_values import followed
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

SHAPE = (24, 16)
HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
RAW = '[[detector.opal.common_mode]]\nruns = "1-"\ncommon_mode = -1\n'
AZAV = (
    '[[detector.opal.azav]]\nruns = "1-"\nname = "azav"\nqbin = 0.01\n'
    'polarization = "horizontal"\n'
)


@pytest.fixture
def run(tmp_path):
    z = np.arange(5.0) + 20
    bad = np.full(5, np.nan)
    path = write_run(
        tmp_path / "run.h5",
        experiment="xpptut15",
        run=12,
        images={"opal": np.ones((5, *SHAPE), np.uint16)},
        scalars={
            "epics/det_z": z,
            "epics/photon_energy": np.full(5, 9500),
            "epics/gone": bad,
            "epics/text": np.array(["a"] * 5, object),
            "gasdet/energy": z,
        },
    )
    run = Hdf5Run(path)
    run.aliases = {"det_z": "XPP:DET:Z.RBV"}
    row, column = np.indices(SHAPE)
    yield run, row, column
    run.close()


@pytest.mark.parametrize("name", ["det_z", "XPP:DET:Z.RBV"])
def test_the_value_is_that_of_the_first_event(run, name):
    values = {"center": [1.0, 2.0], "dis_to_sam": {"pv": name}}
    assert followed(values, run[0]) == {"center": [1.0, 2.0], "dis_to_sam": 20.0}


def test_offset_and_scale(run):
    table = {"pv": "photon_energy", "offset": 0.5, "scale": 0.001}
    assert followed({"eBeam": table}, run[0])["eBeam"] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("det_zz", r"dis_to_sam: no EPICS variable 'det_zz' .*Did you mean 'det_z'\?"),
        ("XPP:DET:Z", r"Did you mean 'XPP:DET:Z.RBV'\?"),
        ("gasdet/energy", "no EPICS variable"),
        ("gone", "nan at the first event of run 12"),
        ("text", "'a' at the first event"),
    ],
)
def test_variables_that_give_no_number(run, name, message):
    with pytest.raises(ParameterError, match=message):
        followed({"dis_to_sam": {"pv": name}}, run[0])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "pv"),
        ({"pv": ""}, "pv"),
        ({"pv": 3}, "pv"),
        ({"pv": "a", "ofset": 1.0}, r"Did you mean 'offset'\?"),
        ({"pv": "a", "offset": "b"}, "offset"),
        ({"pv": 3, "ofset": 1}, r"pv = 3 is not the name .* Did you mean 'offset'\?"),
        ({"pv": "a", "scale": float("nan")}, "scale"),
    ],
)
def test_wrong_tables(table, message):
    with pytest.raises(ParameterError, match=message):
        GeometryParameters(dis_to_sam=table)


def test_only_the_geometry_follows():
    text = AZAV + 'dis_to_sam = { pv = "det_z" }\n'
    with pytest.raises(ParameterError, match="dis_to_sam"):
        ParameterFile.parse(HEAD + text, "p.toml")


def build(run, text, tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(HEAD + RAW + text)
    resolved = ParameterFile.load(path).resolve(12)
    return resolved, build_detectors(run, resolved)


def test_the_pipeline_takes_and_records_it(run, tmp_path, caplog, monkeypatch):
    given = positions(run)
    monkeypatch.setattr(type(run[0]), "pixel_positions", lambda *_: given)
    text = (
        '[[detector.opal.geometry]]\nruns = "1-"\ncenter = [0.0, 0.0]\n'
        'dis_to_sam = { pv = "det_z", offset = 100.0, scale = -1.0 }\neBeam = 9.5\n'
    )
    with caplog.at_level(logging.INFO, "smalldata_ana"):
        resolved, detectors = build(run[0], text + AZAV, tmp_path)
    assert "dis_to_sam = 80 in run 12" in caplog.text
    assert detectors[0].funcs["azav"].dis_to_sam == 80.0
    with h5py.File(produced(run[0], resolved, tmp_path)) as file:
        assert file["UserDataCfg/opal/azav__azav_dis_to_sam"][()] == 80.0


def positions(run):
    from smalldata_ana.sources.base import PixelPositions

    _, row, column = run
    x, y = row * 100.0 - 1200, column * 100.0 - 800
    return PixelPositions(x, y, np.zeros(SHAPE), 100.0)


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ('dis_to_sam = { pv = "det_zz" }\n', r"line 6: .*Did you mean 'det_z'\?"),
        ('dis_to_sam = { pv = "det_z", scale = -1.0 }\n', "line 6: .*above 0"),
        ("", r"line 9: .*needs dis_to_sam \[mm\] and eBeam \[keV\].*'geometry'"),
    ],
)
def test_what_is_missing_is_said(run, tmp_path, geometry, message):
    text = '[[detector.opal.geometry]]\nruns = "1-"\ncenter = [0.0, 0.0]\n' + geometry
    with pytest.raises(ParameterError, match=message):
        build(run[0], text + AZAV, tmp_path)
