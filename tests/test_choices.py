"""Options that change the parameters: of detectors in a file, and of users' code."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import pytest
from small_run import small_run

from smalldata_ana.errors import ParameterError, UserCodeError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.prod_config import resolved_of_config
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.producing.choices import Choices
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.planning import Plan, plan
from smalldata_ana.producing.production import Production

CODE = """
from smalldata_ana import DetObject, DetObjectFunc

class Brightest(DetObjectFunc):
    def process(self, data):
        return {'value': float(data.max())}

def define_dets(run):
    detectors = []
    for name in ('opal', 'jungfrau1M'):
        detector = DetObject(name, ds.env(), run, common_mode=-1)
        detector.addFunc(Brightest(name='brightest'))
        detector.storeSum('calib')
        detectors.append(detector)
    return detectors
"""
HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
RAW = '[[detector.{0}.common_mode]]\nruns = "1-"\ncommon_mode = -1\n'
REGION = '[[detector.{0}.roi]]\nruns = "1-"\nROI = [[0, 5], [0, 5]]\n'
SUMS = '[[detector.{0}.sums]]\nruns = "1-"\nsums = {1}\n'


@pytest.fixture
def run(tmp_path):
    run = small_run(tmp_path)
    yield run
    run.close()


@pytest.fixture
def of_code(tmp_path):
    def resolved(code: str = CODE) -> Resolved:
        path = tmp_path / "prod_config_test.py"
        path.write_text(code)
        return resolved_of_config(path, 12, "xpptut15")

    return resolved


def of_file(text: str) -> Resolved:
    return ParameterFile.parse(HEAD + text, Path("p.toml")).resolve(12)


def planned(run, resolved: Resolved, **choices) -> Plan:
    return plan(run, resolved, Path("parts"), Choices(**choices))


def done(run, resolved: Resolved, **choices) -> dict[str, list[str]]:
    """Return what is stored of each detector: results, and sums."""
    detectors = planned(run, resolved, **choices).detectors
    return {
        d.name: [*d.fields, *(key for key in d.sums if "nEvents" not in key)]
        for d in detectors
    }


BOTH = {name: ["brightest_value", "calib"] for name in ("opal", "jungfrau1M")}


def test_detectors_of_code_as_they_are_made(run, of_code):
    assert done(run, of_code()) == BOTH


def test_some_detectors_of_code_without_sums(run, of_code):
    found = done(run, of_code(), detectors=["opal"], sums=False)
    assert found == {"opal": ["brightest_value"]}


def test_images_of_detectors_of_code(run, of_code):
    found = done(run, of_code(), full=True, image=True, detectors=["opal"])
    assert {"brightest_value", "full_area", "image_img", "calib"} < set(found["opal"])
    assert list(found) == ["opal"]


def test_no_detectors_of_code(run, of_code):
    assert done(run, of_code(), default=True) == {}


def test_the_workers_have_the_same(run, of_code, tmp_path):
    choices = Choices(detectors=["opal"], sums=False, full=True)
    target = tmp_path / "out.h5"
    the_plan = plan(run, of_code(), tmp_path / "parts", choices, size=3)
    with_two = Workers(2)
    Production(the_plan, target).run(with_two)
    with_two.close()
    with h5py.File(target) as file:
        assert file["opal/brightest_value"].shape == (len(run),)
        assert file["opal/full_area"].shape[0] == len(run)
        assert "jungfrau1M" not in file
        assert not file.get("Sums", {})


def test_a_name_that_neither_code_nor_run_has(run, of_code):
    with pytest.raises(ParameterError, match=r"no area detector 'opel'.*mean 'opal'"):
        planned(run, of_code(), detectors=["opel"])


def test_a_detector_without_entries_is_told(run, caplog):
    resolved = of_file(RAW.format("jungfrau1M"))
    assert done(run, resolved, detectors=["opal"]) == {"opal": []}
    assert "nothing is computed of the images of 'opal': p.toml" in caplog.text


def test_a_detector_that_only_code_makes_is_not(run, of_code, caplog):
    done(run, of_code(), detectors=["opal"])
    assert "nothing is computed" not in caplog.text


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("", ["calib"]),
        (SUMS.format("opal", '["square"]'), ["square"]),
        (SUMS.format("opal", "[]"), []),
    ],
)
def test_the_usual_sums(run, said, stored):
    resolved = of_file(RAW.format("opal") + REGION.format("opal") + said)
    found = done(run, resolved)["opal"]
    assert [key for key in found if not key.startswith("ROI")] == stored
    assert any(key.startswith("ROI_0") for key in found)
    found = done(run, resolved, sums=False)["opal"]
    assert all(key.startswith("ROI_0") for key in found)


def test_the_usual_sums_are_those_of_a_config(run, of_code):
    code = "detectors = ['opal']\ndef get_common_mode(run):\n    return {}\n"
    assert done(run, of_code(code))["opal"] == ["calib"]
    code += "def get_sum_algos(run):\n    return {}\n"
    assert done(run, of_code(code))["opal"] == []


def test_a_module_that_define_dets_may_need(of_code):
    with pytest.raises(ParameterError, match="no module 'absent_one', which it imp"):
        of_code("import absent_one\n" + CODE)
    excused = "try:\n    import absent_one\nexcept ImportError:\n    pass\n"
    assert of_code(excused + CODE).define_dets is not None


def test_a_module_beside_the_code(run, of_code, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "beside_it.py").write_text("NAME = 'opal'\n")
    code = CODE.replace("('opal', 'jungfrau1M')", "[beside_it.NAME]")
    assert list(done(run, of_code("import beside_it\n" + code))) == ["opal"]


def test_an_error_of_the_code_is_still_its_own(run, of_code):
    with pytest.raises(UserCodeError, match="ZeroDivisionError"):
        planned(run, of_code(CODE.replace("detectors = []", "1 / 0")))
