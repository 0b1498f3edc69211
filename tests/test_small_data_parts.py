"""Parts of a small-data file, and appending them to the file of the run."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from smalldata_ana.detector.protocol import MISSING_INTEGER, Field, Length
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.smalldata import growing
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.parts import write_part

FLOAT, INTEGER = np.dtype(np.float64), np.dtype(np.int64)
VARIABLE = Field(np.dtype(np.float32), length=Length.VARIABLE)
FIELDS = {
    "timestamp": Field(INTEGER),
    "det/sum": Field(FLOAT, unit="keV"),
    "det/count": Field(INTEGER),
    "det/area": Field(np.dtype(np.float32), (2, 3)),
    "det/nothing": Field(FLOAT, (0,)),
    "det/var_drop/x": VARIABLE,
    "det/var_drop/xy": replace(VARIABLE, shape=(2,)),
    "det/ragged_i": Field(INTEGER, length=Length.RAGGED),
}


def rows(count, seed=0):
    """Return events of random numbers; of every third only the timestamp is known."""
    rng = np.random.default_rng(seed)
    found = []
    for n in range(count):
        row = {"timestamp": np.int64(1000 * seed + n)}
        if n % 3 != 2:
            drops = n % 4
            row |= {
                "det/sum": rng.random(),
                "det/count": np.int64(n),
                "det/area": rng.random((2, 3)).astype(np.float32),
                "det/nothing": np.empty(0),
                "det/var_drop/x": rng.random(drops).astype(np.float32),
                "det/var_drop/xy": rng.random((drops, 2)).astype(np.float32),
                "det/ragged_i": np.arange(n % 5),
            }
        found.append(row)
    return found


@pytest.fixture
def opened():
    """Return a function that makes a file in memory."""
    files = []

    def make():
        name = f"file{len(files)}"
        files.append(h5py.File(name, "w", driver="core", backing_store=False))
        return files[-1]

    yield make
    for file in files:
        file.close()


def begun(file, fields=FIELDS, **options):
    columns = Columns(file, **options)
    for path, field in fields.items():
        columns.add(path, field)
    return columns


def contents(file):
    """Return all datasets, arrays of any length as lists."""
    found = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            ragged = item.dtype.kind == "O"
            found[name] = [list(v) for v in item] if ragged else item[()]

    file.visititems(collect)
    return found


def assert_equal(file, other):
    one, two = contents(file), contents(other)
    assert one.keys() == two.keys()
    for path, values in one.items():
        np.testing.assert_equal(two[path], values, path)


def parts(opened, batches):
    found = []
    for batch in batches:
        found.append(opened())
        write_part(found[-1], FIELDS, batch)
    return found


def test_parts_one_after_the_other_are_the_rows(opened, monkeypatch):
    # So that there are several blocks.
    monkeypatch.setattr(growing, "BLOCK_BYTES", 64)
    monkeypatch.setattr(growing, "RAGGED_BLOCK", 2)
    batches = [rows(7, 1), rows(1, 2), [], rows(20, 3)]
    direct, merged = opened(), opened()
    begun(direct).extend([row for batch in batches for row in batch])
    columns = begun(merged, expected=28)
    for part in parts(opened, batches):
        columns.append_file(part)
    assert columns.events == 28
    assert_equal(direct, merged)
    assert np.isnan(merged["det/sum"][2])
    assert merged["det/count"][2] == MISSING_INTEGER
    assert merged["det/sum"].attrs["units"] == "keV"
    assert merged["det/var_drop_len"][()].sum() == len(merged["det/var_drop/xy"])


def test_values_may_come_as_columns(opened):
    some = rows(5)
    column = {"det/sum": np.arange(5.0), "det/ragged_i": [np.arange(2)] * 5}
    by_row, part, merged = opened(), opened(), opened()
    begun(by_row).extend(
        [row | {k: v[n] for k, v in column.items()} for n, row in enumerate(some)]
    )
    write_part(part, FIELDS, some, column)
    begun(merged).append_file(part)
    assert_equal(by_row, merged)


def test_a_part_may_be_a_group(opened):
    part, merged = opened(), opened()
    write_part(part.create_group("slow"), FIELDS, rows(3))
    columns = begun(merged.create_group("intg"))
    columns.append_file(part["slow"])
    assert merged["intg/det/area"].shape == (3, 2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda part: part.attrs.pop("events"), "not a part"),
        (lambda part: part.pop("det/area"), "no dataset 'det/area'"),
        (lambda part: part.pop("det/var_drop_len"), "no dataset 'det/var_drop_len'"),
        (lambda part: part.attrs.update(events=4), r"shape \(5, 2, 3\)"),
        (
            lambda part: part["det/var_drop_len"].write_direct(np.arange(5)),
            r"'det/var_drop/x'.*shape \(10,\)",
        ),
    ],
)
def test_what_is_not_such_a_part_is_an_error(opened, change, message):
    (part,) = parts(opened, [rows(5)])
    change(part)
    columns = begun(opened())
    with pytest.raises(FileError, match=message):
        columns.append_file(part)
    assert columns.events == 0


@pytest.mark.parametrize(
    "other", [Field(FLOAT, (2, 3)), Field(np.dtype(np.float32), (3, 2))]
)
def test_a_part_of_other_fields_is_an_error(opened, other):
    (part,) = parts(opened, [rows(2)])
    columns = begun(opened(), FIELDS | {"det/area": other})
    with pytest.raises(FileError, match="'det/area' of file0 is float32"):
        columns.append_file(part)


def test_a_part_with_other_numbers_is_an_error(opened):
    (part,) = parts(opened, [rows(2)])
    columns = begun(opened(), FIELDS | {"det/more": Field(FLOAT)})
    with pytest.raises(FileError, match=r"'tables/float64'.*other parameters"):
        columns.append_file(part)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"det/sun": np.zeros(2)}, "Did you mean 'det/sum'"),
        ({"det/sum": np.zeros(3)}, "2 events need"),
        ({"det/ragged_i": [np.arange(3)]}, "2 events need"),
        ({"det/area": np.zeros((2, 3, 2))}, "'det/area' has the shape"),
        (
            {
                "det/var_drop/x": [np.zeros(1), np.zeros(2)],
                "det/var_drop/xy": [np.zeros((1, 2)), np.zeros((1, 2))],
            },
            "'det/var_drop/xy' has not as many values",
        ),
    ],
)
def test_wrong_columns_leave_the_file_as_it_is(opened, columns, message):
    written = begun(opened())
    with pytest.raises(ParameterError, match=message):
        written.extend_columns(columns, 2)
    assert written.events == 0
