"""What stands in upstream's configurations beside parameters, and is taken as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from simulated import make
from small_run import EPIX, small_run

from smalldata_ana import opening
from smalldata_ana.commands.params import main as params
from smalldata_ana.commands.producer import main
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.prod_config.config import resolved_of_config
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.simulation.run_spec import DetectorSpec
from smalldata_ana.sources.base import PixelPositions

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "producers/prod_config_template.py"
BOX = [[0, 1], [4, 20], [5, 15]]
PRESENT = ("jungfrau1M", "opal")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "prod_config_test.py"


@pytest.fixture
def read(path):
    def read(code, present=PRESENT):
        path.write_text(code)
        return resolved_of_config(path, 12, "xpptut15", present)

    return read


@pytest.fixture
def run(tmp_path):
    run = small_run(tmp_path)
    yield run
    run.close()


@pytest.fixture
def produce(tmp_path, monkeypatch):
    """Return a function that runs the producer on the small run."""
    monkeypatch.setattr(opening, "open_run", lambda *_, **__: small_run(tmp_path))

    def run_it(*options):
        where = ["-d", str(tmp_path / "out"), "--nproc", "1"]
        return main(["-e", "xpptut15", "-r", "12", *where, *map(str, options)])

    return run_it


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "xpptut15_Run0012.h5"


def values(resolved, detector, kind):
    return [dict(e.values) for e in resolved.detectors[detector] if e.kind == kind]


# -- modules that are not there --------------------------------------------------------

IMPORTS = """
import a_plot
import no_package.inner as inner
from no_package.functions import Base, decorated
from star_package import *
detectors = ['opal']
class Mine(Base):
    pass
def getROIs(run):
    return {'opal': [{'ROI': [[0, 5], [0, 5]]}]}
def get_psplot_configs(run):
    return {'opal': {'callback': a_plot.Scan(inner.f(3))}}
"""


def test_modules_that_are_not_there_get_a_stand_in(read, caplog):
    assert values(read(IMPORTS), "opal", "roi") == [{"ROI": [[0, 5], [0, 5]]}]
    (told,) = [r.getMessage() for r in caplog.records if "no module" in r.getMessage()]
    for name in ("a_plot", "no_package.functions", "no_package.inner", "star_package"):
        assert name in told


def test_a_module_beside_that_needs_another(read, path, caplog):
    path.with_name("helping_plots.py").write_text("import not_there_at_all\n")
    read("import helping_plots\ndetectors = []\n")
    assert "no module helping_plots" in caplog.text


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = a_plot.Scan(3)\n", "a_plot.Scan is used, and there is no module a_plot"),
        ("def getROIs(run):\n    return a_plot.rois(run)\n", "a_plot.rois is used"),
        (
            "def getROIs(run):\n    return {'opal': [{'ROI': a_plot.box}]}\n",
            "getROIs: opal: a_plot.box, of a module that is not there is no parameter",
        ),
        ("from a_plot import rois as getROIs\n1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_what_uses_them_is_an_error(read, code, message):
    with pytest.raises(ParameterError, match=message):
        read("import a_plot\ndetectors = ['opal']\n" + code)


def test_a_module_that_expects_an_import_to_fail(read):
    code = (
        "try:\n    import a_plot\nexcept ImportError:\n    a_plot = None\n"
        "detectors = ['opal']\n"
        "def getROIs(run):\n    return {} if a_plot else {'opal': [[[0, 5], [0, 5]]]}\n"
    )
    assert values(read(code), "opal", "roi") == [{"ROI": [[0, 5], [0, 5]]}]


def test_a_library_still_sees_that_its_import_fails(read, path):
    path.with_name("careful.py").write_text(
        "try:\n    import a_plot\nexcept ImportError:\n    a_plot = None\n"
    )
    code = "import careful\ndetectors = ['x'] if careful.a_plot is None else []\n"
    assert list(read(code).detectors) == ["x"]


# -- values ----------------------------------------------------------------------------

WAVEFORM = """
detectors = ['opal', 'fim']
def get_wf_integrate(run):
    return {'fim': {'sig_roi': slice(102, 108), 'bkg_roi': %s}}
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [("slice(0, 80)", [0, 80]), ("slice(80)", [0, 80]), ("(2, 8)", [2, 8])],
)
def test_slices(read, given, expected):
    (found,) = values(read(WAVEFORM % given), "fim", "wfintegration")
    assert found == {"sig_roi": [102, 108], "bkg_roi": expected}


