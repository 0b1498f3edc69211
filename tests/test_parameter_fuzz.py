"""Whatever a parameter file holds: it is read right, or refused; nothing else."""

import tomllib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import smalldata_ana.pipeline  # noqa: F401 (it knows all kinds of entries)
from smalldata_ana.commands.params import main
from smalldata_ana.errors import SmallDataError
from smalldata_ana.parameters.entry import COMMON_KEYS
from smalldata_ana.parameters.file import ParameterFile, problems_of_file
from smalldata_ana.parameters.model import kinds, model_of, table_kinds
from smalldata_ana.parameters.record import describe_changes
from smalldata_ana.parameters.toml_text import key_text, value_text

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
FUZZ = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
words = texts | st.sampled_from(
    [
        "12-",
        "1-3",
        "3-1",
        "-",
        "ROI_0",
        "A",
        "horizontal",
        "",
        "/",
        ".",
        "calib_img",
        "event",
    ]
)
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    words,
    st.datetimes(),
    st.dates(),
    st.times(),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def tables(draw):
    """Return a kind, and a table of its keys, some with values that fit."""
    kind = draw(st.sampled_from(kinds()))
    known = [*COMMON_KEYS, *model_of(kind).file_keys()]
    keys = draw(st.lists(st.sampled_from(known) | words, max_size=4, unique=True))
    table = {key: draw(values) for key in keys}
    if draw(st.booleans()):
        table["runs"] = draw(st.sampled_from(["1-", "3-7", "5"]))
    return kind, table


def text_of(rows):
    lines = [HEAD]
    for kind, table in rows:
        lines.append(f"[[{key_text('detector', 'det', kind)}]]")
        lines += [f"{key_text(k)} = {value_text(v)}" for k, v in table.items()]
    return "\n".join(lines)


def read(path):
    """Return the file, or None if it is refused with a text for people."""
    try:
        return ParameterFile.load(path)
    except SmallDataError as error:
        return None if str(error).strip() else pytest.fail("an error without a text")


@FUZZ
@given(st.lists(tables(), max_size=4))
@example([("mask", {"runs": "1-", "file": "\x00"})])
@example([("function", {"runs": "1-", "call": "x", "y": 1})])
@example([("function", {"runs": "1-", "call": [1]})])
@example([("mask", {"runs": "1-", "shape": [2**62, 2**62]})])
def test_any_entries(tmp_path, rows):
    path = tmp_path / "p.toml"
    text = text_of(rows)
    path.write_text(text, encoding="utf-8")
    file = read(path)
    problems = problems_of_file(path)
    if file is None:
        assert problems
        return
    document = tomllib.loads(text).get("detector", {}).get("det", {})
    assert len(file.entries) == sum(map(len, document.values()))
    for entry in file.entries:
        row = next(r for r in document[entry.kind] if entry.values.items() <= r.items())
        given_ = set(row) - {*COMMON_KEYS, "name"}
        assert given_ == set(entry.values)  # nothing is dropped, nothing made up
        if entry.enabled and not entry.model.is_open:
            entry.make()


@st.composite
def event_tables(draw):
    """Return values of the table of the event data, some of which fit."""
    known = table_kinds()["event"].model.file_keys()
    keys = draw(st.lists(st.sampled_from(known) | words, max_size=4, unique=True))
    return {key: draw(values) for key in keys}


@FUZZ
@given(event_tables(), st.sampled_from(["[event]", "[[event]]", "[event.x]"]))
@example({"light_status": [[2**70], [float("nan")]]}, "[event]")
@example({"ttCalib": [float("inf"), 1.0]}, "[event]")
def test_any_table(tmp_path, table, header):
    path = tmp_path / "p.toml"
    body = [f"{key_text(k)} = {value_text(v)}" for k, v in table.items()]
    path.write_text("\n".join([HEAD + header, *body]), encoding="utf-8")
    file = read(path)
    if file is None:
        assert problems_of_file(path)
        return
    assert header == "[event]"
    resolved = file.resolve(1)
    assert set(file.tables[0].values) == set(table)
    assert resolved.event
    again = ParameterFile.parse(resolved.text, path).resolve(1)
    assert again.record() == resolved.record()
    assert describe_changes(resolved.record(), again.record()) == []


@FUZZ
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text(tmp_path, text):
    path = tmp_path / "p.toml"
    path.write_bytes(text.encode("utf-8", "replace") if isinstance(text, str) else text)
    assert read(path) is None


@FUZZ
@given(st.dictionaries(words, values, max_size=3), st.sampled_from(["", "det", "x"]))
def test_any_structure(tmp_path, document, where):
    path = tmp_path / "p.toml"
    above = {"": "", "det": "[detector]\n", "x": "[detector.x]\n"}[where]
    body = "".join(f"{key_text(k)} = {value_text(v)}\n" for k, v in document.items())
    text = HEAD + above + body
    path.write_text(text, encoding="utf-8")
    file = read(path)
    assert bool(problems_of_file(path)) or file is not None


@pytest.mark.parametrize("old", ["schema", "12-", "ROI", "[0, 1]", "roi", "]]", '"'])
@settings(FUZZ, max_examples=25)
@given(new=st.text(max_size=5))
def test_any_change_of_a_good_file(tmp_path, capsys, old, new):
    path = tmp_path / "p.toml"
    good = HEAD + '[[detector.det.roi]]\nruns = "12-"\nROI = [[0, 1], [2, 3]]\n'
    changed = good.replace(old, new, 1)
    path.write_bytes(changed.encode("utf-8", "replace"))
    code = main(["check", str(path)])
    told = capsys.readouterr()
    assert code in {0, 2}
    assert ("error: " in told.err) == (code == 2)
    assert "Traceback" not in told.err
