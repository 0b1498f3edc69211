"""Parameters in the words of upstream: what it would ignore is said to be left out."""

import pytest

from smalldata_ana.commands.params import main
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.model import model_of
from smalldata_ana.parameters.prod_config.forms import FORMS, Flavour
from smalldata_ana.parameters.prod_config.vocabulary import VOCABULARIES

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
BEAM = "center = [1.0, 2.0]\ndis_to_sam = 80.0\neBeam = 9.5\n"
BOXES = "[[[0, 1], [0, 4], [0, 5]], [[1, 2], [0, 4], [0, 5]]]"
LCLS1, LCLS2 = "lcls1", "lcls2"

# What the constructors of upstream's functions take out of their keywords, as the
# reference on smalldata_tools lists it.
UPSTREAM = {
    "roi": "name ROI writeArea calcPars userMask thresADU",
    "projection": "name axis thresADU thresRms singlePhoton mean",
    "azav": "name center dis_to_sam eBeam phiBins qbin rbin Pplane tx ty userMask "
    "gainImg darkImg thresADU thresADUhigh thresRms ADU_per_Photon geomCorr polCorr "
    "square",
    "azav_pyfai": "name userMask thres return2d poni_file ai_kwargs "
    "polarization_factor npts npts_az int_units",
    "droplet": "name threshold thresholdLow thresADU pixmax useRms relabel mask",
    "photons": "name aduspphot photpts mask cputime one_photon_info",
    "photon": "name ADU_per_photon thr_fraction thresADU mask",
    "autocorrelation": "name thresADU roi mask save_lineout save_range "
    "illumination_correction",
    "svdfit": "name basis_file n_components n_pulse delay sampling mode "
    "return_reconstructed",
    "wfintegration": "name sig_roi bkg_roi negative_signal",
    "hitfinder": "name threshold threshold_max use_rms bkg_roi",
    "curve_correction": "name polynomial_coefficients axis method",
    "sparsify": "name nData",
}


@pytest.fixture
def write(tmp_path, capsys):
    """Return a function that writes entries as Python, and executes that."""

    def write(text, flavour=LCLS2):
        path = tmp_path / "p.toml"
        path.write_text(HEAD + text)
        output = tmp_path / f"prod_config_{flavour}.py"
        output.unlink(missing_ok=True)
        arguments = ["to-prod-config", str(path), "--flavour", flavour]
        assert main([*arguments, "-o", str(output)]) == 0
        names = {}
        exec(compile(output.read_text(), output, "exec"), names)
        told = capsys.readouterr().err
        comments = [x for x in output.read_text().splitlines() if "Not in here" in x]
        assert len(comments) == told.count("not written: ")
        return names, told

    return write


def entry(kind, *lines, detector="j", runs="1-"):
    body = "\n".join(lines)
    return f'[[detector.{detector}.{kind}]]\nruns = "{runs}"\n{body}\n'


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_only_what_upstream_reads_is_written(kind):
    assert VOCABULARIES[kind].known <= set(UPSTREAM[kind].split())


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_the_words_are_parameters_of_the_kind(kind):
    words = VOCABULARIES[kind]
    ours = words.known | words.additions | words.checks | words.unlike
    assert ours <= set(model_of(kind).file_keys())


def test_every_kind_that_is_written_has_words():
    written = {kind for flavour in Flavour for kind in FORMS[flavour]}
    assert written <= set(VOCABULARIES)


# -- the polarization ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "fraction"),
    [
        ('"horizontal"', 1),
        ('"vertical"', 0),
        ("0.9", 0.9),
        ("1.0", 1),
    ],
)
@pytest.mark.parametrize(
    ("flavour", "function"), [(LCLS1, "getAzIntParams"), (LCLS2, "get_azav")]
)
def test_the_fraction_has_its_name(write, flavour, function, given, fraction):
    text = entry("azav", BEAM + f"polarization = {given}")
    names, told = write(text, flavour)
    value = names[function](5)["j"]
    value = value[0] if flavour == LCLS1 else value
    assert value == {
        "name": "azav",
        "center": [1.0, 2.0],
        "dis_to_sam": 80.0,
        "eBeam": 9.5,
        "Pplane": fraction,
    }
    assert not told.count("not written")


def test_it_comes_from_the_geometry_too(write):
    text = entry("geometry", BEAM + 'polarization = "horizontal"') + entry("azav")
    names, _ = write(text)
    assert names["get_azav"](5)["j"]["Pplane"] == 1


