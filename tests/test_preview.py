"""`anaps.preview()` says what the producer will make, and writes nothing."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from producing_run import BATCH, EVENTS, LATE, NUMBER
from simulated import ours

from smalldata_ana.detector.mask_entries import mask_entry
from smalldata_ana.errors import FileError, NoDataError, ParameterError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import places
from smalldata_ana.producing.preview import preview
from smalldata_ana.session.anaps import SmallDataAna_psana
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

pytest_plugins = ["producing_fixtures"]

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
FAST = '[[detector.opal.roi]]\nruns = "1-"\nROI = [[0, 5], [0, 6]]\n'
SLOW = '[[detector.slow.roi]]\nruns = "1-"\nROI = [[0, 5], [0, 6]]\n'
INTEGRATING = '[event]\nintegrating = ["slow"]\n'
EVERY = 10
REGION = [[0, 1], [0, 10], [0, 10]]
ROI = "cspad140k/ROI_0_sum"


@pytest.fixture
def anaps(made, site):
    """A session on the run, with the parameters of the producer's tests."""
    run = ours(made)
    session = SmallDataAna_psana(
        run,
        places_of=lambda experiment: places(
            experiment, params=site.folder / "p.toml", calib_dir=made.calib_dir
        ),
    )
    session.functions = site.folder / "functions.py"
    yield session
    session.close()


def of(session, n=20, **options):
    return session.preview(n, functions=session.functions, **options)


def snapshot(*folders):
    paths = [p for folder in folders for p in Path(folder).rglob("*")]
    return {p: p.stat().st_mtime_ns for p in paths if "__pycache__" not in p.parts}


def of_hdf5(folder, text, missing=True):
    """Return a preview of a run with a detector that has data in every tenth event."""
    absent = np.arange(60) % EVERY != 0
    rng = np.random.default_rng(1)
    path = write_run(
        folder / "run.h5",
        experiment="xpptut15",
        run=12,
        images={
            n: rng.integers(0, 99, (60, 8, 9)).astype("u2") for n in ("opal", "slow")
        },
        missing={"slow": absent} if missing else {},
    )
    run = Hdf5Run(path)
    resolved = ParameterFile.parse(HEAD + text, folder / "p.toml").resolve(12)
    return preview(run, resolved)


def test_it_is_the_file_of_the_producer(anaps, reference):
    found = of(anaps, EVENTS)
    by_path = {dataset.path: dataset for dataset in found.table}
    there = {}

    def enter(name, item):
        beside = name.split("/")[0] in ("UserDataCfg", "entry")
        if isinstance(item, h5py.Dataset) and not beside:
            there[name] = item

    with h5py.File(reference) as file:
        file.visititems(enter)
        assert set(by_path) == set(there)
        for path, dataset in there.items():
            assert by_path[path].shape == dataset.shape, path
            assert by_path[path].dtype == dataset.dtype, path
            values = found.values[path]
            if path.startswith("Sums"):
                np.testing.assert_allclose(values, dataset[()], rtol=1e-9)
            else:
                np.testing.assert_array_equal(values, dataset[()], path)
                assert by_path[path].unit == dataset.attrs.get("units", "")


def test_events_are_spread_over_the_run(anaps):
    found = of(anaps, 5)
    assert found.events.tolist() == [0, 6, 12, 17, 23]
    assert found.total == EVENTS
    np.testing.assert_array_equal(found.values[NUMBER], found.events)
    (dataset,) = (d for d in found.table if d.path == NUMBER)
    assert dataset.shape == (EVENTS,)
    assert (dataset.low, dataset.mean, dataset.high) == (0, 11.6, 23)


def test_more_events_than_there_are(anaps):
    assert of(anaps, 1000).events.tolist() == list(range(EVENTS))


