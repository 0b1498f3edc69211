"""Constants of LCLS-I and of the dark tools come into the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_constants import needs_psana, psana_save_txt

from smalldata_ana.errors import ConstantsError
from smalldata_ana.sources.constants_import import import_dark, import_lcls1
from smalldata_ana.sources.constants_store import ConstantsStore

JUNGFRAU = "XppEndstation.0:Jungfrau.0"
EPIX = "XppGon.0:Epix100a.1"


def write_text(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = str(array.shape).replace(" ", "")
    lines = array.reshape(-1, array.shape[-1])
    np.savetxt(path, lines, "%.3f", header=f"SHAPE       {shape}", comments="# ")


@pytest.fixture
def store(tmp_path: Path) -> ConstantsStore:
    return ConstantsStore(tmp_path / "store")


@pytest.fixture
def calib(tmp_path: Path) -> Path:
    """Make the calib directory of an LCLS-I experiment with two detectors."""
    folder = tmp_path / "calib"
    jungfrau = folder / "Jungfrau::CalibV1" / JUNGFRAU
    epix = folder / "Epix100a::CalibV1" / EPIX
    write_text(jungfrau / "pedestals/0-11.data", np.full((3, 2, 4, 5), 7.0))
    write_text(jungfrau / "pedestals/12-end.data", np.full((3, 2, 4, 5), 8.0))
    write_text(jungfrau / "pixel_status/0-end.data", np.full((3, 2, 4, 5), 64.0))
    write_text(jungfrau / "pixel_bkgd/0-end.data", np.zeros((2, 4, 5)))
    (jungfrau / "geometry").mkdir()
    (jungfrau / "geometry/3-end.data").write_text("IP 0 JF 0\n")
    (jungfrau / "pedestals/HISTORY").write_text("file:0-11.data")
    write_text(epix / "pedestals/0-end.data", np.full((704, 768), 9.0))
    write_text(epix / "pixel_mask/0-end.data", np.ones((704, 768)))
    return folder


def test_a_whole_calib_directory(calib: Path, store: ConstantsStore) -> None:
    names = {JUNGFRAU: "jungfrau1M", EPIX: "epix100"}
    done = import_lcls1(calib, store, names)
    assert {(d.detector, d.name, d.validity) for d in done} == {
        ("jungfrau1M", "pedestals", "0-11"),
        ("jungfrau1M", "pedestals", "12-end"),
        ("jungfrau1M", "pixel_status", "0-end"),
        ("jungfrau1M", "geometry", "3-end"),
        ("epix100", "pedestals", "0-end"),
        ("epix100", "pixel_mask", "0-end"),
    }
    early, late = store.get("jungfrau1M", 11), store.get("jungfrau1M", 12)
    np.testing.assert_array_equal(
        early.array("pedestals"), np.full((3, 2, 4, 5), 7, np.float32)
    )
    np.testing.assert_array_equal(
        late.array("pedestals"), np.full((3, 2, 4, 5), 8, np.float32)
    )
    assert late.items["pixel_status"].value.dtype == np.uint64
    assert late.text("geometry") == "IP 0 JF 0\n"
    epix = store.get("epix100", 1)
    assert epix.items["pedestals"].value.shape == (1, 704, 768)
    assert epix.items["pixel_mask"].value.dtype == np.uint8
    record = store.valid("epix100", 1)["pedestals"]
    assert record.made["origin"].endswith(f"{EPIX}/pedestals/0-end.data")


@pytest.mark.parametrize("below", ["", EPIX])
def test_the_folder_of_a_group_or_source(
    calib: Path, store: ConstantsStore, below: str
) -> None:
    done = import_lcls1(calib / "Epix100a::CalibV1" / below, store, "epix100")
    assert [(d.detector, d.name) for d in done] == [
        ("epix100", "pedestals"),
        ("epix100", "pixel_mask"),
    ]


def test_only_the_named_sources(calib: Path, store: ConstantsStore) -> None:
    import_lcls1(calib, store, {EPIX: "epix100"})
    assert store.detectors == ("epix100",)


def test_several_sources_need_names(calib: Path, store: ConstantsStore) -> None:
    with pytest.raises(ConstantsError, match=f"constants of '{JUNGFRAU}', '{EPIX}'"):
        import_lcls1(calib, store, "jungfrau1M")
    with pytest.raises(ConstantsError, match="Did you mean 'XppEndstation"):
        import_lcls1(calib, store, {"XppEndstation.0:Jungfrau.1": "jungfrau1M"})


def test_nothing_is_replaced_unasked(calib: Path, store: ConstantsStore) -> None:
    path = store.put("epix100", "pixel_mask", np.zeros((1, 704, 768)), 0)
    with pytest.raises(ConstantsError, match=f"there already: {path}"):
        import_lcls1(calib, store, {EPIX: "epix100"})
    assert not store.get("epix100", 1).array("pixel_mask").any()
    assert "pedestals" not in store.get("epix100", 1).items
    import_lcls1(calib, store, {EPIX: "epix100"}, replace=True)
    assert store.get("epix100", 1).array("pixel_mask").all()


def test_a_folder_without_constants_is_said(
    tmp_path: Path, store: ConstantsStore
) -> None:
    for kind in (import_lcls1, import_dark):
        with pytest.raises(ConstantsError, match="no constants to import"):
            kind(tmp_path, store, "cam")
        with pytest.raises(ConstantsError, match="there is no folder"):
            kind(tmp_path / "nowhere", store, "cam")


def dark_file(run: int, name: str, time: int = 20250203095124) -> str:
    return f"jungfrau_000003-{time}-xppl1001021-r{run:04d}-{name}.txt"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a repository of the dark tools in which gain stage 2 was not taken."""
    folder = tmp_path / "repo"
    merged = folder / "jungfrau/merge_tmp"
    pedestals = np.full((3, 2, 4, 5), 5.0)
    pedestals[2] = 0
    write_text(merged / dark_file(7, "pedestals"), pedestals)
    write_text(merged / dark_file(7, "pixel_rms"), np.full((3, 2, 4, 5), 2.0))
    write_text(merged / dark_file(7, "pixel_min"), np.ones((3, 2, 4, 5)))
    write_text(
        merged / dark_file(7, "pixel_rms", 20250101000000), np.ones((3, 2, 4, 5))
    )
    return folder