@pytest.mark.parametrize("key", ["center", "dis_to_sam", "eBeam", "polarization"])
def test_nothing_is_left_to_upstream_to_assume(write, key):
    lines = [*BEAM.splitlines(), 'polarization = "vertical"']
    names, told = write(entry("azav", *(x for x in lines if not x.startswith(key))))
    assert "get_azav" not in names
    assert f"lcls2 has no place for a {key} that is not given" in told


def test_without_its_correction_none_is_needed(write):
    names, _ = write(entry("azav", BEAM + "polCorr = false"))
    value = names["get_azav"](5)["j"]
    assert value["polCorr"] is False
    assert "Pplane" not in value


@pytest.mark.parametrize(
    ("line", "factor"),
    [
        ('polarization = "horizontal"', 1),
        ('polarization = "vertical"', -1),
        ("polarization = 0.5", 0),
        ("polarization_factor = 0.25", 0.25),
        ("polCorr = false", None),
    ],
)
def test_the_factor_of_pyfai(write, line, factor):
    place = "ai_kwargs = { dist = 0.1, poni1 = 0.2, poni2 = 0.3 }\neBeam = 12.0"
    names, told = write(entry("azav_pyfai", place, line))
    value = names["get_azav_pyfai"](5)["j"]
    assert value["polarization_factor"] == factor
    assert value["return2d"] is False  # upstream's own default is a text, which is true
    metres = value["ai_kwargs"].pop("wavelength")
    assert metres == pytest.approx(12.398419843 / 12.0 * 1e-10)
    assert value["ai_kwargs"] == {"dist": 0.1, "poni1": 0.2, "poni2": 0.3}
    assert "not written" not in told


# -- what there are no words for -------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "lines", "lost"),
    [
        ("roi", f"ROI = {BOXES}", "its ROI of 2 boxes"),
        ("roi", "imageROI = [[0, 4], [0, 5]]", "its imageROI"),
        ("azav", BEAM + "polCorr = false\nnBins = 7", "its nBins"),
        ("azav", BEAM + "polCorr = false\nADU_per_Photon = 7.0", "its ADU_per_Photon"),
        ("azav", BEAM + "polCorr = false\nthresRms = 7.0", "its thresRms"),
        ("azav", BEAM + "polCorr = false\nphiBins = [0, 90]", "its edges of phiBins"),
        ("azav_pyfai", BEAM + "polCorr = false", "its center and its dis_to_sam"),
        ("azav_pyfai", "polCorr = false", "a center that is not given"),
        (
            "azav_pyfai",
            'polCorr = false\nponi_file = "a.poni"\neBeam = 9.5',
            "its eBeam beside a poni_file",
        ),
        ("droplet", "thresADU = [1.0, 2.0]", "its upper limit of thresADU"),
        ("hitfinder", "negative_signal = true", "its negative_signal"),
        ("wfintegration", "sig_roi = [0, 9]\nsampling = 2.0", "its sampling"),
        ("spectrum", "bins = [0.0, 1.0, 2]", "it"),
    ],
)
def test_an_entry_that_would_be_another_is_left_out(write, kind, lines, lost):
    names, told = write(entry(kind, lines))
    form = FORMS[Flavour.LCLS2].get(kind)
    assert form is None or form.function not in names
    assert f"{kind}', runs 1-: lcls2" in told or kind in told
    assert f"has no place for {lost} (for runs 1-)" in told


@pytest.mark.parametrize(
    ("lines", "lost"),
    [
        ('roi = [[0, 1], [0, 4], [0, 5]]\nmask = "m.npy"', "its roi of several"),
        ('thresADU = 3.0\nmask = "m.npy"', "its thresADU without an upper limit"),
        ('illumination_correction = 2.0\nmask = "m.npy"', "its illumination_corr"),
    ],
)
def test_correlations(write, lines, lost):
    names, told = write(entry("autocorrelation", lines), LCLS1)
    assert "getAutocorrParams" not in names
    assert lost in told


def test_a_correlation_in_two_numbers(write):
    text = entry("autocorrelation", 'save_range = 20\nmask = "m.npy"')
    names, _ = write(text, LCLS1)
    assert names["getAutocorrParams"](1)["j"] == {
        "name": "autocorr",
        "save_range": [20, 20],
        "mask": "m.npy",
    }


