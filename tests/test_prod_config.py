"""Parameters to upstream's Python and back: what it returns for each run."""

import pytest

from smalldata_ana.commands.params import main
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.prod_config import evaluating
from smalldata_ana.parameters.prod_config.evaluating import evaluate
from smalldata_ana.parameters.prod_config.reading import entries_of
from smalldata_ana.parameters.run_range import RunRange

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
BOX = [[0, 1], [100, 120], [50, 60]]

PARAMETERS = (
    HEAD
    + f"""
[[detector.jungfrau1M.roi]]
runs = "12-40"
name = "A"
ROI = {BOX}
writeArea = true

[[detector.jungfrau1M.projection]]
runs = "12-"
name = "pj"
of = "A"
axis = 0

[[detector.jungfrau1M.geometry]]
runs = "1-"
center = [87526.0, 92773.0]
dis_to_sam = 80.0

[[detector.jungfrau1M.azav]]
runs = "12-"
name = "azav"
eBeam = 9.5
qbin = 0.01
polarization = "horizontal"

[[detector.jungfrau1M.azav]]
runs = "20-"
name = "azav"
eBeam = 9.6
polarization = 0.9

[[detector.jungfrau1M.sums]]
runs = "1-"
sums = ["calib", "calib_img"]

[[detector.epix.droplet]]
runs = "1-"
name = "drop"
threshold = 3.0

[[detector.epix.photons]]
runs = "1-"
name = "phot"
of = "drop"
aduspphot = 162.0

[[detector.epix.sparsify]]
runs = "1-"
name = "list"
of = "phot"
nData = 1000

[[detector.epix.common_mode]]
runs = "1-"
common_mode = 45

[[detector.off.roi]]
runs = "1-"

[[detector.off.use]]
runs = "1-"
use = false
"""
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "xpptut15.toml"
    path.write_text(PARAMETERS)
    return path


@pytest.fixture
def module(path, tmp_path):
    """Return a function that writes the parameters as Python, and executes that."""

    def written(flavour):
        output = tmp_path / f"prod_config_{flavour}.py"
        arguments = ["to-prod-config", str(path), "--flavour", flavour]
        assert main([*arguments, "-o", str(output)]) == 0
        names = {}
        exec(compile(output.read_text(), output, "exec"), names)
        return names

    return written


@pytest.mark.parametrize(
    ("flavour", "detectors", "projections"),
    [("lcls1", "detnames", "pj"), ("lcls2", "detectors", "proj_ax")],
)
def test_regions_in_both_spellings(module, flavour, detectors, projections):
    names = module(flavour)
    assert names[detectors] == ["jungfrau1M", "epix"]
    rois = names["getROIs"]
    assert rois(11) == rois(41) == {}
    (region,) = rois(12)["jungfrau1M"]
    assert region == {
        "name": "A",
        "ROI": BOX,
        "writeArea": True,
        projections: [{"name": "pj", "axis": 0}],
    }


def test_azimuthal_averages_of_lcls1(module):
    averages = module("lcls1")["getAzIntParams"]
    assert averages(11) == {}
    (first,) = averages(19)["jungfrau1M"]
    assert first == {
        "name": "azav",
        "center": [87526.0, 92773.0],
        "dis_to_sam": 80.0,
        "eBeam": 9.5,
        "qbin": 0.01,
        "Pplane": 1,
    }
    (second,) = averages(20)["jungfrau1M"]
    assert second["eBeam"] == 9.6
    assert second["Pplane"] == 0.9
    assert "qbin" not in second


def test_lcls2_has_one_azimuthal_average(module):
    assert module("lcls2")["get_azav"](20)["jungfrau1M"]["eBeam"] == 9.6


@pytest.mark.parametrize(("flavour", "several"), [("lcls1", True), ("lcls2", False)])
def test_photons_of_droplets(module, flavour, several):
    chain = module(flavour)["get_droplet2photon"](5)["epix"]
    chain = chain[0] if several else chain
    assert chain == {
        "droplet": {"name": "drop", "threshold": 3.0},
        "d2p": {"name": "phot", "aduspphot": 162.0},
        "nData": 1000,
    }


@pytest.mark.parametrize(
    ("flavour", "name", "keys"),
    [
        ("lcls1", "getDetSums", ["calib", "calib_img"]),
        ("lcls2", "get_sum_algos", ["calib"]),  # it would take no notice of img
    ],
)
def test_sums(module, flavour, name, keys, capsys):
    assert module(flavour)[name](7) == {"jungfrau1M": keys}
    lost = "not written: calib_img of detector.jungfrau1M.sums, runs 1-"
    assert (lost in capsys.readouterr().err) == (flavour == "lcls2")


def test_what_python_cannot_say_is_told(path, capsys):
    assert main(["to-prod-config", str(path)]) == 0
    told = capsys.readouterr()
    assert "not written: detector.epix.common_mode, runs 1-: lcls2" in told.err
    assert "# Not in here: detector.epix.common_mode, runs 1-" in told.out
    # after run 40 its region is not there, and before run 12 no average needs it
    assert "projection 'pj', runs 12-: lcls2 has no place for it (for runs 41-)" in (
        told.err
    )
    assert "geometry, runs 1-: lcls2 has no place for it (for runs 1-11)" in told.err


def test_a_distance_that_follows_a_variable_cannot_be_said(path, capsys):
    text = PARAMETERS.replace("dis_to_sam = 80.0", 'dis_to_sam = { pv = "z" }')
    path.write_text(text)
    assert main(["to-prod-config", str(path)]) == 0
    assert "not written: detector.jungfrau1M.azav 'azav'" in capsys.readouterr().err


@pytest.mark.parametrize("flavour", ["lcls1", "lcls2"])
def test_there_and_back(module, path, tmp_path, flavour, capsys):
    module(flavour)
    back = tmp_path / "back.toml"
    source = tmp_path / f"prod_config_{flavour}.py"
    arguments = ["from-prod-config", str(source), "--runs", "10-45", "-o", str(back)]
    assert main([*arguments, "-e", "xpptut15", "--go-on"]) == 0
    assert "executing" in capsys.readouterr().err
    file, other = ParameterFile.load(path), ParameterFile.load(back)
    for run in (12, 19, 20, 40, 41, 45, 1000):
        expected = {(e.detector, e.kind, e.name, e.of) for e in _sayable(file, run)}
        found = {(e.detector, e.kind, e.name, e.of) for e in _sayable(other, run)}
        expected -= {("epix", "sparsify", "list", "phot")}
        found -= {("epix", "sparsify", "sparse", "phot")}
        assert found == expected
        kept = {(e.detector, e.name): e for e in _sayable(other, run)}
        for entry in _sayable(file, run):
            if entry.kind in {"roi", "photons", "droplet"}:
                assert kept[entry.detector, entry.name].values == entry.values


def _sayable(file, run):
    entries = [e for rows in file.resolve(run).detectors.values() for e in rows]
    there = {e.name for e in entries}
    unsaid = ("common_mode", "use", "geometry")
    return [
        e
        for e in entries
        if e.kind not in unsaid
        and e.detector != "off"
        and (e.of is None or e.of in there)
    ]


# -- reading ---------------------------------------------------------------------------


@pytest.fixture
def read(tmp_path):
    def read(code, runs="1-20"):
        path = tmp_path / "prod_config_xpp.py"
        path.write_text(code)
        range_ = RunRange.parse(runs)
        return entries_of(evaluate(path, range_), range_)

    return read


def rows(entries):
    return [(e.kind, e.name, str(e.runs), dict(e.values), e.of) for e in entries]


def test_ranges_are_found_by_asking_for_each_run(read):
    code = """
import numpy as np
detnames = ['epix10k2M', 'jf']
epicsPV = ['s1h_w']
def getAzIntParams(run):
    ret_dict = {}
    if run > 4:
        ret_dict['epix10k2M'] = {'eBeam': 9.5, 'center': np.array([1., 2.])}
        if run > 10:
            ret_dict['epix10k2M']['eBeam'] = np.float32(8.0)
    if run in (3, 7):
        ret_dict['other'] = {}
    print('anything')
    return ret_dict
"""
    entries, notes = read(code)
    assert rows(entries) == [
        ("azav", "azav", "5-10", {"eBeam": 9.5, "center": [1.0, 2.0]}, None),
        ("azav", "azav", "11-20", {"eBeam": 8.0, "center": [1.0, 2.0]}, None),
    ]
    assert notes == [
        "other of getAzIntParams is not in the list of detectors: left out"
    ]
    assert entries[0].made["how"] == "from-prod-config"
    assert entries[0].made["file"].endswith("prod_config_xpp.py")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"[{BOX}]", [{"ROI": BOX}]),
        (f"[{BOX}, {BOX}]", [{"ROI": BOX}, {"ROI": BOX}]),
        (
            f"{{'ROIs': [{BOX}], 'writeArea': True, 'thresADU': None}}",
            [{"ROI": BOX, "writeArea": True}],
        ),
        (f"[{{'ROI': {BOX}, 'name': 'B'}}]", [{"ROI": BOX}]),
    ],
)
def test_regions_of_all_templates(read, value, expected):
    entries, _ = read(f"def getROIs(run):\n    return {{'jf': {value}}}", "5")
    assert [e.values for e in entries] == expected
    names = ["B"] if "'B'" in value else [f"ROI_{n}" for n in range(len(expected))]
    assert [e.name for e in entries] == names
    assert {str(e.runs) for e in entries} == {"5"}


