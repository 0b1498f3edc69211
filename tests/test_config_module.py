"""``--config``: a prod_config in upstream's style in the place of a parameter file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from produced import results
from small_run import EPIX, small_run

from smalldata_ana.commands.params import main
from smalldata_ana.errors import FileError, ParameterError, UserCodeError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.prod_config.config import config_file, resolved_of_config
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.producing.planning import plan
from smalldata_ana.sources.base import PixelPositions

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "producers/prod_config_template.py"
SEED = ROOT.parent / "shared/seeds/001_b099b5b73326b52b.txt"
BOX = [[0, 1], [4, 20], [5, 15]]


@pytest.fixture
def write(tmp_path):
    def write(code):
        path = tmp_path / "prod_config_test.py"
        path.write_text(code)
        return path

    return write


@pytest.fixture
def read(write):
    return lambda code, run=12: resolved_of_config(write(code), run, "xpptut15")


@pytest.fixture
def run(tmp_path):
    run = small_run(tmp_path)
    yield run
    run.close()


def said(resolved, detector):
    entries = resolved.detectors[detector]
    return [(e.kind, e.name, dict(e.values), e.of) for e in entries]


LCLS1 = f"""
detnames = ['jungfrau1M', 'opal']
epicsPV = ['sam_x', ['XPP:Y', 'sam_y']]
epicsOncePV = ['gas']
ttCalib = [0.1, -0.002]
def getROIs(run):
    if run > 10:
        return {{'jungfrau1M': [{{'ROI': {BOX}, 'name': 'A', 'pj': [{{'axis': 0}}]}}]}}
    return {{}}
def getDetSums(run):
    return {{'jungfrau1M': ['calib', 'calib_img']}}