@pytest.mark.parametrize(
    "given", ["slice(5, None)", "slice(0, 9, 2)", "print", "object()"]
)
def test_what_is_no_data(read, path, given, caplog, capsys):
    with pytest.raises(ParameterError, match=r"get_wf_integrate: fim: .* no parameter"):
        read(WAVEFORM % given, present=["fim"])
    assert not values(read(WAVEFORM % given), "fim", "wfintegration")
    assert "left out, as the run has no fim: get_wf_integrate: fim: " in caplog.text
    assert params(["from-prod-config", str(path), "--runs", "12", "-e", "xpp1"]) == 2
    assert "get_wf_integrate: fim: " in capsys.readouterr().err


DROPLETS = """
detectors = ['opal']
def get_droplet2photon(run):
    return {'opal': {'droplet': {'threshold': 3.}, 'd2p': {'aduspphot': 9., %s}}}
"""


def test_what_only_measures_time_is_ignored(read, caplog):
    resolved = read(DROPLETS % "'cputime': True")
    assert values(resolved, "opal", "photons") == [{"aduspphot": 9.0}]
    assert "cputime of 'photons' of opal changes no result" in caplog.text
    with pytest.raises(ParameterError, match="'cputim'"):
        read(DROPLETS % "'cputim': True")


@pytest.mark.parametrize(
    ("given", "fits"), [(False, True), (None, True), (True, False)]
)
def test_images_of_photons(read, given, fits):
    code = DROPLETS.replace("%s}}", f"}}, 'nData': None, 'get_photon_img': {given}}}")
    if fits:
        kinds = [e.kind for e in read(code).detectors["opal"]]
        assert kinds[:3] == ["droplet", "photons", "sparsify"]
    else:
        with pytest.raises(ParameterError, match="images of the photons are not"):
            read(code)


def test_what_is_wrong_for_detectors_of_other_runs_is_a_warning(read, caplog):
    code = (
        "detectors = ['opal', 'hsd']\n"
        "def getROIs(run):\n"
        "    return {'hsd': {'hsd_0': [0, -1]}, 'opal': [[[0, 5], [0, 5]]]}\n"
    )
    assert values(read(code), "opal", "roi") == [{"ROI": [[0, 5], [0, 5]]}]
    assert re.search("the run has no hsd: getROIs: hsd: .*'hsd_0'", caplog.text)
    with pytest.raises(ParameterError, match="'hsd_0'"):
        read(code, present=["hsd"])


def test_time_tool_of_mec(read, caplog):
    code = """
import numpy as np
detnames = ['opal']
def get_mectt(run):
    return {'opal': [{'bkgdet': 'alvium_tt_calib', 'bkgfile': '/no/such.h5', 'sm': 3,
        'tilt': -4.7, 'roi_s': np.array([[2, 14], [8, 19]]), 'sigma_TT': 18,
        'roi_n': np.array([[1, 14], [2, 4]]), 'ttRaw': True, 'debug': False}]}
"""
    (found,) = values(read(code), "opal", "mectt")
    assert found["roi_s"] == [[2, 14], [8, 19]]
    assert "debug of 'mectt' of opal" in caplog.text


# -- event data ------------------------------------------------------------------------

INTEGRATING = f"""
detectors = ['jungfrau1M']
integrating_detectors = ['opal', 'archon']
epicsPV = ['EM2K0:XGMD:HPS:milliJoulesPerPulse', ('A:B', 'mine')]
epicsOncePV = ['m0c0_vset']
def getROIs(run):
    full = {{'ROI': None, 'writeArea': True, 'calcPars': False, 'thresADU': None}}
    return {{'jungfrau1M': [{BOX}], 'opal': [full], 'archon': [full]}}
def get_sum_algos(run):
    return {{'all': ['calib']}}
"""


def test_the_list_of_integrating_detectors(read, caplog):
    resolved = read(INTEGRATING)
    assert resolved.event.integrating == ["opal", "archon"]
    assert values(resolved, "opal", "roi") == [{"writeArea": True, "calcPars": False}]
    assert values(resolved, "opal", "sums") == [{"sums": ["calib"]}]
    assert not caplog.records


def test_the_function_goes_before_the_list(read, caplog):
    both = INTEGRATING + "def get_intg(run):\n    return 'opal', []\n"
    assert read(both).event.integrating == ["opal"]
    assert "integrating_detectors is not read" in caplog.text
    with pytest.raises(ParameterError, match="integrating_detectors: "):
        read("detectors = []\nintegrating_detectors = [3]\n")


def test_what_the_run_lacks_is_a_warning_with_config(produce, path, output, caplog):
    path.write_text(INTEGRATING)
    assert produce("--config", path) == 0
    for name in ("milliJoulesPerPulse", "A:B", "m0c0_vset"):
        assert re.search(f"no EPICS value .*{name}.* It is left out", caplog.text)
    assert "no detector 'archon'" in caplog.text
    with h5py.File(output) as file:
        assert file["opal/ROI_0_area"].shape[1:] == EPIX[1:]
        assert "intg/opal/jungfrau1M_sum_ROI_0_sum" in file


