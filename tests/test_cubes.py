"""Cubes against sums by numpy over the frames of the same events."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from smalldata_ana.cube_parameters import AxisWanted, CubeParameters
from smalldata_ana.cubes.axes import Axis
from smalldata_ana.cubes.making import Making
from smalldata_ana.cubes.planning import plan
from smalldata_ana.cubes.variables import Variables
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.errors import (
    DetectorNotFound,
    FileError,
    NameNotFound,
    NoDataError,
    ParameterError,
)
from smalldata_ana.parameters.file import ParameterFile, problems_of_file
from smalldata_ana.parameters.model import table_kinds
from smalldata_ana.producing import batches as cutting
from smalldata_ana.producing.executors import Workers
from smalldata_ana.sources.events import Event
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

EVENTS = 60
DETECTOR = "jungfrau1M"
SHAPE = (2, 12, 10)
HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
LASER_ON, LASER_OFF, XRAYS = 90, 91, 137
"""Event codes of xpp."""


def contents() -> dict[str, np.ndarray]:
    """Return frames and scalars of the run, with gaps."""
    rng = np.random.default_rng(3)
    lxt = np.repeat([-1e-12, 0.0, 2e-12], EVENTS // 3)
    correction = rng.normal(0, 0.3, EVENTS)
    position = np.full(EVENTS, 300.0)
    position[7] = 0
    return {
        "frames": rng.normal(10, 4, (EVENTS, *SHAPE)).astype(np.float32),
        "opal": rng.integers(0, 900, (EVENTS, 8, 6)).astype(np.uint16),
        "scan/lxt": lxt,
        "tt/FLTPOS": position,
        "tt/FLTPOS_PS": correction,
        "ipm2/sum": rng.uniform(0, 2, EVENTS),
        "diode/channels": rng.uniform(0, 1, (EVENTS, 4)),
        "laser": rng.random(EVENTS) < 0.6,
        "missing": rng.random(EVENTS) < 0.1,
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data = contents()
    # The unit of the images is that of the frames: there are no constants.
    data["frames"][11, 0, 3, 4] = np.nan
    codes = np.zeros((EVENTS, 288), np.int8)
    codes[:, XRAYS] = 1
    codes[data["laser"], LASER_ON] = 1
    codes[~data["laser"], LASER_OFF] = 1
    path = write_run(
        tmp_path_factory.mktemp("run") / "run.h5",
        experiment="xpptut15",
        run=12,
        images={DETECTOR: data["frames"], "opal": data["opal"]},
        scalars={k: v for k, v in data.items() if "/" in k},
        units={"scan/lxt": "s"},
        steps=np.repeat([0, 1, 2], EVENTS // 3),
        event_codes=codes,
        missing={DETECTOR: data["missing"]},
    )
    run = Hdf5Run(path)
    yield run
    run.close()


def resolved(folder: Path, text: str, entries: str = ""):
    path = folder / "params.toml"
    path.write_text(f"{HEAD}[cube.c]\n{text}\n{entries}")
    return ParameterFile.load(path).resolve(12)


def planned(run, folder, text, entries=""):
    parts = folder / "parts"
    wanted = resolved(folder, text, entries)
    variables = Variables.of(run, wanted, folder / "small.h5")
    return plan(run, wanted, "c", parts, variables)


def made(run, folder, text, entries="", nproc=1):
    workers = Workers(nproc)
    try:
        making = Making(planned(run, folder, text, entries), folder / "Cube_c.h5")
        return making.run(workers)
    finally:
        workers.close()


def content(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        groups = [file, *(file[f"{k}_cfg"] for k in (DETECTOR,) if f"{k}_cfg" in file)]
        return {
            item.name.removeprefix("/"): item[()]
            for group in groups
            for item in group.values()
            if isinstance(item, h5py.Dataset)
        }


WITH_DETECTOR = f"[cube.c.detectors.{DETECTOR}]\n"


def images(run, **options) -> np.ndarray:
    """Return the calibrated images, NaN where there is none."""
    detector = DetObject(DETECTOR, run, **options)
    found = np.full((len(run), *detector.shape), np.nan)
    for number in range(len(run)):
        detector.getData(Event(run, number))
        if detector.evt.dat is not None:
            found[number] = detector.evt.dat
    return found


def assert_sums(file, which: np.ndarray, bins: np.ndarray, frames: np.ndarray) -> None:
    """Compare with sums by numpy.

    Parameters
    ----------
    which : (events,), True for those in the cube
    bins : (events,) bin of each
    frames : (events, ...) images
    """
    there = which & ~contents()["missing"]
    for number in range(len(file["nEntries"])):
        of_bin = there & (bins == number)
        assert file["nEntries"][number] == (which & (bins == number)).sum()
        assert file[f"{DETECTOR}_nEntries"][number] == of_bin.sum()
        total = np.nansum(frames[of_bin], axis=0)
        np.testing.assert_allclose(file[f"{DETECTOR}_data"][number], total, rtol=1e-12)
        squares = np.nansum(frames[of_bin] ** 2, axis=0)
        np.testing.assert_allclose(file[f"{DETECTOR}_square"][number], squares)
        counts = np.isfinite(frames[of_bin]).sum(axis=0)
        assert np.array_equal(file[f"{DETECTOR}_nEntries_pixel"][number], counts)


def test_steps_of_a_scan_with_laser_on_and_off(run, tmp_path):
    text = 'add = ["ipm2/sum", "diode/channels"]\n'
    result = made(run, tmp_path, text + WITH_DETECTOR)
    data = contents()
    assert [t.name for t in result.targets] == ["Cube_c_on.h5", "Cube_c_off.h5"]
    bins = np.repeat([0, 1, 2], EVENTS // 3)
    frames = images(run)
    for target, laser in zip(result.targets, (1, 0), strict=True):
        file = content(target)
        which = data["laser"] == laser
        assert_sums(file, which, bins, frames)
        assert file["scan__lxt"].tolist() == [-1e-12, 0, 2e-12]
        np.testing.assert_allclose(
            file["scan__lxt_bins"], [-1.5e-12, -0.5e-12, 1e-12, 3e-12]
        )
        assert np.array_equal(file["binVar_bins"], file["scan__lxt_bins"])
        for name in ("ipm2/sum", "diode/channels"):
            key = name.replace("/", "__")
            values = [data[name][which & (bins == k)] for k in range(3)]
            sums = [v.sum(axis=0) for v in values]
            np.testing.assert_allclose(file[key], sums)
            stds = [v.std(axis=0) for v in values]
            np.testing.assert_allclose(file[f"std_{key}"], stds, atol=1e-12)


def test_delay_is_corrected_and_events_without_edge_are_in_no_bin(run, tmp_path):
    data = contents()
    text = (
        'laser = false\nbins = { var = "delay", edges = [-2, -0.9, 0, 1, 2.5] }\n'
        'selections = [["ipm2/sum", 0.5, 1.9]]\n'
    )
    result = made(run, tmp_path, text + WITH_DETECTOR)
    file = content(result.targets[0])
    delay = data["scan/lxt"] * 1e12 + data["tt/FLTPOS_PS"]
    delay[data["tt/FLTPOS"] == 0] = np.nan
    monitor = data["ipm2/sum"]
    which = (monitor > 0.5) & (monitor < 1.9)
    edges = [-2, -0.9, 0, 1, 2.5]
    counts, _ = np.histogram(delay[which & np.isfinite(delay)], edges)
    assert file["nEntries"].tolist() == counts.tolist()
    bins = np.digitize(delay, edges) - 1
    inside = which & (bins >= 0) & (bins < 4) & np.isfinite(delay)
    assert_sums(file, inside, bins, images(run))
    assert "0.5 < ipm2/sum < 1.9" in file["cubeSelection"].decode()


def test_nominal_delay(run, tmp_path):
    text = 'laser = false\nuse_tt = false\nbins = { var = "delay", edges = [-2, 1, 3] }'
    file = content(made(run, tmp_path, text).targets[0])
    assert file["nEntries"].tolist() == [40, 20]


def test_two_dimensions_with_empty_bins_and_a_limit(run, tmp_path):
    text = (
        'laser = false\nnevents = 4\nbins = [{ var = "scan/lxt" }, '
        '{ var = "ipm2/sum", from = 0, to = 3, n = 6 }]\n'
    )
    file = content(made(run, tmp_path, text + WITH_DETECTOR).targets[0])
    data = contents()
    steps = np.repeat([0, 1, 2], EVENTS // 3)
    assert file["nEntries"].shape == (3, 6)
    frames = images(run)
    for step in range(3):
        for k in range(6):
            inside = (data["ipm2/sum"] >= k / 2) & (data["ipm2/sum"] < (k + 1) / 2)
            numbers = np.flatnonzero((steps == step) & inside)[:4]
            assert file["nEntries"][step, k] == len(numbers)
            total = np.nansum(frames[numbers], axis=0)
            got = file[f"{DETECTOR}_data"][step, k]
            np.testing.assert_allclose(got, total, rtol=1e-12)
    assert (file["nEntries"][:, 4:] == 0).all()


def test_thresholds_functions_and_configuration(run, tmp_path):
    detector = f"""[cube.c.detectors.{DETECTOR}]
