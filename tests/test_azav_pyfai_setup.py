"""What `azav_pyfai` is set up with: places of the beam, sources of images, errors."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geometry_by_hand import SHAPE, TILTED
from image_source import Images, attached
from rotated_panels import SIZE, detector

from smalldata_ana.ana_funcs.azav_pyfai import azav_pyfai
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.detector.pyfai_geometry import write_poni
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import model_of

pytestmark = pytest.mark.filterwarnings("ignore:::(.*/)?(pyFAI|fabio|silx)([./]|$)")

PLAIN = {"geomCorr": False, "polCorr": False}


@pytest.fixture(scope="module")
def positions():
    return detector(rows=SHAPE[1], cols=SHAPE[2])


@pytest.fixture
def source(positions):
    return Images(SHAPE, positions=positions)


@pytest.fixture
def counts():
    return np.random.default_rng(5).poisson(7.0, SHAPE).astype(np.float32)


# -- where the beam is ----------------------------------------------------------------


@pytest.fixture
def poni(tmp_path, positions):
    beam = BeamGeometry((700.0, -450.0), 9.0, 9.5, (1.5, -2.5))
    write_poni(
        tmp_path / "beam.poni", beam, ImageGeometry.from_positions(positions, SHAPE)
    )
    return tmp_path / "beam.poni"


@pytest.mark.parametrize("unit", ["q_A^-1", "2th_deg"])
def test_poni_file_and_kwargs_are_as_parameters(source, positions, counts, poni, unit):
    text = dict(
        line.split(": ", 1) for line in poni.read_text().splitlines() if ": " in line
    )
    kwargs = {
        mine: float(text[theirs])
        for mine, theirs in {
            "dist": "Distance",
            "poni1": "Poni1",
            "poni2": "Poni2",
            "rot1": "Rot1",
            "rot2": "Rot2",
            "rot3": "Rot3",
            "wavelength": "Wavelength",
        }.items()
    }
    kwargs |= {"pixel1": 1e-6 * SIZE, "pixel2": 1e-6 * SIZE}
    common = {"polarization": 0.9, "int_units": unit, "npts": 30}
    expected = attached(azav_pyfai(**TILTED, **common), source)
    values = expected.process(counts)["azav"]
    for how in ({"poni_file": poni}, {"ai_kwargs": kwargs}):
        func = attached(azav_pyfai(**how, **common), source)
        np.testing.assert_allclose(func.process(counts)["azav"], values, rtol=1e-4)
        parameters = func.params_as_dict()
        np.testing.assert_allclose(parameters["q"], expected.params_as_dict()["q"])
        for key, value in TILTED.items():
            np.testing.assert_allclose(parameters[key], value, rtol=1e-6)
        assert "ai_kwargs" not in parameters


def test_energy_wins_over_that_of_a_poni_file(source, poni):
    common = {"polCorr": False, "int_units": "q_A^-1", "npts": 30}
    axes = [
        attached(azav_pyfai(poni_file=poni, **common, **more), source).params_as_dict()
        for more in ({}, {"eBeam": 19.0})
    ]
    np.testing.assert_allclose(axes[1]["q"], 2 * axes[0]["q"], rtol=1e-6)
    assert axes[1]["eBeam"] == 19.0


def test_poni_without_wavelength(source, poni):
    lines = [x for x in poni.read_text().splitlines() if "Wavelength" not in x]
    poni.write_text("\n".join(lines) + "\n")
    attached(azav_pyfai(poni_file=poni, polCorr=False, int_units="r_mm"), source)
    with pytest.raises(ParameterError, match=r"needs the energy.* give eBeam"):
        attached(azav_pyfai(poni_file=poni, int_units="q_A^-1"), source)
    func = azav_pyfai(poni_file=poni, eBeam=9.5, int_units="q_A^-1", polCorr=False)
    attached(func, source)


# -- sources of images ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["parameters", "poni"])
def test_of_a_region_of_one_panel(source, counts, poni, how):
    beam = {"poni_file": poni} if how == "poni" else TILTED
    common = beam | {"polarization": 1, "npts": 20, "radial_range": [20, 32]}
    region = ROIFunc(ROI=[[2, 3], [2, 18], [1, 20]])
    func = azav_pyfai(**common)
    region.addFunc(func)
    found = attached(region, source).process(counts)["pyfai_azav"]
    use = np.zeros(SHAPE, bool)
    use[2, 2:18, 1:20] = True
    expected = attached(azav_pyfai(**common, userMask=use), source)
    np.testing.assert_allclose(found, expected.process(counts)["azav"], rtol=1e-4)
    assert np.isfinite(found).sum() > 3


def test_functions_of_a_detector_do_not_disturb_each_other(source, counts):
    use = np.ones(SHAPE, bool)
    use[:2] = False
    settings = [
        {"npts": 20, "polarization": 1},
        {"npts": 20, "polarization": 1, "userMask": use},
        {"npts": 30, "npts_az": 4, "return2d": True, "polarization": 0},
    ]
    together = [attached(azav_pyfai(**TILTED, **s), source) for s in settings]
    found = [func.process(counts)["azav"] for func in together]
    for values, setting in zip(found, settings, strict=True):
        alone = Images(SHAPE, positions=source.positions)
        func = attached(azav_pyfai(**TILTED, **setting), alone)
        np.testing.assert_array_equal(values, func.process(counts)["azav"])


@pytest.mark.parametrize("return2d", [False, True])
@pytest.mark.parametrize("error_model", [None, "azimuthal"])
def test_results_are_as_described(source, counts, return2d, error_model):
    func = azav_pyfai(
        **TILTED,
        polarization=1,
        npts=20,
        npts_az=6,
        return2d=return2d,
        error_model=error_model,
    )
    fields = attached(func, source).describe()
    results = func.process(counts)
    assert fields.keys() == results.keys()
    assert len(fields) == 1 + (error_model is not None)
    for key, field in fields.items():
        field.checked(key, results[key])
        assert field.unit == "keV"
        assert results[key].dtype == np.float32
    assert ("az" in func.params_as_dict()) == return2d


def test_it_can_stand_in_a_parameter_file():
    model = model_of("azav_pyfai")
    assert model is azav_pyfai
    assert "poni_file" in model.file_keys()
    assert "userMask" not in model.file_keys()


def test_setup_writes_nothing_and_is_silent(tmp_path):
    code = """