def test_projections_of_all_templates(read):
    code = f"""
def getROIs(run):
    return {{'jf': [{{'ROI': {BOX}, 'pj': [{{'axis': 0}}, {{'axis': 1}}]}}]}}
def getProjection_ax0(run):
    return {{'jf': {{'thresADU': 2.0, 'name': 'old'}}}}
"""
    entries, _ = read(code, "5")
    assert [(e.kind, e.name, e.of) for e in entries] == [
        ("roi", "ROI_0", None),
        ("projection", "pj_ax_0", "ROI_0"),
        ("projection", "pj_ax_1", "ROI_0"),
        ("projection", "old", "ROI_0"),
    ]
    assert entries[-1].values == {"axis": 0, "thresADU": 2.0}


def test_droplets_and_their_photons(read):
    code = """
def get_droplet(run):
    return {'e': [{'threshold': 5, 'nData': 1e5}, {'threshold': 7}]}
def get_droplet2photon(run):
    return {'e': {'droplet': {'threshold': 6}, 'd2p': {'aduspphot': 162}, 'nData': 9}}
"""
    entries, _ = read(code, "5")
    assert [(e.kind, e.name, e.of, dict(e.values)) for e in entries] == [
        ("droplet", "droplet", None, {"threshold": 5}),
        ("sparsify", "sparse", "droplet", {"nData": 100000}),
        ("droplet", "droplet_1", None, {"threshold": 7}),
        ("droplet", "droplet_2", None, {"threshold": 6}),
        ("photons", "droplet2phot", "droplet_2", {"aduspphot": 162}),
        ("sparsify", "sparse_1", "droplet2phot", {"nData": 9}),
    ]


