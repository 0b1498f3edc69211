"""Masks and sums in a parameter file: their entries, files, and use by the producer."""

import hashlib
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from produced import produced
from small_run import JUNGFRAU, frames, small_run

from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.detector.mask_entries import MaskParameters, mask_entry, stored
from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.parameters.appending import append
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile, problems_of_file
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.pipeline import build_detectors

EXPERIMENT = "xpptut15"
DETECTOR = "jungfrau1M"
RAW = Entry(DETECTOR, "common_mode", RunRange(1), {"common_mode": -1})
ROI = Entry(DETECTOR, "roi", RunRange(1), {}, "ROI_0")


@pytest.fixture
def good():
    return np.random.default_rng(1).random(JUNGFRAU) < 0.8


@pytest.fixture
def path(tmp_path):
    return tmp_path / "params" / "p.toml"


@pytest.fixture
def run(tmp_path):
    run = small_run(tmp_path)
    yield run
    run.close()


@pytest.fixture
def export(path):
    """Return a function that writes entries as exportParams does."""

    def write(*entries):
        return append(path, [stored(e, path.parent) for e in entries], EXPERIMENT)

    return write


def detectors(path, run):
    return build_detectors(run, ParameterFile.load(path).resolve(run.number))


def mask(array, name="A", runs="1-", **more):
    return mask_entry(DETECTOR, array, RunRange.parse(runs), name=name, **more)


def test_the_file_is_a_nexus_mask_with_a_checksum(path, export, good):
    shapes = [{"shape": "circle", "center": [0.0, 1.0], "radius": 2500.0}]
    export(mask(good, shapes=shapes, made={"run": 12}))
    (entry,) = ParameterFile.load(path).entries
    assert entry.values["file"] == "masks/jungfrau1M_r0012_1.h5"
    assert entry.values["path"] == "/entry/instrument/jungfrau1M/pixel_mask"
    assert entry.values["shape"] == list(JUNGFRAU)
    assert entry.values["shapes"] == shapes
    file = path.parent / entry.values["file"]
    assert entry.values["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.stat().st_mode & 0o777 == 0o664
    with h5py.File(file) as nexus:
        bits = nexus[entry.values["path"]][()]
    assert bits.dtype == np.uint32
    np.testing.assert_array_equal(bits, np.where(good, 0, 1 << 8))
    assert problems_of_file(path) == []


def test_each_mask_has_a_file_of_its_own(path, export, good):
    for array in (good, ~good):
        export(mask(array))
    files = [e.values["file"] for e in ParameterFile.load(path).entries]
    assert files == [f"masks/jungfrau1M_r0001_{n}.h5" for n in (1, 2)]


def test_what_killed_sessions_left_goes_after_an_hour(path, export, good):
    masks = path.parent / "masks"
    masks.mkdir(parents=True)
    left = [masks / ".jungfrau1M_r0001_1.0123_abc.h5", masks / "jungfrau1M_r0001_1.h5"]
    for file in left:
        file.touch()
    export(mask(good))  # they may be of a session at work
    assert all(file.exists() for file in left)
    for file in left:
        os.utime(file, (0, 0))
    unused = masks / "jungfrau1M_r0001_7.h5"
    unused.write_bytes(b"a mask without an entry")
    os.utime(unused, (0, 0))
    export(mask(~good))
    files = {e.values["file"] for e in ParameterFile.load(path).entries}
    assert files == {f"masks/jungfrau1M_r0001_{n}.h5" for n in (1, 2)}
    assert {p.name for p in masks.iterdir()} == {
        *(Path(file).name for file in files),
        unused.name,
    }


def test_good_pixels_are_those_of_cmask_and_of_every_mask(path, export, run, good):
    other = np.ones(JUNGFRAU, bool)
    other[0, :12] = False
    off = Entry(DETECTOR, "mask", RunRange(10), {}, "off", enabled=False)
    export(RAW, mask(good), mask(other, "B"), mask(~good, "later", "13-"))
    export(mask(~good, "off"), off, ROI)
    (detector,) = detectors(path, run)
    without, *_ = build_without_masks(run)
    expected = (without.cmask != 0) & good & other
    np.testing.assert_array_equal(detector.cmask, expected)
    np.testing.assert_array_equal(detector.good, expected & without.good)
    function = detector.funcs["ROI_0"]
    image = frames()[DETECTOR][0].astype(np.float32)
    total = image[detector.good].sum(dtype=np.float64)
    assert function.process(image)["sum"] == pytest.approx(total)


def build_without_masks(run):
    from smalldata_ana.detector.det_object import DetObject

    detector = DetObject(DETECTOR, run, common_mode=-1)
    detector.addFunc(ROIFunc())
    return (detector,)


def test_the_masks_are_recorded(path, export, run, good, tmp_path):
    export(RAW, mask(good), ROI)
    resolved = ParameterFile.load(path).resolve(run.number)
    made = build_detectors(run, resolved)
    with h5py.File(produced(run, resolved, tmp_path)) as file:
        group = file["UserDataCfg/jungfrau1M"]
        np.testing.assert_array_equal(group["cmask"], made[0].cmask)
        np.testing.assert_array_equal(group["good"], made[0].good)
        assert (
            resolved.detectors[DETECTOR][1].values["sha256"]
            in (file["UserDataCfg/params"].asstr()[()])
        )


def spoil(path, what):
    """Do something to the file of the only mask."""
    (entry,) = ParameterFile.load(path).entries
    file = path.parent / entry.values["file"]
    if what == "missing":
        file.rename(file.with_name("jungfrau1M_r0001_7.h5"))
    elif what == "changed":
        with h5py.File(file, "a") as nexus:
            nexus[entry.values["path"]][0, 0, 0] = 2
    elif what == "no file":
        file.unlink()
        file.mkdir()
    else:
        text = path.read_text()
        path.write_text(text.replace(*what))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", r"there is no mask .*_1\.h5.*Did you mean 'jungfrau1M_r0001_7.h5'"),
        ("changed", r"not the mask that was exported: its sha256 is [0-9a-f]{64}, not"),
        ("no file", r"cannot be read: it is a folder"),
        (("[2, 24, 16]", "[2, 24, 15]"), r"of \(2, 24, 16\), not of \(2, 24, 15\)"),
        (("/pixel_mask", "/pixel"), r"has no '/entry.*/pixel'; masks in it: "),
    ],
)
def test_a_spoiled_mask(path, export, run, good, what, message):
    export(mask(good))
    spoil(path, what)
    (problem,) = problems_of_file(path)
    assert problem.startswith("line 5: detector.jungfrau1M.mask 'A', runs 1-: ")
    with pytest.raises(ParameterError, match=message) as error:
        detectors(path, run)
    assert "line 5: " in str(error.value)