"""
LCLS2 = (
    LCLS1.replace("detnames", "detectors")
    .replace("'pj'", "'proj_ax'")
    .replace("getDetSums", "get_sum_algos")
    + "def get_intg(run):\n    return 'opal', ['andor']\n"
)


@pytest.mark.parametrize("code", [LCLS1, LCLS2])
def test_names_of_both_generations(read, code):
    resolved = read(code)
    assert said(resolved, "jungfrau1M") == [
        ("roi", "A", {"ROI": BOX}, None),
        ("projection", "pj_ax_0", {"axis": 0}, "A"),
        ("sums", "", {"sums": ["calib", "calib_img"]}, None),
        ("use", "", {"use": True}, None),
    ]
    assert said(resolved, "opal") == [
        ("use", "", {"use": True}, None),
        ("sums", "", {"sums": []}, None),
    ]
    event = resolved.event
    assert event.epics == ["sam_x", ("XPP:Y", "sam_y")]
    assert event.epics_once == ["gas"]
    assert event.ttCalib == [0.1, -0.002]
    assert event.integrating == (["opal", "andor"] if code == LCLS2 else [])
    assert "roi" not in {e.kind for e in read(code, 10).detectors["jungfrau1M"]}
    assert resolved.run == 12
    assert resolved.path.name == "prod_config_test.py"


def test_what_it_says_is_a_parameter_file(read, tmp_path):
    resolved = read(LCLS2)
    path = tmp_path / "p.toml"
    path.write_text(resolved.text)
    assert ParameterFile.load(path).resolve(12).record() == resolved.record()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("'opal'", ["opal"]),
        ("('opal', [])", ["opal"]),
        ("(None, [])", []),
        ("None", []),
        ("(None, ['a', 'b'])", ["a", "b"]),
    ],
)
def test_integrating_detectors(read, value, expected):
    code = f"detectors = []\ndef get_intg(run):\n    return {value}\n"
    assert read(code).event.integrating == expected


@pytest.mark.parametrize("slow", ["andor", "ipm2"])
def test_an_absent_slow_detector_is_told_once(run, write, caplog, slow):
    code = f"detectors = ['opal']\ndef get_intg(run):\n    return '{slow}', []\n"
    resolved = resolved_of_config(write(code), 12, "xpptut15", run.detectors)
    assert plan(run, resolved, Path("parts")).job.event_data.integrating == ()
    told = [r for r in caplog.records if f"'{slow}'" in r.getMessage()]
    assert len(told) == 1


def test_without_sums_the_images_are_summed(read, run):
    resolved = read(LCLS1.split("def getDetSums", maxsplit=1)[0])
    for name in ("jungfrau1M", "opal"):
        assert ("sums", "", {"sums": ["calib"]}, None) in said(resolved, name)
    detectors = build_detectors(run, resolved)
    assert [d.name for d in detectors] == ["jungfrau1M", "opal"]
    assert all("calib" in d.storeSum() for d in detectors)


def test_a_detector_that_the_run_lacks_is_left_out(read, run, caplog):
    code = LCLS1.replace("'opal'", "'opal', 'jungfrau4M'")
    assert [d.name for d in build_detectors(run, read(code))] == ["jungfrau1M", "opal"]
    assert "no area detector 'jungfrau4M'" in caplog.text


@pytest.mark.parametrize(
    ("code", "messages"),
    [
        (
            "ttCalib = ['a', 'b']\nepicsPV = [3]\n"
            "def getROIs(run):\n    return {'jf': [{'writeAera': True}]}\n"
            "def get_azav(run):\n    return {'jf': {'qbn': 1.0}}\n",
            ["Did you mean 'writeArea'", "Did you mean 'qbin'", "ttCalib", "epicsPV"],
        ),
        ("def get_intg(run):\n    return [3]\n", ["get_intg: "]),
        ("1 / 0\n", ["ZeroDivisionError"]),
    ],
)
def test_all_that_is_wrong_is_told_at_once(read, code, messages):
    with pytest.raises(ParameterError) as error:
        read(code)
    assert all(message in str(error.value) for message in messages)


def test_what_is_not_read_is_told(read, caplog):
    read("detectors = []\nxdetectors = ['a']\nepicsPV = []\n")
    assert "xdetectors is not read" in caplog.text
    assert "epicsPV" not in caplog.text


def test_the_module_is_not_changed(write):
    path = write(LCLS1)
    before = path.stat()
    resolved_of_config(path, 12, "xpptut15")
    assert path.read_text() == LCLS1
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_which_file_is_meant(tmp_path, write):
    path = write("")
    assert config_file(str(path), ()) == path
    assert config_file("test", (tmp_path / "none", tmp_path)) == path
    with pytest.raises(FileError, match=r"there are 'test'\. Did you mean 'test'"):
        config_file("tets", (tmp_path,))


# -- define_dets -----------------------------------------------------------------------

OWN = """
import numpy as np
from smalldata_ana import DetObject, DetObjectFunc, ROIFunc, checkDet

class Brightest(DetObjectFunc):
    def process(self, data):
        return {'value': data.max()}

def define_dets(run):
    dets = []
    for name in ('opal', 'absent'):
        if checkDet(ds.env(), name):
            det = DetObject(name, ds.env(), int(run), common_mode=-1)
            det.addFunc(Brightest(name='brightest'))
            dets.append(det)
    return dets