@pytest.mark.parametrize(
    ("kind", "lines", "key", "function"),
    [
        ("roi", "saturation = 4.0", "saturation", "getROIs"),
        ("azav", BEAM + "polCorr = false\nerrors = true", "errors", "get_azav"),
        ("azav", BEAM + "polCorr = false\ncounts = true", "counts", "get_azav"),
    ],
)
def test_what_only_adds_results_is_left_out_alone(write, kind, lines, key, function):
    names, told = write(entry(kind, lines))
    value = names[function](1)["j"]
    assert key not in (value[0] if isinstance(value, list) else value)
    assert f"not written: {key} of detector.j.{kind}" in told


def test_what_is_so_anyhow_needs_no_words(write):
    lines = BEAM + "polCorr = false\nerrors = false\ncounts = false"
    names, told = write(entry("azav", lines))
    assert "errors" not in names["get_azav"](1)["j"]
    assert "not written" not in told


def test_defaults_that_differ_are_written(write):
    names, _ = write(entry("droplet") + entry("curve_correction", LINE))
    assert names["get_droplet"](1)["j"] == {"name": "droplet", "threshold": 5.0}
    assert names["get_polynomial_correction"](1)["j"]["axis"] == 1


LINE = "polynomial_coefficients = [0.1, 0.0]"


def test_a_region_is_written_in_pairs(write):
    """A list of six numbers ends in an error there."""
    names, _ = write(entry("roi", "ROI = [0, 1, 0, 4, 0, 5]"))
    assert names["getROIs"](1)["j"][0]["ROI"] == [[0, 1], [0, 4], [0, 5]]


def test_photons_that_cannot_be_said_leave_their_droplets(write):
    text = entry("droplet", 'name = "d"')
    text += entry("photons", 'of = "d"\naduspphot = 9.5\noffset = 1.0')
    names, told = write(text)
    assert "get_droplet2photon" not in names
    assert names["get_droplet"](1)["j"]["name"] == "d"
    assert "has no place for its offset" in told


def test_what_is_chained_to_what_is_left_out(write):
    text = entry("roi", f'name = "A"\nROI = {BOXES}')
    text += entry("roi", 'of = "A"\nname = "B"')
    _, told = write(text)
    assert "not written: detector.j.roi 'B', runs 1-" in told


def test_a_geometry_that_nothing_written_takes(write):
    text = entry("geometry", BEAM) + entry("azav", "nBins = 7\npolCorr = false")
    _, told = write(text)
    assert "not written: detector.j.geometry, runs 1-" in told


def test_the_time_tool_of_mec_is_only_read(write):
    """The producer looks for another name than that of the function."""
    text = entry("mectt", 'roi_s = [[0, 4], [0, 5]]\nbkgfile = "b.npy"')
    names, told = write(text, LCLS1)
    assert "get_mectt" not in names
    assert "not written: detector.j.mectt 'mectt', runs 1-" in told


@pytest.mark.parametrize(
    ("flavour", "function", "kept"),
    [
        (LCLS1, "getDetSums", ["calib_dropped", "calib_img", "calib_thresADU2.5"]),
        (LCLS2, "get_sum_algos", ["calib_thresADU2.5"]),
    ],
)
def test_sums_of_words_that_would_be_skipped(write, flavour, function, kept):
    keys = '["calib_dropped", "calib_on", "calib_img", "calib_thresADU2.5"]'
    names, told = write(entry("sums", f"sums = {keys}"), flavour)
    assert names[function](1)["j"] == kept
    assert "not written: calib_on of detector.j.sums" in told
    names, told = write(entry("sums", 'sums = ["calib_on"]'), flavour)
    assert function not in names
    assert f"not written: detector.j.sums, runs 1-: {flavour} has no" in told


# -- there and back --------------------------------------------------------------------


@pytest.mark.parametrize("flavour", [LCLS1, LCLS2])
@pytest.mark.parametrize("given", ['"horizontal"', '"vertical"', "0.9"])
def test_the_polarization_is_the_same_after_there_and_back(
    write, tmp_path, flavour, given
):
    write(entry("azav", BEAM + f"polarization = {given}"), flavour)
    source, back = tmp_path / f"prod_config_{flavour}.py", tmp_path / "back.toml"
    arguments = ["from-prod-config", str(source), "--runs", "1-3", "-o", str(back)]
    assert main([*arguments, "-e", "xpptut15"]) == 0
    (before,) = ParameterFile.load(tmp_path / "p.toml").entries
    (after,) = ParameterFile.load(back).entries
    assert after.make().fraction("") == before.make().fraction("")