def test_a_mask_of_another_shape(path, export, run):
    export(RAW, mask(np.ones((2, 24, 15), bool)))
    with pytest.raises(ParameterError, match=r"line 10: .*\(2, 24, 16\), not \(2, 24"):
        detectors(path, run)


def test_masks_that_leave_nothing(path, export, run, good):
    export(RAW, mask(good), mask(~good, "B"))
    with pytest.raises(ParameterError, match=r"line 19: .*no good pixel"):
        detectors(path, run)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('sha256 = "12"', "line 8: .*not a checksum"),
        ("shape = [2]", "line 9: .*shape"),
        ("shape = [0, 3]", "line 9: .*shape"),
        ('shapes = ["a"]', "line 10: .*shapes"),
        ('fiel = "a"', r"line 10: .*Did you mean 'file'\?"),
        ("path = 3", "line 7: .*path"),
    ],
)
def test_wrong_entries(path, line, message):
    path.parent.mkdir()
    key = line.split(" ")[0]
    lines = {
        "runs": 'runs = "1-"',
        "file": 'file = "a.h5"',
        "path": 'path = "/a"',
        "sha256": f'sha256 = "{"0" * 64}"',
        "shape": "shape = [2, 3]",
    }
    lines[key] = line
    head = f'schema = "smalldata-ana-params/1"\nexperiment = "{EXPERIMENT}"\n'
    path.write_text("\n".join([head, f"[[detector.{DETECTOR}.mask]]", *lines.values()]))
    with pytest.raises(ParameterError, match=message):
        ParameterFile.load(path)


def test_what_an_entry_lacks_is_said_at_once(path):
    path.parent.mkdir()
    head = f'schema = "smalldata-ana-params/1"\nexperiment = "{EXPERIMENT}"\n'
    path.write_text(f'{head}[[detector.{DETECTOR}.mask]]\nruns = "1-"')
    found = problems_of_file(path)
    assert [p.split("'")[1] for p in found] == ["file", "path", "sha256", "shape"]


def test_what_is_no_mask():
    with pytest.raises(ParameterError, match="0 and 1"):
        mask(np.full(JUNGFRAU, 7))


def test_no_place_for_the_file(tmp_path, good):
    (tmp_path / "masks").touch()
    with pytest.raises(FileError, match="it is a file"):
        stored(mask(good), tmp_path)


def test_other_entries_have_no_file(tmp_path):
    assert stored(ROI, tmp_path) is ROI
    assert list(tmp_path.iterdir()) == []


def test_sums_are_those_of_the_detector(path, export, run):
    sums = Entry(DETECTOR, "sums", RunRange(1), {"sums": ["calib", "calib_max"]})
    export(RAW, sums)
    (detector,) = detectors(path, run)
    assert list(detector.sums) == [
        "calib",
        "calib_nEvents",
        "calib_max",
        "calib_max_nEvents",
    ]


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        ('["calib_sqare"]', r"Did you mean 'square'\?"),
        ('["calib_calib"]', "a word twice"),
        ("3", "sums"),
        ("[3]", "sums"),
    ],
)
def test_wrong_sums(path, sums, message):
    path.parent.mkdir()
    head = f'schema = "smalldata-ana-params/1"\nexperiment = "{EXPERIMENT}"\n'
    table = f'[[detector.{DETECTOR}.sums]]\nruns = "1-"\nsums = {sums}'
    path.write_text(head + table)
    with pytest.raises(ParameterError, match=message):
        ParameterFile.load(path)


def test_shapes_that_cannot_be_drawn_again_are_refused():
    with pytest.raises(ParameterError, match=r"shapes: .*'circle'"):
        MaskParameters(shapes=[{"shape": "circel"}])