@pytest.mark.parametrize("below", ["", "jungfrau", "jungfrau/merge_tmp"])
def test_a_dark_is_valid_from_its_run_on(
    repository: Path, store: ConstantsStore, below: str
) -> None:
    done = import_dark(repository / below, store, "jungfrau1M")
    assert [(d.name, d.validity) for d in done] == [
        ("pedestals", "7-end"),
        ("pixel_rms", "7-end"),
    ]
    assert (store.get("jungfrau1M", 7).array("pixel_rms") == 2).all()


def test_a_dark_can_be_for_other_runs(repository: Path, store: ConstantsStore) -> None:
    done = import_dark(repository, store, "jungfrau1M", 3, 9, serial="0a1b")
    assert {d.validity for d in done} == {"3-9"}
    assert store.valid("jungfrau1M", 4)["pedestals"].made["serial"] == "0a1b"


def test_a_dark_fills_only_what_it_took(
    repository: Path, store: ConstantsStore
) -> None:
    before = np.full((3, 2, 4, 5), 3.0)
    store.put("jungfrau1M", "pedestals", before, 0)
    done = import_dark(repository, store, "jungfrau1M")
    pedestals = store.get("jungfrau1M", 7).array("pedestals")
    assert pedestals[:, 0, 0, 0].tolist() == [5.0, 5.0, 3.0]
    assert "2 of 6 panels and gain stages were not taken" in done[0].note
    assert "0-end.npy" in done[0].note
    assert "nothing was valid for them before" in done[1].note
    assert store.valid("jungfrau1M", 7)["pedestals"].made["note"] == done[0].note


def test_several_dark_runs_need_a_choice(
    repository: Path, store: ConstantsStore
) -> None:
    merged = repository / "jungfrau/merge_tmp"
    write_text(merged / dark_file(12, "pedestals"), np.ones((3, 2, 4, 5)))
    with pytest.raises(ConstantsError, match="dark runs 7, 12"):
        import_dark(repository, store, "jungfrau1M")
    with pytest.raises(ConstantsError, match="no dark run '8'"):
        import_dark(repository, store, "jungfrau1M", run=8)
    done = import_dark(repository, store, "jungfrau1M", run=12)
    assert [(d.name, d.validity) for d in done] == [("pedestals", "12-end")]


def test_what_cdb_saved(tmp_path: Path, store: ConstantsStore) -> None:
    base = tmp_path / "clb-xppl1001021-jungfrau_000003-r0023-pedestals"
    np.save(base.with_suffix(".npy"), np.full((3, 1, 2, 2), 4.25))
    write_text(base.with_suffix(".data"), np.full((3, 1, 2, 2), 4.0))
    write_text(base.with_suffix(".txt"), np.full((3, 1, 2, 2), 4.0))
    base.with_suffix(".meta").write_text("run : 23")
    geometry = tmp_path / "clb-xppl1001021-jungfrau_000003-r0023-geometry.data"
    geometry.write_text("IP 0 JF 0\n")
    done = import_dark(tmp_path, store, {"jungfrau_000003": "jungfrau1M"})
    assert [(d.name, d.validity, d.source.suffix) for d in done] == [
        ("pedestals", "23-end", ".npy"),
        ("geometry", "23-end", ".data"),
    ]
    assert (store.get("jungfrau1M", 23).array("pedestals") == 4.25).all()


@needs_psana
def test_files_written_by_psana(tmp_path: Path, store: ConstantsStore) -> None:
    merged = tmp_path / "repo/epix10ka/merge_tmp"
    merged.mkdir(parents=True)
    rng = np.random.default_rng(3)
    array = rng.normal(3000, 9, (7, 2, 6, 8)).astype(np.float32)
    status = rng.integers(0, 64, (7, 2, 6, 8)).astype(np.uint64)
    stem = "epix10ka_000001-20250203095124-ued1008859-r0109"
    psana_save_txt(merged / f"{stem}-pedestals.txt", array, "%.3f")
    psana_save_txt(merged / f"{stem}-pixel_status.txt", status, "%4i")
    import_dark(tmp_path / "repo", store, "epixquad")
    found = store.get("epixquad", 109)
    np.testing.assert_allclose(found.array("pedestals"), array, atol=6e-4)
    np.testing.assert_array_equal(found.array("pixel_status"), status)