"""


def test_own_functions_of_define_dets(read, run):
    resolved = read(LCLS1 + OWN)
    first, second = build_detectors(run, resolved)
    assert (first.name, second.name) == ("opal", "jungfrau1M")
    assert list(first.funcs) == ["brightest"]
    assert list(second.funcs) == ["A"]
    row = results(run, [first, second], 0)
    assert row["opal/brightest_value"] == run.read("opal", 0).max()


def test_a_script_of_the_seed(run, write):
    """The documentation's way to define detectors, to the letter."""
    if not SEED.exists():
        pytest.skip("the specification is not beside the checkout")
    (body,) = re.findall(
        r"    azIntParams = getAzIntParams\(run\).*?    return dets\n",
        SEED.read_text(),
        flags=re.DOTALL,
    )
    names = "['jungfrau1M', 'opal']"
    assert "detnames=['epix10k135', 'epix10k2M']" in body
    body = body.replace("['epix10k135', 'epix10k2M']", names)
    body = body.replace("common_mode=84", "common_mode=-1")
    code = (
        "from smalldata_ana import DetObject, ROIFunc, azimuthalBinning, checkDet\n"
        f"detnames = {names}\n"
        f"def getROIs(run):\n    return {{'jungfrau1M': [{BOX}, {BOX}]}}\n"
        "def getAzIntParams(run):\n    return {}\n"
        f"def define_dets(run):\n    dets = []\n{body}"
    )
    resolved = resolved_of_config(write(code), 12, "xpptut15")
    jungfrau, opal = build_detectors(run, resolved)
    assert list(jungfrau.funcs) == ["ROI_0", "ROI_1"]
    assert list(opal.funcs) == []
    row = results(run, [jungfrau, opal], 0)
    image = run.read("jungfrau1M", 0).astype(np.float32) * jungfrau.good
    np.testing.assert_allclose(row["jungfrau1M/ROI_1_sum"], image[0, 4:20, 5:15].sum())


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("def define_dets(run):\n    1 / 0\n", UserCodeError, "in define_dets"),
        (
            "def define_dets(run):\n    return 3\n",
            ParameterError,
            "returns 3, not a list",
        ),
        (
            "def define_dets(run):\n    return [3]\n",
            ParameterError,
            "which is no DetObject",
        ),
        (
            OWN.replace("return dets", "return dets * 2"),
            ParameterError,
            "returns 'opal' twice",
        ),
    ],
)
def test_what_define_dets_does_wrong(read, run, code, error, message):
    with pytest.raises(error, match=message) as found:
        build_detectors(run, read(code))
    assert "prod_config_test.py" in str(found.value)


def test_a_module_that_has_changed_since(read, write, run):
    resolved = read(LCLS1 + OWN)
    write(LCLS1 + OWN + "\n")
    with pytest.raises(ParameterError, match="has changed meanwhile"):
        build_detectors(run, resolved)


# -- the template ----------------------------------------------------------------------


def test_the_template_is_right(caplog):
    resolved = resolved_of_config(TEMPLATE, 12, "xpptut15")
    kinds = {
        name: [entry.kind for entry in entries]
        for name, entries in resolved.detectors.items()
    }
    assert kinds == {
        "jungfrau1M": ["roi", "projection", "sums", "azav", "use"],
        "epix100": ["droplet", "photons", "sparsify", "sums", "use"],
    }
    assert resolved.define_dets is None
    assert resolved.event.integrating == []
    assert not caplog.records


def test_what_a_parameter_file_cannot_say_is_told(write, capsys):
    arguments = ["from-prod-config", str(write(LCLS2 + OWN)), "--runs", "12-13"]
    assert main([*arguments, "-e", "xpptut15"]) == 0
    told = capsys.readouterr()
    assert "note: define_dets is not read" in told.err
    assert told.err.count("note: ") == 1
    assert "detector.jungfrau1M.roi" in told.out


# -- the polarization ------------------------------------------------------------------

AZAV = "{'center': [0.0, 0.0], 'dis_to_sam': 80.0, 'eBeam': 9.5, 'qbin': 1e-4%s}"


@pytest.fixture
def placed(run, monkeypatch):
    """Return the run, with the positions of the pixels of its camera."""
    row, column = np.indices(EPIX[1:])
    at = PixelPositions(row * 100.0, column * 100.0, np.zeros(EPIX[1:]), 100.0)
    monkeypatch.setattr(type(run), "pixel_positions", lambda *_: at)
    return run


@pytest.mark.parametrize("form", ["[%s]", "%s"])
def test_an_azimuthal_average_without_polarization_is_refused(read, placed, form):
    """Upstream takes it for vertical; here it must be given."""
    value = form % (AZAV % "")
    code = (
        f"detnames = ['opal']\ndef getAzIntParams(run):\n    return {{'opal': {value}}}"
    )
    with pytest.raises(ParameterError, match="polarization='horizontal', 'vertical'"):
        build_detectors(placed, read(code))


@pytest.mark.parametrize("given", [", 'Pplane': 1", ", 'polCorr': False"])
def test_with_it_the_average_is_made(read, placed, given):
    value = AZAV % given
    code = (
        f"detnames = ['opal']\ndef getAzIntParams(run):\n    return {{'opal': {value}}}"
    )
    (detector,) = build_detectors(placed, read(code))
    assert list(detector.funcs) == ["azav"]
