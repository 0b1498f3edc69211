"""All that can be wrong with a parameter file is told at once, with its lines."""

import textwrap
from pathlib import Path

import pytest

import smalldata_ana.pipeline  # noqa: F401 (it knows all kinds of entries)
from smalldata_ana.ana_funcs import droplet, droplet_photons, projection
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.parameters.file import ParameterFile, problems_of_file
from smalldata_ana.parameters.resolved import groups, reason, winner

MODULES = (droplet, droplet_photons, projection)  # they register their kinds

WRONG = """\
schema = "smalldata-ana-params/1"
experiment = "xpptut15"
detectors = 3

[[detector.det.roi]]
runs = "1-"
writeAera = true
thresADU = "high"

[[detector.det.roi]]
runs = "12-1"

[[detector.det.rio]]
runs = "1-"

[[detector.det.photons]]
runs = "1-"
name = "A"
offset = 3.0

[[detector.det.projection]]
runs = "5-"
name = "A"
of = "ROI_7"

[[detector.det.mask]]
runs = "1-"
file = "masks/none.h5"
path = "/pixel_mask"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
shape = [2, 3]

[[detector.det.use]]
runs = "1-"
"""

RIGHT = WRONG.partition("detectors")[0] + "\n\n"
"""The begin of a file."""


@pytest.fixture
def write(tmp_path):
    def write(text, name="xpptut15.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_everything_at_once(write):
    found = problems_of_file(write(WRONG))
    expected = [
        ("line 3: ", "Did you mean 'detector'?"),
        ("line 7: ", "Did you mean 'writeArea'?"),
        ("line 8: ", "thresADU"),
        ("line 11: ", "the end is too small"),
        ("line 13: ", "Did you mean 'roi'?"),
        ("line 16: ", "aduspphot"),
        ("line 33: ", "'use' is missing"),
        ("line 26: ", "there is no mask"),
        ("line 21: ", "line 16: detector.det.photons 'A', runs 1- has the same name"),
        ("line 21: ", "no function 'ROI_7' in det; there is 'ROI_0'"),
    ]
    for begin, text in expected:
        assert [p for p in found if p.startswith(begin) and text in p], (begin, text)
    assert len(found) <= len(expected) + 1
    lines = [int(problem.removeprefix("line ").partition(":")[0]) for problem in found]
    assert lines == sorted(lines)


def test_what_is_wrong_with_the_run_is_told_with_the_run(write):
    text = WRONG.split("[[detector.det.roi]]", maxsplit=1)[0].replace(
        "detectors = 3", ""
    )
    text += '[[detector.det.roi]]\nruns = "1-9"\n'
    text += '[[detector.det.roi]]\nruns = "1-"\nname = "B"\nof = "ROI_0"\n'
    (problem,) = problems_of_file(write(text))
    assert problem.startswith("line 7: detector.det.roi 'B', runs 1-: no function")
    assert problem.endswith("(from run 10 on)")
    assert len(ParameterFile.load(write(text)).entries) == 2


def test_circles(write):
    text = WRONG.split("[[detector.det.roi]]", maxsplit=1)[0].replace(
        "detectors = 3", ""
    )
    for name, of in ("AB", "BC", "CA"):
        text += f'[[detector.det.roi]]\nruns = "1-"\nname = "{name}"\nof = "{of}"\n'
    found = problems_of_file(write(text))
    assert len(found) == 3
    assert all("goes round in a circle" in problem for problem in found)


START = RIGHT.rstrip() + "\n\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[evnt]\nepics = []\n", 4, "Did you mean 'event'?"),
        ("[evnt.light_status]\nxray = [1]\n", 4, "Did you mean 'event'?"),
        ("[[evnt.a]]\nx = 1\n", 4, "Did you mean 'event'?"),
        ('[detector.opal]\nuse = "no"\n', 5, "write [[detector.opal.use]]"),
        ("[detector.opal]\nruns = 3\nusee = 3\n", 6, "Did you mean 'use'?"),
        ("[detector]\nopal.usee = 3\n", 5, "Did you mean 'use'?"),
        ("[detector]\nopal = 3\n", 5, "write [[detector.opal.<kind>]]"),
        ("[detector.opal.droplet]\nruns = '1-'\n", 4, "[[detector.opal.droplet]]"),
    ],
)
def test_the_line_of_what_is_no_entry(write, text, line, message):
    found = problems_of_file(write(START + text))
    assert [p for p in found if p.startswith(f"line {line}: ") and message in p], found