thresADU = 9.5
squares = false
functions = ["box"]
"""
    entries = f"""[[detector.{DETECTOR}.roi]]
runs = "12-"
name = "box"
ROI = [[0, 1], [2, 9], [1, 7]]
"""
    result = made(run, tmp_path, "laser = false\n" + detector, entries)
    file = content(result.targets[0])
    frames = images(run)
    frames[frames < 9.5] = 0
    steps = np.repeat([0, 1, 2], EVENTS // 3)
    there = ~contents()["missing"]
    for step in range(3):
        bin_ = frames[there & (steps == step)]
        total = np.nansum(bin_, axis=0)
        np.testing.assert_allclose(file[f"{DETECTOR}_data"][step], total, rtol=1e-12)
        mean = np.nanmean(bin_, axis=0)[0, 2:9, 1:7]
        got = file[f"{DETECTOR}_box_sum"][step]
        np.testing.assert_allclose(got, mean.sum(), rtol=1e-5)
    assert f"{DETECTOR}_square" not in file
    for key in ("mask", "calib_mask", "ix", "iy", "box__box_ROI"):
        assert f"{DETECTOR}_cfg/{key}" in file or "ROI" in key
    with h5py.File(result.targets[0]) as opened:
        record = opened["UserDataCfg/producer"]
        told = json.loads(record["cube_parameters"][0])
        assert told["detectors"][DETECTOR]["thresADU"] == 9.5
        entry = opened["entry"]
        plot = entry[entry.attrs["default"]]
        assert plot.attrs["NX_class"] == "NXdata"
        assert plot[plot.attrs["signal"]].shape[0] == 3
        assert opened[f"{DETECTOR}_data"].attrs["units"]


def test_results_of_functions_come_from_the_small_data(run, tmp_path):
    text = 'laser = false\nbins = { var = "jungfrau1M/box_sum", edges = [0, 5, 10] }'
    with pytest.raises(FileError, match=r"smd_producer.py -e xpptut15 -r 12"):
        planned(run, tmp_path, text)
    values = np.linspace(0, 9.9, EVENTS)
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file["timestamp"] = run.timestamps.astype(np.int64)[5:]
        file["jungfrau1M/box_sum"] = values[5:]
    file = content(made(run, tmp_path, text).targets[0])
    assert file["nEntries"].tolist() == np.histogram(values[5:], [0, 5, 10])[0].tolist()


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ('bins = { var = "ipm2/summ", from = 0, to = 1, n = 2 }', NameNotFound,
         "Did you mean 'ipm2/sum'"),
        ('bins = { var = "ipm2/sum", from = 5, to = 6, n = 2 }', NoDataError,
         "no event .* is in any bin; ipm2/sum has 0"),
        ('bins = { var = "ipm2/sum", edges = [0, 2, 2] }', ParameterError,
         "the edges must grow, but 2 follows 2"),
        ('bins = { var = "ipm2/sum", edges = [0] }', ParameterError, "takes two"),
        ('bins = { var = "ipm2/sum", edges = [0, 1], n = 3 }', ParameterError,
         "cannot both"),
        ('bins = { var = "ipm2/sum", from = 0, to = 1 }', ParameterError,
         "n = None is no number"),
        ('bins = { var = "ipm2/sum", from = 1, to = 0, n = 4 }', ParameterError,
         "must grow"),
        ('bins = { var = "ipm2/sum" }', ParameterError, "edges, or from, to and n"),
        ('bins = { variable = "ipm2/sum" }', ParameterError, "no key 'variable'"),
        ('bins = { var = "diode/channels", edges = [0, 1] }', ParameterError,
         "4 values in each event"),
        ('selections = [["ipm2/sum", 0]]', ParameterError, "is not .variable, low"),
        ('add = ["ipm2/summ"]', NameNotFound,
         "the nearest of [0-9]+ are 'ipm2/sum', '[^']+', '[^']+'. Did you mean 'ipm2"),
        ("[cube.c.detectors.jungfrau]", DetectorNotFound, "Did you mean 'jungfrau1M'"),
        ("[cube.c.detectors.jungfrau1M]\nthresADUs = 3", ParameterError,
         "Did you mean 'thresADU'"),
        ('[cube.c.detectors.jungfrau1M]\nfunctions = ["azav"]', ParameterError,
         "no entry 'azav'"),
        ("[cube.c.detectors.jungfrau1M]\nthresRms = 3.0", ParameterError, "the noise"),
    ],
)  # fmt: skip
def test_errors(run, tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        planned(run, tmp_path, text)


def test_each_selection_is_named_with_what_it_leaves(run, tmp_path):
    data = contents()
    text = 'selections = [["ipm2/sum", 0.5, 9], ["tt/FLTPOS", 400, 500]]\n'
    with pytest.raises(NoDataError) as caught:
        planned(run, tmp_path, text)
    bright = np.count_nonzero(data["ipm2/sum"] > 0.5)
    for words in (
        f"0.5 < ipm2/sum < 9 leaves {bright} of {EVENTS} events",
        f"400 < tt/FLTPOS < 500 leaves 0 of {EVENTS} events",
        f"lightStatus/xray != 0 leaves {EVENTS} of {EVENTS} events",
        "together the selections leave 0",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("runs", "laser", "problem"),
    [
        ("1-", "false", "line 7: cube.pump_on would make the same file as cube.pump"),
        ("1-", "true", ""),
        ("1-11", "false", ""),
    ],
)
def test_two_cubes_that_would_be_the_same_file(tmp_path, runs, laser, problem):
    path = tmp_path / "params.toml"
    path.write_text(
        f'{HEAD}[cube.pump]\nruns = "12-"\n\n\n'
        f'[cube.pump_on]\nruns = "{runs}"\nlaser = {laser}\n'
    )
    told = problems_of_file(path)
    assert [problem in text for text in told] == [True] * bool(problem)
    if problem:
        with pytest.raises(ParameterError, match=r"_pump_on\.h5; give another name"):
            ParameterFile.load(path)


def test_the_sum_of_what_the_cube_is_binned_in(run, tmp_path):
    text = (
        'laser = false\nadd = ["ipm2/sum"]\n'
        'bins = [{ var = "ipm2/sum", edges = [0, 1, 2] }, { var = "scan/lxt" }]\n'
    )
    file = content(made(run, tmp_path, text).targets[0])
    values = contents()["ipm2/sum"]
    steps = np.repeat([0, 1, 2], EVENTS // 3)
    expected, *_ = np.histogram2d(
        values, steps, bins=[[0, 1, 2], [-0.5, 0.5, 1.5, 2.5]], weights=values
    )
    np.testing.assert_allclose(file["sum_ipm2__sum"], expected)
    assert file["ipm2__sum"].tolist() == [0.5, 1.5]
    assert file["ipm2__sum_nEntries"].sum() == file["nEntries"].sum()
    assert file["std_ipm2__sum"].shape == (2, 3)


def test_variables_that_may_lack(run, tmp_path, caplog):
    text = 'laser = false\nmay_lack = true\nadd = ["ipm2/sum", "ipm3/sum"]\n'
    file = content(made(run, tmp_path, text).targets[0])
    assert "ipm2__sum_nEntries" in file
    assert not any(name.startswith("ipm3") for name in file)
    (told,) = [r.getMessage() for r in caplog.records if "ipm3" in r.getMessage()]
    assert "Did you mean 'ipm2/sum'?" in told
    assert "without it" in told


def test_bins_hold_their_lower_edge_and_the_last_both():
    axis = Axis.between("x", [0, 1, 2])
    column = np.array([-0.1, 0, 0.5, 1, 2, 2.1, np.nan])
    assert axis.numbers(column).tolist() == [-1, 0, 0, 1, 1, -1, -1]
    wanted = AxisWanted.parse({"var": "x", "from": 0, "to": 1, "n": 4})
    assert wanted.edges == (0, 0.25, 0.5, 0.75, 1)


def test_parameters_are_known_to_the_file():
    assert table_kinds()["cube"].model is CubeParameters


def test_two_processes_and_small_batches_give_the_same(run, tmp_path, monkeypatch):
    monkeypatch.setattr("smalldata_ana.cubes.planning.batch_size", lambda *sizes: 7)
    text = "laser = true\n" + WITH_DETECTOR + "image = true\n"
    found = []
    for nproc in (1, 2):
        folder = tmp_path / str(nproc)
        folder.mkdir()
        assert len(planned(run, folder, text).batches) > 6
        result = made(run, folder, text, nproc=nproc)
        found.append([content(target) for target in result.targets])
        assert not (folder / "parts").exists()
    for one, two in zip(*found, strict=True):
        assert one.keys() == two.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], two[key], err_msg=key)


def test_batches_are_of_whole_bins_or_pieces_of_one(run, tmp_path):
    binning = planned(run, tmp_path, "laser = false\n").binning
    assert binning.ends.tolist() == [20, 40, 60]
    for size, begins in ((7, [0, 7, 14, 20, 27, 34, 40, 47, 54]), (45, [0, 40])):
        cut = list(binning.cut(size))
        assert [b.begin for b in cut] == begins
        assert [b.end for b in cut] == [*begins[1:], 60]
        assert [b.number for b in cut] == list(range(len(cut)))
    both = binning.slots(cutting.Batch(0, 10, 45))
    assert both == [(0, 10, 20), (1, 20, 40), (2, 40, 45)]


def test_assembled_images_hold_all_that_the_panels_do(tmp_path):
    rng = np.random.default_rng(1)
    frames = rng.normal(5, 1, (4, 8, 6)).astype(np.float32)
    path = write_run(
        tmp_path / "run.h5",
        experiment="xpptut15",
        run=12,
        images={"opal": frames},
        scalars={"x/value": np.arange(4.0)},
    )
    text = 'laser = false\nbins = { var = "x/value", edges = [0, 2, 4] }\n'
    detector = "[cube.c.detectors.opal]\nimage = true\n"
    found = content(made(Hdf5Run(path), tmp_path, text + detector).targets[0])
    assert found["opal_data"].shape == (2, 8, 6)
    expected = [frames[k : k + 2].sum(axis=0, dtype=float) for k in (0, 2)]
    np.testing.assert_allclose(found["opal_data"], expected, rtol=1e-12)


def test_killed_and_resumed(run, tmp_path, monkeypatch):
    monkeypatch.setattr("smalldata_ana.cubes.planning.batch_size", lambda *sizes: 7)
    (tmp_path / "a").mkdir()
    whole = made(run, tmp_path / "a", WITH_DETECTOR)
    the_plan = planned(run, tmp_path, WITH_DETECTOR)
    target = tmp_path / "Cube_c.h5"
    child = os.fork()
    if not child:

        def kill(done: int, total: int | None) -> None:
            if done > EVENTS / 2:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            Making(the_plan, target, progress=kill).run(Workers(1))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not list(tmp_path.glob("Cube*"))
    resumed = Making(the_plan, target).run(Workers(1))
    assert EVENTS / 2 < resumed.reused < EVENTS
    assert resumed.report.events == EVENTS
    for one, two in zip(whole.targets, resumed.targets, strict=True):
        assert content(one).keys() == content(two).keys()
        for key, value in content(one).items():
            np.testing.assert_array_equal(value, content(two)[key], err_msg=key)


def test_parts_of_other_parameters_are_not_reused(run, tmp_path):
    first = planned(run, tmp_path, WITH_DETECTOR).job.digest
    same = planned(run, tmp_path, 'add = ["ipm2/sum"]\n' + WITH_DETECTOR).job.digest
    other = planned(run, tmp_path, WITH_DETECTOR + "thresADU = 2.0").job.digest
    assert first == same != other


def test_what_looks_back_has_the_frame_before(run, tmp_path):
    made_plan = planned(run, tmp_path, "laser = false\n" + WITH_DETECTOR)
    looking = SimpleNamespace(
        detname=DETECTOR, calibration=SimpleNamespace(looks_back=True)
    )
    missing = contents()["missing"]
    task = replace(made_plan, detectors=(looking,)).task_of(cutting.Batch(0, 20, 23))
    before = 19
    while missing[before]:
        before -= 1
    expected = {before, 20, 21, 22}
    assert set(task.read.tolist()) == expected
    assert task.numbers.tolist() == [20, 21, 22]
    assert len(task.events) == len(expected)


def test_a_part_of_chosen_events(run):
    other = run.head().open()
    numbers = np.array([3, 8, 40])
    other.turn_to(run.part_at(numbers))
    assert np.array_equal(other.timestamps, run.timestamps[numbers])
    for k, number in enumerate(numbers.tolist()):
        assert np.array_equal(other.read("opal", k), run.read("opal", number))
    other.close()
    with pytest.raises(ParameterError, match="must grow"):
        run.part_at(np.array([3, 3]))
    with pytest.raises(ParameterError, match="has no part"):
        run.part_at(np.array([3, EVENTS]))


def test_viewers_find_the_plots(run, tmp_path):
    nexus = pytest.importorskip("nexusformat.nexus")
    text = 'laser = false\nadd = ["ipm2/sum"]\n' + WITH_DETECTOR
    (target,) = made(run, tmp_path, text).targets
    with nexus.nxload(str(target)) as root:
        data = root["entry"].get_default()
        assert data.nxsignal.shape == (3, *SHAPE)
        axis = root["entry/ipm2__sum"].nxaxes[0]
        assert axis.nxdata.tolist() == [-1e-12, 0, 2e-12]


def test_a_laser_that_moves_without_steps_is_the_delay(tmp_path):
    delays = np.linspace(-1, 3, 40)
    path = write_run(
        tmp_path / "run.h5",
        experiment="xpptut15",
        run=12,
        images={"opal": np.zeros((40, 8, 6), np.uint16)},
        scalars={"lxt_fast_enc/value": delays},
    )
    text = "laser = false\nbins = { from = -1, to = 3, n = 4 }\n"
    file = content(made(Hdf5Run(path), tmp_path, text).targets[0])
    assert file["nEntries"].tolist() == np.histogram(delays, 4)[0].tolist()
    assert file["delay"].tolist() == [-0.5, 0.5, 1.5, 2.5]
    with pytest.raises(ParameterError, match="is no scan; say what to bin in"):
        planned(Hdf5Run(path), tmp_path, "laser = false\n")
