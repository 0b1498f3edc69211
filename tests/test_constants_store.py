"""The constants store: which constant is valid, and what is kept with it."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalldata_ana.errors import ConstantsError
from smalldata_ana.sources.constants import age
from smalldata_ana.sources.constants_store import ConstantsStore


def put(
    store: ConstantsStore, value: float, begin: int, end: int | None = None
) -> Path:
    return store.put("cam", "pedestals", np.full((2, 3), value), begin, end)


def valid(store: ConstantsStore, run: int) -> float | None:
    array = store.get("cam", run).array("pedestals")
    return None if array is None else float(array[0, 0])


def test_the_largest_begin_wins_and_then_the_narrower_range(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path)
    put(store, 1.0, 0)
    put(store, 2.0, 10)
    put(store, 3.0, 10, 20)
    put(store, 4.0, 15, 16)
    expected = {0: 1, 9: 1, 10: 3, 14: 3, 15: 4, 16: 4, 17: 3, 20: 3, 21: 2, 999: 2}
    assert {run: valid(store, run) for run in expected} == expected


def test_before_the_first_range_there_is_nothing(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path)
    put(store, 1.0, 5, 6)
    assert valid(store, 4) is None
    assert valid(store, 7) is None


@given(
    st.tuples(st.integers(0, 50), st.none() | st.integers(0, 50)),
    st.tuples(st.integers(0, 50), st.none() | st.integers(0, 50)),
)
def test_the_order_of_ranges_is_that_of_psana(
    one: tuple[int, int | None], other: tuple[int, int | None]
) -> None:
    def psana(a: tuple[int, int | None], b: tuple[int, int | None]) -> int:
        """Compare as `psana.pscalib.calib.CalibFileFinder.CalibFile` does."""
        (a0, a1), (b0, b1) = ((r[0], 9999 if r[1] is None else r[1]) for r in (a, b))
        if a0 != b0:
            return -1 if a0 < b0 else 1
        return (a1 < b1) - (a1 > b1)

    difference = (age(*one) > age(*other)) - (age(*one) < age(*other))
    assert difference == psana(one, other)


def test_an_array_is_read_when_it_is_used_and_only_as_it_was(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path)
    path = put(store, 1.0, 0)
    constants = store.get("cam", 5)
    assert constants.items["pedestals"].value is not constants.items["pedestals"].value
    put(store, 2.0, 0)
    os.utime(path, ns=(0, 0))
    with pytest.raises(ConstantsError, match="changed since the run was opened"):
        constants.array("pedestals")
    assert valid(store, 5) == 2.0


def test_what_is_put_is_got_with_its_record(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path / "calib")
    value = np.arange(6.0).reshape(2, 3)
    path = store.put(
        "cam", "pixel_rms", value, 3, 8, serial="0a1b", made={"origin": "run 2"}
    )
    assert path == tmp_path / "calib/cam/pixel_rms/3-8.npy"
    item = store.get("cam", 5).items["pixel_rms"]
    assert (item.begin, item.end, item.validity) == (3, 8, "3-8")
    assert item.origin == str(path)
    assert item.value.dtype == np.float32
    np.testing.assert_array_equal(item.value, value)
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["origin"] == "run 2"
    assert record["serial"] == "0a1b"
    assert record["at"] == item.time
    assert "@" in record["by"]
    assert path.stat().st_mode & 0o777 == 0o664


def test_a_record_never_describes_an_older_constant(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path)
    store.put("cam", "pixel_rms", np.ones(2), 3, serial="old")
    store.put("cam", "pixel_rms", np.zeros(2), 3)
    (record,) = store.list("cam")
    assert "serial" not in record.made
    np.testing.assert_array_equal(record.read().value, np.zeros(2))


def test_geometry_is_kept_as_it_is(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path)
    text = "# DETECTOR cam\nIP 0 CAM 0  0 0 1000  0 0 0  0 0 0\n"
    path = store.put("cam", "geometry", text, 0)
    assert path.suffix == ".data"
    assert store.get("cam", 7).text("geometry") == text
    assert store.list()[0].shape is None


def test_files_put_by_hand_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "cam/pedestals"
    folder.mkdir(parents=True)
    (folder / "4-end.data").write_text("# SHAPE (1,2)\n3 4\n")
    (folder / "4-end.data-backup").write_text("not this one")
    (folder / "HISTORY").write_text("nor this one")
    (folder / ".4-end.abc.npy").write_text("nor what another is writing")
    store = ConstantsStore(tmp_path)
    np.testing.assert_array_equal(store.get("cam", 4).array("pedestals"), [[3, 4]])
    (record,) = store.list()
    assert record.shape == (1, 2)
    assert record.time
    assert dict(record.made) == {}


def test_an_array_as_numpy_wrote_it_is_preferred_to_text(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path)
    path = put(store, 1.0, 4)
    path.with_suffix(".data").write_text("9 9\n")
    assert valid(store, 4) == 1.0
    assert len(store.list()) == 1


def test_the_list_reads_no_arrays(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path)
    path = put(store, 1.0, 4)
    path.write_bytes(b"damaged")
    (record,) = store.list()
    assert (record.detector, record.name, record.validity) == (
        "cam",
        "pedestals",
        "4-end",
    )
    with pytest.raises(ConstantsError, match=r"4-end\.npy"):
        _ = record.shape
    with pytest.raises(ConstantsError, match=r"4-end\.npy"):
        record.read()


def test_a_store_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path / "nowhere")
    assert store.list() == []
    assert store.detectors == ()
    assert store.get("cam", 1).items == {}
    assert not (tmp_path / "nowhere").exists()


def test_names_of_detectors_can_be_mapped_to_folders(tmp_path: Path) -> None:
    (tmp_path / "names.toml").write_text('"jungfrau/1" = "jungfrau1M"\n')
    store = ConstantsStore(tmp_path)
    path = store.put("jungfrau/1", "pedestals", np.ones(2), 0)
    assert path.parent == tmp_path / "jungfrau1M/pedestals"
    assert store.detectors == ("jungfrau/1",)
    assert store.get("jungfrau/1", 1).items.keys() == {"pedestals"}


@pytest.mark.parametrize("text", ["jungfrau = 3\n", "jungfrau = \n"])
def test_a_damaged_map_of_names_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.toml").write_text(text)
    with pytest.raises(ConstantsError, match=r"names\.toml"):
        ConstantsStore(tmp_path)


@pytest.mark.parametrize("name", ["a/b", "..", "", ".hidden"])
def test_a_name_that_cannot_be_a_folder_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConstantsError, match=r"names\.toml"):
        ConstantsStore(tmp_path).get(name, 1)


def test_a_store_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "calib").write_text("")
    with pytest.raises(ConstantsError, match="is not a folder"):
        ConstantsStore(tmp_path / "calib")


def test_an_unknown_constant_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConstantsError, match="Did you mean 'pedestals'"):
        ConstantsStore(tmp_path).put("cam", "pedestal", np.ones(2), 0)


@pytest.mark.parametrize(("begin", "end"), [(-1, None), (5, 4)])
def test_a_range_without_runs_is_said(
    tmp_path: Path, begin: int, end: int | None
) -> None:
    with pytest.raises(ConstantsError, match="is not a range of runs"):
        put(ConstantsStore(tmp_path), 1.0, begin, end)


def test_another_hardware_is_noted(tmp_path: Path) -> None:
    store = ConstantsStore(tmp_path)
    store.put("cam", "pedestals", np.ones(2), 3, serial="0a1b")
    store.put("cam", "pixel_gain", np.ones(2), 3)
    assert store.get("cam", 4, serial="0a1b").notes == ()
    assert store.get("cam", 4).notes == ()
    (note,) = store.get("cam", 4, serial="ffff").notes
    assert "pedestals (3-end)" in note
    assert "0a1b" in note
    assert "ffff" in note


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_record_is_only_a_warning(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = ConstantsStore(tmp_path)
    path = put(store, 1.0, 4)
    path.with_suffix(".json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert valid(store, 4) == 1.0
    assert "4-end.json" in caplog.text
