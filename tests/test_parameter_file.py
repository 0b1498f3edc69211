"""The parameter file: strict reading, resolution by run, appending."""

import multiprocessing
import os
import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import smalldata_ana.ana_funcs  # noqa: F401 (registers its kinds)
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.parameters import file as parameter_file
from smalldata_ana.parameters.appending import append
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.resolved import takes_effect
from smalldata_ana.parameters.run_range import RunRange

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
ROI = [[0, 1], [100, 120], [50, 60]]


def roi(runs, name="ROI_0", box=ROI, **more):
    return Entry("jungfrau1M", "roi", RunRange.parse(runs), {"ROI": box}, name, **more)


def write(tmp_path, body):
    path = tmp_path / "xpptut15.toml"
    path.write_text(HEAD + body)
    return path


def table(runs, more="", kind="roi"):
    return f'\n[[detector.jungfrau1M.{kind}]]\nruns = "{runs}"\n{more}\n'


def names(path, run):
    entries = ParameterFile.load(path).resolve(run).detectors.get("jungfrau1M", ())
    return [(e.name, str(e.runs)) for e in entries]


def test_an_entry_is_read_with_its_values(tmp_path):
    text = table("12-", f'name = "A"\nROI = {ROI}\nthresADU = 7.0\nwriteArea = true')
    text += '[detector.jungfrau1M.roi.made]\nby = "me@here"\n'
    (entry,) = ParameterFile.load(write(tmp_path, text), "xpptut15").entries
    assert entry.detector == "jungfrau1M"
    assert entry.runs == RunRange(12)
    assert entry.values == {"ROI": ROI, "thresADU": 7.0, "writeArea": True}
    assert entry.made == {"by": "me@here"}
    assert entry.make().trait_values()["name"] == "A"


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (11, []),
        (12, ["12-"]),
        (13, ["13-20"]),
        (14, ["14-"]),
        (21, ["14-"]),
    ],
)
def test_the_largest_begin_wins(tmp_path, run, expected):
    body = "".join(table(r, 'name = "A"') for r in ("14-", "12-", "13-20"))
    assert [runs for _, runs in names(write(tmp_path, body), run)] == expected


def test_of_equal_begins_the_later_in_the_file_wins(tmp_path):
    body = table("12-40", 'name = "A"') + table("12-", 'name = "A"')
    assert names(write(tmp_path, body), 20) == [("A", "12-")]


def test_names_and_kinds_do_not_compete(tmp_path):
    body = table("1-", 'name = "A"') + table("12-", 'name = "B"')
    body += table("1-", "common_mode = 7", "common_mode")
    body += table("12-", "use = false", "use")
    assert names(write(tmp_path, body), 12) == [
        ("A", "1-"),
        ("B", "12-"),
        ("", "1-"),
        ("", "12-"),
    ]


def test_the_parameters_of_psana_are_a_common_mode(tmp_path):
    body = table("1-", "common_mode = [7, 2, 100, 10]", "common_mode")
    (entry,) = ParameterFile.load(write(tmp_path, body)).entries
    assert entry.make().common_mode == [7, 2, 100, 10]


@pytest.mark.parametrize("value", ['"seven"', "[]", '[7, "two"]', "7.5"])
def test_other_common_modes_are_errors(tmp_path, value):
    with pytest.raises(ParameterError, match="common_mode"):
        ParameterFile.load(
            write(tmp_path, table("1-", f"common_mode = {value}", "common_mode"))
        )


def test_an_entry_that_is_not_enabled_takes_away(tmp_path):
    body = table("1-", 'name = "A"') + table("12-", 'name = "A"\nenabled = false')
    path = write(tmp_path, body)
    assert names(path, 11) == [("A", "1-")]
    assert names(path, 12) == []


def test_entries_without_a_name_are_numbered_for_each_begin(tmp_path):
    body = table("1-") + table("1-") + table("12-")
    path = write(tmp_path, body)
    assert names(path, 5) == [("ROI_0", "1-"), ("ROI_1", "1-")]
    assert names(path, 12) == [("ROI_0", "12-"), ("ROI_1", "1-")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (table("1-", "writeAera = true"), r"line 6: .*'writeAera'.*'writeArea'\?"),
        (table("1-", "writeArea = 3"), "line 6: .*writeArea.*bool"),
        (table("1-", "ROI = [[3, 1]]"), r"line 6: .*\[\[3, 1\]\].*begin < end"),
        (table("1-", 'thresADU = "a"'), "line 6: .*thresADU"),
        (table("1-", 'name = ""'), "line 6: .*not a name"),
        (table("1-", "enabled = 1"), "line 6: .*not a bool"),
        (table("x"), "line 5: .*'x' is not a range of runs"),
        ("\n[[detector.jungfrau1M.roi]]\nruns = 12", 'line 5: .*write runs = "12"'),
        ("\n[[detector.jungfrau1M.roi]]\n", "line 4: .*'runs' is missing"),
        (table("1-", kind="rio"), r"line 4: .*'rio'.*'roi'.*Did you mean 'roi'\?"),
        ('[detector.jungfrau1M.roi]\nruns = "1-"', "not an array of tables"),
        ("[detector]\njungfrau1M = 3", "'detector.jungfrau1M' is not a table"),
        ("detector = 3", "'detector' is not a table"),
        ("detectors = 3", r"'detectors'.*Did you mean 'detector'\?"),
        ("[[detector\nx = 3", "not TOML.*line 3"),
        (
            table("1-", "writeArea = true\nROI = [[[0, 1]], [[2, 3]]]"),
            "line 4: .*single box",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, body, message):
    path = write(tmp_path, body)
    with pytest.raises(ParameterError, match=message):
        ParameterFile.load(path)


def test_all_problems_are_said_at_once(tmp_path):
    body = table("1-", "writeAera = true\nROI = [[3, 1]]") + table("x")
    with pytest.raises(ParameterError) as error:
        ParameterFile.load(write(tmp_path, body))
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'schema' is missing; write schema = "),
        (HEAD.replace("/1", "/2"), "smalldata-ana-params/2"),
        (HEAD.replace("xpptut15", "xpp00123"), "for experiment 'xpp00123', not"),
        (
            'schema = "smalldata-ana-params/1"\n',
            "'experiment' is missing; write experiment = \"xpptut15\"",
        ),
    ],
)
def test_wrong_heads_are_errors(tmp_path, text, message):
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=message):
        ParameterFile.load(path, "xpptut15")


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(FileError, match=r"exportParams"):
        ParameterFile.load(tmp_path / "none.toml")