@pytest.mark.parametrize(
    "begin",
    [
        '[[detector.opal.droplet]]\nruns = "1-"\n',
        "[[detector.opal.droplet]]\nruns = 3\n",
        "[[detector.opal.droplet]]\n",
        '[[detector.opal.droplet]]\nruns = "1-"\nenabled = false\n',
        '[[detector.opal.droplet]]\nruns = "1-"\nuseRms = 3\n',
        '[detector.opal.droplet]\nruns = "1-"\n',
        'detector.jf = 3\n[[detector.opal.droplet]]\nruns = "1-"\n',
    ],
)
def test_an_unknown_key_names_the_nearest_whatever_else_is_wrong(write, begin):
    text = START + begin + "treshold = 5.0\n"
    line = text.count("\n")
    found = [p for p in problems_of_file(write(text)) if "'treshold'" in p]
    assert len(found) == 1
    assert found[0].startswith(f"line {line}: detector.opal.droplet: no parameter")
    assert found[0].endswith("Did you mean 'threshold'?")


MASK = """
[[detector.det.mask]]
runs = "1-"
file = "masks/none.h5"
path = "/pixel_mask"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
shape = [2, 3]
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("shape = [2, 3]", "shape = [2, 3]\nshapess = 3"),
        ("shape = [2, 3]", "shape = 3"),
        ("0" * 64, "0"),
        ('path = "/pixel_mask"', ""),
        ('runs = "1-"', "runs = 3"),
        ('runs = "1-"', ""),
        ('runs = "1-"', 'runs = "1-"\nname = 3'),
    ],
)
def test_a_missing_mask_is_told_whatever_else_is_wrong(write, right, wrong):
    found = problems_of_file(write(START + MASK.replace(right, wrong)))
    missing = [p for p in found if "there is no mask" in p]
    assert len(missing) == 1
    assert len(found) == 2
    assert missing[0].startswith("line 5: detector.det.mask")


def test_a_checksum_is_told_whatever_else_is_wrong(write, tmp_path):
    path = write(START + MASK.replace("[2, 3]", "3"))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/none.h5").write_bytes(b"x")
    assert any("its sha256 is" in problem for problem in problems_of_file(path))


def test_a_missing_function_is_told_although_the_runs_are_wrong(write):
    text = START + '[[detector.det.roi]]\nruns = 3\nof = "nothing"\n'
    text += '[[detector.det.roi]]\nruns = "1-"\nname = "A"\n'
    found = problems_of_file(write(text))
    assert len(found) == 2
    assert found[0] == (
        "line 4: detector.det.roi: no function 'nothing' in det; there is 'A'."
    )


def test_others_are_not_blamed_for_runs_that_are_wrong(write):
    text = START + '[[detector.det.roi]]\nruns = 3\nname = "A"\n'
    text += '[[detector.det.projection]]\nruns = "1-"\nof = "A"\n'
    (problem,) = problems_of_file(write(text))
    assert "runs = 3 is not a text" in problem


def test_an_empty_file(write):
    assert problems_of_file(write("")) == [
        "'schema' is missing; write schema = \"smalldata-ana-params/1\" as its first "
        "line",
        "'experiment' is missing; write experiment = \"<name>\"",
    ]
    assert problems_of_file(write(""), "xpptut15")[1].endswith('"xpptut15"')


def test_an_experiment_that_is_no_text(write):
    (problem,) = problems_of_file(write(START.replace('"xpptut15"', "15")), "xpptut15")
    assert problem.startswith("line 2: experiment = 15 is not a text")


@pytest.mark.parametrize("version", ["2", "10"])
def test_a_newer_schema_is_told_alone(write, version):
    text = WRONG.replace("params/1", f"params/{version}")
    (problem,) = problems_of_file(write(text))
    assert problem.startswith("line 1: schema = 'smalldata-ana-params/")
    assert "update smalldata_ana" in problem
    with pytest.raises(ParameterError, match="newer than 'smalldata-ana-params/1'"):
        ParameterFile.load(write(text))


def test_another_experiment(write):
    text = RIGHT
    (problem,) = problems_of_file(write(text), "xppl1001021")
    assert problem == ("line 2: it is for experiment 'xpptut15', not for 'xppl1001021'")


@pytest.mark.parametrize(
    ("made", "line", "message"),
    [
        ('made = { by = 3, how = "x" }', 7, "made.by = 3 is not a text"),
        ("made.run = true", 7, "made.run = True is not a whole number"),
        ('made.how = "x"\nmade.at = "now"', 8, "made.at = 'now' is not a time, such"),
        ("[detector.det.roi.made]\nmood = 3\nevents = 2.5", 9, "made.events = 2.5"),
        ("made = 3", 7, "made = 3 is not a dict"),
    ],
)
def test_wrong_provenance_is_told_with_its_line(write, made, line, message):
    text = START + '[[detector.det.roi]]\nruns = "1-"\nname = "A"\n'
    text += made + '\n[[detector.det.roi]]\nruns = "1-"\nmade.by = "user@host"\n'
    (problem,) = problems_of_file(write(text))
    assert problem.startswith(f"line {line}: detector.det.roi: {message}")


AZAV = """\
[[detector.det.azav]]
runs = "1-"
polarization = 1.0
center = [0, 0]
"""


def test_what_an_azimuthal_average_lacks_is_told_for_the_first_run(write):
    geometry = '[[detector.det.geometry]]\nruns = "1-9"\neBeam = 9.5\n'
    path = write(START + AZAV + geometry + 'dis_to_sam = { pv = "det_z" }\n')
    (problem,) = problems_of_file(path)
    assert problem == (
        "line 4: detector.det.azav 'azav', runs 1-: 'azav' needs dis_to_sam [mm] and "
        "eBeam [keV]: give it to the function, or in the 'geometry' entry of the "
        "detector (from run 10 on)"
    )
    assert len(ParameterFile.load(path).entries) == 2


@pytest.mark.parametrize(
    ("kind", "more", "missing"),
    [
        ("azav", "", ["center [um] and dis_to_sam [mm] and eBeam", "polarization"]),
        ("azav", "rbin = 100\npolCorr = false", ["center [um] and dis_to_sam [mm]:"]),
        ("azav_pyfai", "int_units = 'q_A^-1'", ["dis_to_sam [mm] and eBeam", "polar"]),
        ("azav_pyfai", "polarization_factor = 0.0\nai_kwargs = { dist = 0.1, "
         "poni1 = 0.0, poni2 = 0.0 }", []),
        ("azav", "eBeam = 'x'", ["eBeam"]),
        ("azav", "enabled = false", []),
    ],
)  # fmt: skip
def test_what_a_function_needs_of_the_beam(write, kind, more, missing):
    text = f'{START}[[detector.det.{kind}]]\nruns = "1-"\n{more}\n'
    found = problems_of_file(write(text))
    assert len(found) == len(missing)
    for problem, words in zip(found, missing, strict=True):
        assert words in problem


def test_a_detector_that_is_off_lacks_nothing(write):
    off = '[[detector.det.use]]\nruns = "1-"\nuse = false\n'
    assert problems_of_file(write(START + AZAV + off)) == []


def test_a_geometry_that_is_wrong_is_not_missed(write):
    wrong = "[[detector.det.geometry]]\nruns = 3\neBeam = 9.5\ndis_to_sam = 80.0\n"
    (problem,) = problems_of_file(write(START + AZAV + wrong))
    assert "runs = 3 is not a text" in problem


def test_a_text_is_no_list(write):
    (problem,) = problems_of_file(write(START + '[event]\nepics = "lxt"\n'))
    assert problem == "line 5: event: epics = 'lxt' is not a list; write ['lxt']"


@pytest.mark.parametrize("name", ["a/b", ".", ""])
@pytest.mark.parametrize("kind", ["roi", "mask"])
def test_a_name_that_nothing_can_be_stored_by(write, kind, name):
    text = f'{START}[[detector.det.{kind}]]\nruns = "1-"\nname = "{name}"\n'
    problems = problems_of_file(write(text))
    told = f"line 6: detector.det.{kind}: {name!r} is not a name; a name has no '/'"
    assert told in problems


def test_the_lines_are_those_of_an_editor(write, tmp_path):
    path = tmp_path / "p.toml"
    path.write_bytes(WRONG.replace("\n", "\r\n").replace("high", "\x85").encode())
    assert any(p.startswith("line 33: ") for p in problems_of_file(path))


def test_required_values_of_what_is_switched_off_are_not_needed(write):
    text = RIGHT
    text += '[[detector.det.mask]]\nruns = "1-"\nname = "A"\nenabled = false\n'
    text += '[[detector.det.photons]]\nruns = "1-"\nenabled = false\n'
    assert problems_of_file(write(text)) == []


def test_parameters_are_checked_one_by_one(write):
    """A missing one does not make the others wrong."""
    text = RIGHT
    text += '[[detector.det.photons]]\nruns = "1-"\noffset = 1.0\nperPanel = true\n'
    (problem,) = problems_of_file(write(text))
    assert "aduspphot = None" in problem


def test_names_by_default_depend_on_the_parameters(write):
    text = RIGHT
    for axis in (0, 1, 0):
        text += f'[[detector.det.projection]]\nruns = "1-"\naxis = {axis}\n'
    entries = ParameterFile.load(write(text)).entries
    assert [e.name for e in entries] == ["pj_ax_0", "pj_ax_1", "pj_ax_0_1"]


def test_the_example_of_the_readme_is_right(write):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    section = readme.partition("## The parameter file")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("    ")]
    path = write(textwrap.dedent("\n".join(lines)))
    assert problems_of_file(path) == []
    kinds = [e.kind for e in ParameterFile.load(path).entries]
    assert kinds == ["roi", "geometry", "azav", "sums"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("x = ", ParameterError, "not TOML"),
        ("a = " + "[" * 5000, ParameterError, "not TOML"),
        ("x = 2026-13-01", ParameterError, "not TOML"),
    ],
)
def test_what_is_no_parameter_file_at_all(write, text, error, message):
    with pytest.raises(error, match=message):
        problems_of_file(write(text))


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match="there is no parameter file"):
        problems_of_file(tmp_path / "none.toml")
    with pytest.raises(FileError, match=r"it is a folder; name a file \.toml"):
        problems_of_file(tmp_path)
    (tmp_path / "p.toml").write_bytes(b"a = 3\nb = '\xff'")
    with pytest.raises(FileError, match="line 2 is no text in UTF-8; save it as such"):
        problems_of_file(tmp_path / "p.toml")


@pytest.mark.parametrize(
    ("run", "line", "why"),
    [
        (11, None, "none of its name is for run 11"),
        (12, 4, "the only one of its name for run 12"),
        (14, 7, "it begins with the largest run of 2 for run 14"),
        (20, 13, "the last in the file of 2 that begin with run 20"),
    ],
)
def test_the_reason_of_a_choice(write, run, line, why):
    text = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n\n'
    for runs in ("12-", "14-", "20-", "20-30"):
        text += f'[[detector.det.roi]]\nruns = "{runs}"\nname = "A"\n'
    (group,) = groups(ParameterFile.load(write(text)).entries)
    assert reason(group, run) == why
    best = winner(group, run)
    assert (best.line if best else None) == line


def test_an_old_mistake_does_not_stop_another_run(write):
    text = RIGHT + WRONG.partition("\n[[detector.det.mask]]")[2].partition("\n[[")[0]
    text = text.replace('\nruns = "1-"', '\n[[detector.det.mask]]\nruns = "1-9"')
    text += '\n[[detector.det.roi]]\nruns = "1-"\n'
    path = write(text)
    assert len(problems_of_file(path)) == 1
    assert len(ParameterFile.load(path).resolve(10).detectors["det"]) == 1