import logging, sys
logging.basicConfig(level=logging.WARNING)
sys.path.insert(0, sys.argv[1])
import numpy as np
from image_source import Images, attached
from rotated_panels import detector
from smalldata_ana.ana_funcs.azav_pyfai import azav_pyfai
func = azav_pyfai(center=[0, 0], dis_to_sam=9, polarization=1, return2d=True)
attached(func, Images((6, 12, 16), positions=detector()))
func.process(np.zeros((6, 12, 16)))
"""
    tests = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, tests],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(Path(tests).parent)},
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_levels_of_loggers_are_as_before(source):
    logger = logging.getLogger("pyFAI")
    level = logger.level
    attached(azav_pyfai(**TILTED, polarization=1), source)
    with pytest.raises(ParameterError):
        attached(azav_pyfai(poni_file="none.poni", polarization=1), source)
    assert logger.level == level


# -- errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"poni_file": "a.poni", "center": [0, 0]},
            "poni_file says the same as center",
        ),
        ({"poni_file": "a.poni", "ai_kwargs": {}}, "poni_file says .* ai_kwargs"),
        ({"poni_file": "a.poni", "tx": 1.0}, "same as tx"),
        ({"polarization_factor": 1, "polarization": 0.0}, "same as polarization"),
        ({"ai_kwargs": {"dist": 1}}, "lacks poni1 and poni2"),
        ({"ai_kwargs": {"dis": 1.0}}, "Did you mean 'dist'"),
        ({"ai_kwargs": {"dist": "far"}}, "ai_kwargs"),
        ({"npts": 0}, "npts"),
        ({"npts_radial": 10}, "no parameter 'npts_radial'"),
        ({"int_units": "q"}, "2th_deg"),
        ({"method": "split"}, "bbox"),
        ({"algorithm": "lut"}, "csc"),
        ({"error_model": "gauss"}, "poisson"),
        ({"polarization_factor": 1.1}, "from -1 to 1"),
        ({"radial_range": [3, 2]}, "lower limit"),
        ({"thres": np.nan}, "thres"),
        (
            {"return2d": True, "algorithm": "histogram", "error_model": "azimuthal"},
            "does not give these errors",
        ),
    ],
)
def test_parameters_that_cannot_be(parameters, message):
    with pytest.raises(ParameterError, match=message):
        azav_pyfai(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, r"needs center .* and dis_to_sam .*give poni_file"),
        ({"center": [0, 0]}, "needs dis_to_sam"),
        (TILTED, "polarization of the beam, which was not given"),
        (
            {"center": [0, 0], "dis_to_sam": 9, "int_units": "q_A^-1"},
            "needs eBeam",
        ),
        ({"poni_file": "none.poni"}, "no file none.poni"),
        ({"ai_kwargs": {"dist": -1, "poni1": 0, "poni2": 0}}, "not above 0"),
        (
            {"ai_kwargs": {"dist": 1, "poni1": 0, "poni2": 0, "pixel1": 1e-4}},
            "pixel1 = 100 um, but .* 75 um",
        ),
        (TILTED | PLAIN | {"radial_range": [80, 90]}, "no good pixel .* radial_range"),
        (TILTED | {"userMask": np.ones((2, 3))}, "userMask has shape"),
        (TILTED | {"userMask": np.zeros(SHAPE)}, "all are masked"),
    ],
)
def test_setup_that_cannot_be(source, parameters, message):
    with pytest.raises(ParameterError, match=message):
        attached(azav_pyfai(**parameters), source)


def test_poni_of_another_detector(source, poni):
    other = flat_positions((100, 90), SIZE)
    with pytest.raises(ParameterError, match=r"for images of \(\d+, \d+\), but"):
        attached(
            azav_pyfai(poni_file=poni, polCorr=False),
            Images((100, 90), positions=other),
        )


def test_no_positions(source):
    with pytest.raises(ParameterError, match=r"positions .* not known"):
        attached(azav_pyfai(**TILTED), replace(source, positions=None))


def test_image_of_another_shape(source):
    func = attached(azav_pyfai(**TILTED, polCorr=False), source)
    with pytest.raises(ParameterError, match="set up for images of"):
        func.process(np.zeros((5, *SHAPE[1:])))