def test_append_makes_the_file(tmp_path):
    path = tmp_path / "params" / "xpptut15.toml"
    made = {"by": "me", "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "s": {"n": 1}}
    append(path, [roi("12-", made=made)], "xpptut15")
    document = tomllib.loads(path.read_text())
    assert document["schema"] == "smalldata-ana-params/1"
    assert document["experiment"] == "xpptut15"
    (row,) = document["detector"]["jungfrau1M"]["roi"]
    assert row == {"runs": "12-", "name": "ROI_0", "ROI": ROI, "made": made}


def test_append_keeps_what_people_wrote(tmp_path):
    path = write(tmp_path, "# my comment\n" + table("1-", "  # drawn by hand"))
    before = path.read_text().rstrip("\n")
    path.write_text(before)  # a file without a newline at its end, too
    append(path, [roi("12-"), roi("12-", "ROI_1")], "xpptut15")
    assert path.read_text().startswith(before + "\n")
    assert len(ParameterFile.load(path).entries) == 3


@pytest.mark.parametrize(
    "entry",
    [roi("1-", box=[[3, 1]]), Entry("d", "nokind", RunRange(1), {}), roi("1-", of=3)],
)
def test_a_wrong_entry_changes_nothing(tmp_path, entry):
    path = write(tmp_path, table("1-"))
    before = path.read_bytes()
    with pytest.raises(ParameterError):
        append(path, [roi("1-"), entry], "xpptut15")
    assert path.read_bytes() == before


def test_everybody_of_the_group_can_append(tmp_path):
    path = tmp_path / "p.toml"
    mask = os.umask(0o077)
    try:
        append(path, [roi("1-")], "xpptut15")
    finally:
        os.umask(mask)
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o664}


def test_append_refuses_the_file_of_another_experiment(tmp_path):
    path = write(tmp_path, "")
    with pytest.raises(ParameterError, match="xpp00123"):
        append(path, [roi("1-")], "xpp00123")


def test_append_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="it is a file"):
        append(tmp_path / "file" / "p.toml", [roi("1-")], "xpptut15")


def _append_some(path, who):
    for number in range(10):
        append(path, [roi("1-", f"{who}_{number}")], "xpptut15")


def test_two_processes_append_at_once_and_nothing_is_lost(tmp_path):
    path = tmp_path / "p.toml"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append_some, args=(path, who)) for who in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = {entry.name for entry in ParameterFile.load(path).entries}
    assert found == {f"{who}_{number}" for who in "ab" for number in range(10)}


boxes = st.lists(
    st.tuples(st.integers(0, 999), st.integers(1, 999)).map(lambda t: [t[0], sum(t)]),
    min_size=2,
    max_size=3,
)
names_ = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
range_ = st.builds(
    lambda begin, more: RunRange(begin, None if more is None else begin + more),
    st.integers(0, 50),
    st.none() | st.integers(0, 50),
)
entries_ = st.builds(
    lambda detector, runs, name, box, thres, made: Entry(
        detector, "roi", runs, {"ROI": box, "thresADU": thres}, name, made=made
    ),
    names_,
    range_,
    names_.filter(lambda name: "/" not in name and name not in {".", ".."}),
    boxes,
    st.floats(allow_nan=False, allow_infinity=False),
    st.dictionaries(names_, st.integers(-9, 9) | names_ | st.booleans(), max_size=2),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(entries_, min_size=1, max_size=4))
def test_append_and_load_round_trip(tmp_path, entries):
    path = tmp_path / "p.toml"
    path.unlink(missing_ok=True)
    for entry in entries:
        append(path, [entry], "xpptut15")
    read = ParameterFile.load(path).entries
    key = [(e.detector, e.name, e.runs, e.values, e.made) for e in read]
    assert sorted(map(repr, key)) == sorted(
        repr((e.detector, e.name, e.runs, dict(e.values), e.made)) for e in entries
    )


@settings(deadline=None)
@given(st.lists(range_, min_size=1, max_size=5), st.integers(0, 120))
def test_takes_effect_is_the_resolution(ranges, run):
    entries = [roi(str(r)) for r in ranges]
    winning = [e for e in entries if any(run in r for r in takes_effect(entries, e))]
    rows = "".join(e.text() for e in entries)
    resolved = ParameterFile.parse(HEAD + rows, parameter_file.Path("p"))
    chosen = resolved.resolve(run).detectors.get("jungfrau1M", ())
    assert [str(e.runs) for e in winning] == [str(e.runs) for e in chosen]


def test_resolved_text_is_a_parameter_file_with_a_checksum(tmp_path):
    path = write(tmp_path, table("1-", 'name = "A"') + table("12-", 'name = "A"'))
    resolved = ParameterFile.load(path).resolve(14)
    again = ParameterFile.parse(resolved.text, path)
    assert [(e.name, str(e.runs)) for e in again.entries] == [("A", "12-")]
    assert len(resolved.sha256) == 64