def test_no_correction_is_none_after_there_and_back(write, tmp_path):
    place = "ai_kwargs = { dist = 0.1, poni1 = 0.2, poni2 = 0.3 }"
    write(entry("azav_pyfai", place, "polCorr = false"))
    source, back = tmp_path / "prod_config_lcls2.py", tmp_path / "back.toml"
    arguments = ["from-prod-config", str(source), "--runs", "1-3", "-o", str(back)]
    assert main([*arguments, "-e", "xpptut15"]) == 0
    (after,) = ParameterFile.load(back).entries
    assert after.values["polCorr"] is False
    assert "polarization_factor" not in after.values


EVENT = """
[event]
epics = ["sam_x", ["XPP:SAM:Y", "sam_y"]]
epics_once = ["gas"]
ttCalib = [0.0, -0.002]
integrating = ["andor", "opal"]
light_status = [[-137], [91]]
"""


def test_the_event_data_of_lcls1(write, tmp_path):
    names, told = write(EVENT, LCLS1)
    assert names["epicsPV"] == ["sam_x", ("XPP:SAM:Y", "sam_y")]
    assert names["epicsOncePV"] == ["gas"]
    assert names["ttCalib"] == [0.0, -0.002]
    for key in ("integrating", "light_status"):
        assert f"not written: [event]: lcls1 has no place for its {key}" in told
    assert read_back(tmp_path, LCLS1) == {
        "epics": ["sam_x", ["XPP:SAM:Y", "sam_y"]],
        "epics_once": ["gas"],
        "ttCalib": [0.0, -0.002],
    }


def test_the_event_data_of_lcls2(write, tmp_path):
    names, told = write(EVENT, LCLS2)
    assert names["epicsPV"] == ["sam_x", ("XPP:SAM:Y", "sam_y")]
    assert names["get_intg"](1) == ("andor", ["opal"])
    assert "ttCalib" not in names
    for key in ("ttCalib", "light_status"):
        assert f"not written: [event]: lcls2 has no place for its {key}" in told
    assert read_back(tmp_path, LCLS2) == {
        "epics": ["sam_x", ["XPP:SAM:Y", "sam_y"]],
        "epics_once": ["gas"],
        "integrating": ["andor", "opal"],
    }


def read_back(folder, flavour):
    source, back = folder / f"prod_config_{flavour}.py", folder / "back.toml"
    arguments = ["from-prod-config", str(source), "--runs", "1-3", "-o", str(back)]
    assert main([*arguments, "-e", "xpptut15"]) == 0
    (table,) = ParameterFile.load(back).tables
    return dict(table.values)


def test_without_a_table_the_lists_are_empty(write):
    """Upstream's producer asks for their length."""
    names, _ = write(entry("roi"), LCLS1)
    assert names["epicsPV"] == names["epicsOncePV"] == names["ttCalib"] == []
    assert "get_intg" not in names


def test_what_stands_in_the_file_already(tmp_path, capsys):
    source, back = tmp_path / "prod_config_x.py", tmp_path / "back.toml"
    source.write_text("epicsPV = ['a']\n")
    back.write_text(HEAD)
    arguments = ["from-prod-config", str(source), "--runs", "1", "-o", str(back)]
    arguments += ["-e", "xpptut15"]
    assert main(arguments) == 0
    once = back.read_text()
    assert main(arguments) == 0
    assert back.read_text() == once
    source.write_text("epicsPV = ['b']\n")
    assert main(arguments) == 2
    assert back.read_text() == once
    told = capsys.readouterr().err
    assert "it has a table [event] already, in line" in told
    assert 'epics = ["b"]' in told


def test_integrating_detectors_that_change_between_runs(tmp_path, capsys):
    source = tmp_path / "prod_config_x.py"
    source.write_text(
        "epicsPV = [3]\ndef get_intg(run):\n    return 'ab'[run - 1], []\n"
        "def getROIs(run):\n    return {'j': [{'writeAera': True}]}\n"
    )
    arguments = ["from-prod-config", str(source), "--runs", "1-2", "-e", "xpptut15"]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "get_intg: it returns several values, ['a'] and ['b']" in told
    assert "epicsPV: " in told
    assert "Did you mean 'writeArea'" in told
