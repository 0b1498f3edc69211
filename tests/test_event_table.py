"""The tables of a parameter file beside its detectors: read, refused, shown, kept."""

from __future__ import annotations

import pickle

import pytest
from traitlets import Float, List, Unicode

import smalldata_ana.pipeline  # noqa: F401 (it knows all that parameters may hold)
from smalldata_ana.commands.params import main
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters import model
from smalldata_ana.parameters.appending import append
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile, problems_of_file
from smalldata_ana.parameters.model import Parameters, register_table
from smalldata_ana.parameters.run_range import RunRange

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
EVENT = """
[event]
epics = ["sam_x", ["XPP:SAM:Y", "sam_y"]]   # the stage
ttCalib = [0.0, -0.002]

[event.light_status]
xray = [-137]
laser = [91]
"""
CUBES = """
[cube.delay]
runs = "12-"
variable = "scan/delay"
bins = [-1.0, 0.5, 3]

[cube.energy]
enabled = false
variable = "scan/mono"
"""
REGION = """
[[detector.det.roi]]
runs = "1-"
ROI = [[0, 1], [2, 3]]
"""


@pytest.fixture(autouse=True)
def cube(monkeypatch):
    """Register a kind of table with names, whatever there is of it elsewhere."""
    monkeypatch.setattr(model, "_tables", dict(model.table_kinds()))

    @register_table("cube", named=True)
    class Cube(Parameters):
        name = Unicode(help="of the file")
        variable = Unicode(help="what the bins are of").tag(required=True)
        bins = List(Float(), help="begin, end, number")

    return Cube


@pytest.fixture
def write(tmp_path):
    def write(*parts):
        path = tmp_path / "p.toml"
        path.write_text("".join(parts), encoding="utf-8")
        return path

    return write


def test_the_values_of_a_run(write):
    resolved = ParameterFile.load(write(HEAD, EVENT, CUBES)).resolve(12)
    assert resolved.event.ttCalib == [0.0, -0.002]
    assert resolved.event.epics == ["sam_x", ("XPP:SAM:Y", "sam_y")]
    assert resolved.event.light_status == {"xray": [-137], "laser": [91]}
    (cube,) = resolved.cubes.values()
    assert (cube.name, cube.variable, cube.bins) == (
        "delay",
        "scan/delay",
        [-1.0, 0.5, 3.0],
    )


def test_a_cube_for_other_runs_is_not_there(write):
    file = ParameterFile.load(write(HEAD, CUBES))
    assert file.resolve(11).cubes == {}
    assert list(file.resolve(12).cubes) == ["delay"]


def test_without_a_table_all_is_by_default(write):
    event = ParameterFile.load(write(HEAD, REGION)).resolve(1).event
    assert event.epics == []
    assert event.ttCalib is None


def test_what_applies_can_be_written_and_sent(write):
    resolved = ParameterFile.load(write(HEAD, EVENT, CUBES, REGION)).resolve(12)
    again = ParameterFile.load(write(resolved.text)).resolve(12)
    assert again.record() == resolved.record()
    assert again.event.trait_values() == resolved.event.trait_values()
    assert list(again.cubes) == ["delay"]
    sent = pickle.loads(pickle.dumps(resolved))
    assert sent.event.trait_values() == resolved.event.trait_values()
    assert sent.digest() == resolved.digest()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[event]\nepic = []\n", 4, "Did you mean 'epics'?"),
        ('[event]\nttCalib = "a"\n', 4, "ttCalib"),
        ("[event]\nepics = [3]\n", 4, "epics"),
        ('[event]\nruns = "1-"\n', 4, "no parameter 'runs' in event"),
        ("[[event]]\nepics = []\n", 3, "'event' is not a table; write [event]"),
        ("event = 3\n", 3, "'event' is not a table; write [event]"),
        ("[event.light_status]\nxray = 3\n", 3, "event"),
        ("[evnt]\nepics = []\n", 3, "Did you mean 'event'?"),
        ("cube = 3\n", 3, "'cube' is not a table; write [cube.<name>]"),
        ("[cube]\nvariable = 3\n", 4, "'cube.variable' is not a table"),
        ('[[cube.a]]\nvariable = "x"\n', 3, "is not a table; write [cube.a]"),
        ("[cube.a]\nbins = [1.0]\n", 3, "cube.a: 'variable' is missing: what the"),
        ('[cube.a]\nruns = 3\nvariable = "x"\n', 4, "runs = 3 is not a text"),
        ('[cube.a]\nenabled = 1\nvariable = "x"\n', 4, "enabled = 1 is not a bool"),
        ('[cube.a]\nof = "b"\nvariable = "x"\n', 4, "no parameter 'of' in cube.a"),
        ('[cube.a]\nbin = 3\nvariable = "x"\n', 4, "Did you mean 'bins'?"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(write, text, line, message):
    path = write(HEAD, text)
    (problem,) = problems_of_file(path)
    assert problem.startswith(f"line {line}: ")
    assert message in problem
    with pytest.raises(ParameterError, match="line"):
        ParameterFile.load(path)


def test_everything_is_told_at_once(write):
    text = REGION.replace("ROI =", "RIO =") + "[event]\nepic = 3\n[cube.a]\nbins = 3\n"
    found = problems_of_file(write(HEAD, text))
    words = ("RIO", "epic", "bins", "variable")
    assert all(any(word in problem for problem in found) for word in words)
    assert len(found) == len(words)


def test_a_table_that_is_switched_off_needs_no_values(write):
    path = write(HEAD, "[cube.a]\nenabled = false\n")
    assert ParameterFile.load(path).resolve(1).cubes == {}


def test_show(write, capsys):
    path = str(write(HEAD, EVENT, CUBES, REGION))
    assert main(["show", path, "-r", "11"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert "+ event: line 4" in told
    assert "    ttCalib = [0.0, -0.002]" in told
    assert "- cube.delay: not for this run: it is for runs 12-" in told
    assert "- cube.energy: not for this run: it is switched off" in told


def test_python_has_no_place_for_tables(write, capsys):
    assert main(["to-prod-config", str(write(HEAD, EVENT, REGION))]) == 0
    assert "not written: [event]" in capsys.readouterr().err


def test_what_was_written_by_hand_survives_an_export(write):
    path = write(HEAD, EVENT, CUBES, "# the end, without a newline")
    before = path.read_text()
    entry = Entry("det", "roi", RunRange(3), {"ROI": [[0, 1], [2, 3]]}, "A")
    done = append(path, [entry], "xpptut15")
    assert path.read_text().startswith(before)
    assert done.after.tables == done.before.tables
    assert sorted(t.name for t in done.after.tables) == ["", "delay", "energy"]


def test_a_wrong_table_stops_an_export(write):
    path = write(HEAD, "[event]\nepic = 3\n")
    entry = Entry("det", "roi", RunRange(3), {"ROI": [[0, 1], [2, 3]]}, "A")
    with pytest.raises(ParameterError, match="epics"):
        append(path, [entry], "xpptut15")