def test_sums_of_all_detectors(read):
    code = """
detectors = ['a', 'b']
def get_sum_algos(run):
    return {'all': ['calib'], 'b': ['calib_max']}
"""
    entries, _ = read(code, "5")
    assert {e.detector: e.values["sums"] for e in entries} == {
        "a": ["calib"],
        "b": ["calib_max"],
    }


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "def getROIs(run):\n    return {'jf': [{'writeAera': 1}]}",
            r", run 1: getROIs: jf: .*Did you mean 'writeArea'\?",
        ),
        (
            "def get_droplet(run):\n    return {'jf': {'theshold': 1}}",
            r"Did you mean 'threshold'\?",
        ),
        ("def getROIs(run):\n    return 3", "getROIs returns 3, not a dict"),
        ("def get_azav(run):\n    return {'jf': 3}", "3 are no parameters of 'azav'"),
        ("def get_droplet(run):\n    return {'jf': 3}", "3 is not a dict"),
        (
            "def get_droplet2photon(run):\n"
            "    return {'jf': {'droplet': {}, 'd2p': {'aduspphot': 1}, 'x': 1}}",
            "'x' is unknown",
        ),
        ("def getROIs(run):\n    return {'jf': [object()]}", "is no parameter"),
        ("1 / 0", r"failed: ZeroDivisionError.*line 1"),
        ("def getROIs(run):\n    return {}[run]", r"KeyError: 1 .*line 2, in getROIs"),
        ("import sys\nsys.exit(0)", "failed: it ended without a word"),
        ("def getROIs(", "SyntaxError"),
    ],
)
def test_modules_that_cannot_be_read(read, code, message):
    with pytest.raises(ParameterError, match=message):
        read(code)


def test_all_problems_are_told_once(read):
    code = """
def getROIs(run):
    return {'jf': [{'writeAera': 1}], 'epix': [{'ROI': 'a'}]}
"""
    with pytest.raises(ParameterError) as error:
        read(code, "1-3")
    assert len(str(error.value).splitlines()) == 2


def test_a_module_that_does_not_end(read, monkeypatch):
    monkeypatch.setattr(evaluating, "TIMEOUT", 0.5)
    with pytest.raises(ParameterError, match=r"did not end within 0.5 s"):
        read("while True: pass")


def test_the_code_meets_neither_us_nor_our_environment(read, tmp_path):
    code = """
import sys
def getROIs(run):
    assert 'smalldata_ana' not in sys.modules
    return {'jf': []}
"""
    assert read(code) == ([], [])


def test_what_cannot_be_asked(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        evaluate(tmp_path / "none.py", RunRange(1, 2))
    (tmp_path / "a.py").touch()
    with pytest.raises(ParameterError, match="give the last one"):
        evaluate(tmp_path / "a.py", RunRange(1))