def test_nothing_is_written(anaps, made, run_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = snapshot(run_folder, tmp_path)
    of(anaps, 3)
    assert snapshot(run_folder, tmp_path) == before


def test_the_detectors_of_the_session_stay_as_they_are(anaps):
    anaps.addDetInfo("epix100")
    detector = anaps.det_objects["epix100"]
    detector.storeSum("calib")
    functions, results = dict(detector.funcs), dict(detector.evt.results)
    of(anaps, 3)
    assert anaps.det_objects["epix100"] is detector
    assert detector.funcs == functions
    assert detector.evt.results == results
    assert detector.evt.dat is None
    assert not detector.sums["calib"].any()


def test_size_and_batches(anaps, reference):
    found = of(anaps, 8)
    actual = reference.stat().st_size
    assert actual / 2 < found.size < 2 * actual
    assert found.batches == math.ceil(EVENTS / found.batch)
    assert found.batch >= BATCH
    assert found.seconds > 0


def test_the_time_is_of_the_cores(anaps):
    one = of(anaps, 2, nproc=1)
    assert one.cores == 1
    assert "on 1 cores" in repr(one)


def test_events_without_data(anaps):
    found = of(anaps, EVENTS)
    (dataset,) = (d for d in found.table if d.path == "epix100/trouble_sum")
    assert dataset.missing == 1
    assert np.isnan(found.values["epix100/trouble_sum"][LATE])
    assert f"epix100 has no data in 1 of {EVENTS} events" in found.warnings


def test_failures_are_counted_with_the_first_traceback(anaps, site):
    site.order(**{"raise": [1, 3, 4]})
    found = of(anaps, EVENTS)
    text = repr(found)
    assert f"epix100/trouble: ArithmeticError on 3 of {EVENTS} events" in text
    assert "failed on event 1:" in text
    assert text.count("Traceback") == 1
    assert np.isnan(found.values["epix100/trouble_sum"][[1, 3, 4]]).all()


def test_all_that_is_wrong_with_the_parameters_is_told_at_once(anaps, site):
    text = (site.folder / "p.toml").read_text()
    wrong = text.replace("[50, 90]", "[50, 9000]") + (
        '[[detector.cspad140.roi]]\nruns = "1-"\nROI = [[0, 1]]\n'
    )
    (site.folder / "p.toml").write_text(wrong)
    with pytest.raises(ParameterError) as error:
        of(anaps)
    assert "9000" in str(error.value)
    assert "Did you mean 'cspad140k'?" in str(error.value)


def test_what_is_not_exported_counts_and_is_told(anaps, site, run_folder):
    whole = of(anaps, 3)
    anaps.AvImage("cspad140k", 2)
    anaps.SelectRegion("cspad140k", ROI=REGION).accept(name="mine")
    good = np.ones(anaps.run.detectors["cspad140k"].shape, bool)
    good[0, 20:40, 50:60] = False
    anaps.pending.append(mask_entry("cspad140k", good, RunRange(1)))
    before = snapshot(run_folder)
    found = of(anaps, 3)
    assert "cspad140k/mine_sum" in found.values
    before_mask, sums = whole.values[ROI], found.values[ROI]
    assert (sums != before_mask).all()
    assert "2 entries are not exported yet" in repr(found)
    assert len(anaps.pending) == 2
    assert snapshot(run_folder) == before


def test_pending_without_a_parameter_file(anaps, site):
    path = site.folder / "p.toml"
    path.unlink()
    with pytest.raises(FileError, match="there is no parameter file"):
        of(anaps)
    assert "epix100/full_area" in of(anaps, 1, full=True).values
    anaps.AvImage("cspad140k", 2)
    anaps.SelectRegion("cspad140k", ROI=REGION).accept(name="mine")
    assert "cspad140k/mine_sum" in of(anaps, 1).values
    assert not path.exists()


def test_options(anaps):
    found = of(anaps, 1, nosum=True, detectors=["epix100"])
    paths = {dataset.path.split("/")[0] for dataset in found.table}
    assert "epix100" in paths
    assert not paths & {"Sums", "cspad140k"}
    assert "epix100" not in {
        d.path.split("/")[0] for d in of(anaps, 1, default=True).table
    }


@pytest.mark.parametrize("options", [{"n": 0}, {"nproc": 0}])
def test_numbers_that_make_no_sense(anaps, options):
    with pytest.raises(ParameterError, match="is not a number above 0"):
        anaps.preview(**options)


def test_a_slow_detector_has_rows_of_its_own(tmp_path):
    found = of_hdf5(tmp_path, FAST + SLOW)
    by_path = {dataset.path: dataset for dataset in found.table}
    assert by_path["opal/ROI_0_sum"].shape == (60,)
    assert by_path["slow/ROI_0_sum"].shape == (6,)
    there = found.events % EVERY == 0
    assert len(found.values["slow/timestamp"]) == there.sum()
    assert found.results["slow/ROI_0_sum"].tolist() == found.events[there].tolist()


def test_windows_of_an_integrating_detector(tmp_path):
    found = of_hdf5(tmp_path, FAST + SLOW + INTEGRATING)
    by_path = {dataset.path: dataset for dataset in found.table}
    assert by_path["intg/slow/count"].shape == (6,)
    assert by_path["intg/slow/opal_sum_ROI_0_sum"].shape == (6,)
    assert "intg/slow/count" not in found.values


def test_windows_of_one_without_entries(tmp_path):
    found = of_hdf5(tmp_path, FAST + INTEGRATING)
    by_path = {dataset.path: dataset for dataset in found.table}
    assert by_path["intg/slow/opal_sum_ROI_0_sum"].shape == (6,)
    assert not by_path["intg/slow/count"].estimated


def test_windows_of_one_that_has_no_images(anaps, site):
    with (site.folder / "p.toml").open("a") as file:
        file.write('[event]\nintegrating = ["ipm2"]\n')
    by_path = {dataset.path: dataset for dataset in of(anaps, 5).table}
    count = by_path["intg/ipm2/count"]
    assert count.shape == (EVENTS,)
    assert count.estimated  # from the five


def test_a_run_without_events(tmp_path):
    path = write_run(
        tmp_path / "run.h5",
        experiment="xpptut15",
        run=12,
        images={"opal": np.zeros((0, 8, 9), "u2")},
    )
    resolved = ParameterFile.parse(HEAD + FAST, tmp_path / "p.toml").resolve(12)
    with pytest.raises(NoDataError, match="no events"):
        preview(Hdf5Run(path), resolved)


def test_the_figure_shows_numbers_and_curves(anaps, site):
    from matplotlib import pyplot as plt

    with (site.folder / "p.toml").open("a") as file:
        file.write(
            '[[detector.epix100.projection]]\nruns = "1-"\nname = "lines"\naxis = 0\n'
        )
    figure = of(anaps, 4).show()
    titles = [ax.get_title() for ax in figure.axes]
    assert any("lines" in title for title in titles)
    assert NUMBER in titles
    ((line,),) = (ax.lines for ax in figure.axes if ax.get_title() == NUMBER)
    assert line.get_xdata().tolist() == line.get_ydata().tolist() == [0, 8, 15, 23]
    plt.close(figure)