def test_and_an_error_with_a_parameter_file(produce, tmp_path, capsys):
    file = tmp_path / "p.toml"
    file.write_text(
        'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
        '[event]\nepics = ["A:B"]\nintegrating = ["archon"]\n'
    )
    assert produce("--params", file) == 2
    told = capsys.readouterr().err
    assert "no EPICS value 'A:B'" in told
    assert "no detector 'archon'" in told


def test_event_data_alone_are_something_to_do(produce, tmp_path, output, capsys):
    file = tmp_path / "p.toml"
    head = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
    file.write_text(f'{head}[event]\nintegrating = ["opal"]\n')
    assert produce("--params", file) == 0
    with h5py.File(output) as written:
        assert len(written["timestamp"])
        assert "jungfrau1M" not in written
    file.write_text(f'{head}[[detector.opal.roi]]\nruns = "13-"\n')
    assert produce("--params", file) == 2
    told = capsys.readouterr().err
    assert "nothing is to be done for run 12" in told
    assert "--default" in told


# -- azimuthal averages of old ---------------------------------------------------------

AZAV = """
detnames = ['opal']
def getAzIntParams(run):
    return {'opal': {'center': [0.0, 0.0], 'dis_to_sam': 80.0, 'eBeam': 9.5%s}}
"""


@pytest.fixture
def placed(run, monkeypatch):
    """Return the run, with the positions of the pixels of its camera."""
    row, column = np.indices(EPIX[1:])
    at = PixelPositions(row * 100.0, column * 100.0, np.zeros(EPIX[1:]), 100.0)
    monkeypatch.setattr(type(run), "pixel_positions", lambda *_: at)
    return run


def test_azimuthal_averages_as_the_old_producer_made_them(
    read, placed, tmp_path, caplog
):
    resolved = read(AZAV % "")
    (found,) = values(resolved, "opal", "azav")
    assert {k: found[k] for k in ("phiBins", "Pplane", "qbin")} == {
        "phiBins": 11,
        "Pplane": 0,
        "qbin": 0.015,
    }
    assert "phiBins = 11, Pplane = 0, qbin = 0.015, as the producer" in caplog.text
    assert "vertical polarization" in caplog.text
    record = json.loads(resolved.record())
    assert record["opal"]["azav 'azav'"]["Pplane"] == 0
    file = tmp_path / "p.toml"
    file.write_text(resolved.text)
    (entry,) = [e for e in ParameterFile.load(file).entries if e.kind == "azav"]
    assert "Pplane = 0" in entry.made["assumed"]
    (detector,) = build_detectors(placed, resolved)
    assert detector.funcs["azav"].describe()["azav"].shape[0] == 11
    assert detector.funcs["azav"].fraction("azav") == 0


@pytest.mark.parametrize("given", [", 'Pplane': 1", ", 'Pplane': 0", ", 'qbin': 1e-4"])
def test_with_any_other_key_nothing_is_assumed(read, given):
    (found,) = values(read(AZAV % given), "opal", "azav")
    assert len(found) == 4
    assert "phiBins" not in found


# -- the template ----------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True])
def test_the_template_runs(tmp_path, own):
    """Run it as it is, and with the functions of its own that it shows."""
    code = TEMPLATE.read_text()
    if own:
        shown = code.split('"""')[1].split("explains such a class):\n")[1]
        code += re.sub("^    ", "", shown, flags=re.MULTILINE)
    config = tmp_path / "prod_config_mine.py"
    config.write_text(code)
    detectors = tuple(DetectorSpec(name) for name in ("jungfrau1M", "epix100"))
    made = make(tmp_path, detectors=detectors, events=2, with_constants=True)
    where = ["--xtc-dir", made.xtc_dir, "--calib-dir", made.calib_dir, "-d", tmp_path]
    options = ["-e", "xppsim01", "-r", "1", "--nproc", "1", "--config", config, *where]
    assert main([str(option) for option in options]) == 0
    with h5py.File(tmp_path / "xppsim01_Run0001.h5") as file:
        assert {"ROI_0_sum", "azav_azav"} <= set(file["jungfrau1M"])
        assert ("brightest_value" in file["epix100"]) == own
        assert ("droplet_nDroplets" in file["epix100"]) != own


def test_public_names_of_the_example():
    import smalldata_ana

    assert smalldata_ana.DetObject is DetObject
    assert smalldata_ana.own_function.__module__ == "smalldata_ana.own_functions"
    assert "own_function" in dir(smalldata_ana)
