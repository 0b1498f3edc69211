"""An output file as the programs that people use see it."""

import re
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from produced import produced
from small_output import EVENTS, open_small_run, write_output

from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.smalldata.nexus import mark
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

PAGE = Path(__file__).parents[1] / "docs/producer.md"
AZAV = "jungfrau1M_azav_azav"
ROI_PLOTS = "opal_ROI_0", "slow_ROI_0"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("output")
    run = open_small_run(folder)
    yield write_output(run, folder)
    run.close()


@pytest.fixture
def azav(made):
    return np.array([row["jungfrau1M/azav_azav"] for row in made.rows])


def test_h5py_follows_links_and_scales(made, azav):
    with h5py.File(made.path) as file:
        data = file["entry"][file["entry"].attrs["default"]]
        np.testing.assert_array_equal(data["azav_azav"], azav)
        assert file["jungfrau1M/azav_azav"] == data["azav_azav"]
        assert isinstance(data.get("azav_azav", getlink=True), h5py.SoftLink)
        dims = file["jungfrau1M/azav_azav"].dims
        assert [list(dim.keys()) for dim in dims] == [["timestamp"], ["phi"], ["q"]]
        assert dims[2][0] == file["UserDataCfg/jungfrau1M/azav__azav_q"]
        assert list(file["epix100/var_droplet_phot_sparse_len"].dims[0].keys()) == [
            "timestamp"
        ]


def test_time_is_that_of_the_timestamps(made):
    stamps = np.array(made.timestamps, np.int64)
    seconds = (stamps >> 32) + (stamps & 0xFFFFFFFF) / 1e9
    with h5py.File(made.path) as file:
        time = file["entry/time"]
        assert time.attrs["units"] == "s"
        np.testing.assert_allclose(time, seconds - seconds[0], atol=1e-6)


def test_silx(made, azav):
    silx_io = pytest.importorskip("silx.io")
    from silx.io import nxdata

    with silx_io.open(str(made.path)) as file:
        plot = nxdata.get_default(file)
        assert plot.is_valid
        assert plot.group.name == f"/entry/{AZAV}"
        np.testing.assert_array_equal(plot.signal, azav)
        assert [len(axis) for axis in plot.axes] == list(azav.shape)
        assert "q" in plot.axes_names[2]
        assert "1/angstrom" in plot.axes_names[2]
        entry = file["entry"]
        plots = {k: nxdata.NXdata(entry[k]) for k in entry if k != "time"}
        assert all(plot.is_valid for plot in plots.values())
        assert {
            AZAV,
            "jungfrau1M_pyfai_azav",
            "jungfrau1M_ROI_0",
            "epix100_droplet",
            "epix100_droplet_phot",
            "Sums_jungfrau1M_calib",
            "Sums_epix100_calib",
        } == plots.keys()
        numbers = plots["jungfrau1M_ROI_0"]
        assert len(numbers.auxiliary_signals) == 2
        assert numbers.signal.shape == numbers.axes[0].shape == (EVENTS,)
        image = plots["Sums_jungfrau1M_calib"]
        assert image.interpretation == "image"
        assert image.signal.shape == (2, 512, 1024)


def test_nexusformat(made, azav):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        nexus = pytest.importorskip("nexusformat.nexus")
    root = nexus.nxload(str(made.path))
    plot = root.get_default()
    assert plot.nxpath == f"/entry/{AZAV}"
    assert isinstance(root["entry"], nexus.NXentry)
    assert [axis.nxname for axis in plot.nxaxes] == ["time", "phi", "q"]
    np.testing.assert_array_equal(plot.nxsignal.nxvalue, azav)
    assert root["jungfrau1M/ROI_0_sum"].shape == (EVENTS,)


def test_xarray_as_the_documentation_says(made, azav, tmp_path, monkeypatch):
    import xarray

    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (name,) = re.findall(r'File\("(.*?)"', code)
    Path(name).symlink_to(made.path)
    names = {"h5py": h5py, "xarray": xarray}
    exec(compile(code, PAGE.name, "exec"), names)
    scales = names["axes"]
    mean = names["azav"].mean("timestamp").sel(phi=0, method="nearest")
    assert mean.dims == ("q",)
    np.testing.assert_allclose(
        mean.sel(q=2, method="nearest"),
        azav[
            :, np.abs(scales["phi"]).argmin(), np.abs(scales["q"] - 2).argmin()
        ].mean(),
    )


def test_results_of_another_rhythm_have_their_own_timestamps(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["timestamp"] = np.arange(5) << 32
        file["ipm2/sum"] = np.arange(5.0)
        file["intg/slow/timestamp"] = np.arange(2) << 32
        file["intg/slow/sum"] = np.arange(2.0)
        file["intg/slow/once"] = np.arange(3.0)
        mark(file)
        scale = file["intg/slow/timestamp"]
        assert file["intg/slow/sum"].dims[0][0] == scale
        assert file["ipm2/sum"].dims[0][0] == file["timestamp"]
        assert not file["intg/slow/once"].dims[0].keys()
        assert file["entry/time"][()].tolist() == [0, 1, 2, 3, 4]


def test_a_file_without_events_is_marked(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["timestamp"] = np.empty(0, np.int64)
        mark(file)
        assert file.attrs["default"] == "entry"
        assert len(file["entry/time"]) == 0


def test_plots_are_by_unit_and_names_never_clash(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["timestamp"] = np.arange(3) << 32
        for detector, function in {"a": "b_c", "a_b": "c"}.items():
            group = file.create_group(f"UserDataCfg/{detector}")
            group[f"{function}__{function}_name"] = [function]
            for key, unit in {"sum": "keV", "max": "keV", "row": "pixel"}.items():
                path = f"{detector}/{function}_{key}"
                file[path] = np.arange(3.0)
                file[path].attrs["units"] = unit
        mark(file)
        entry = file["entry"]
        signals = {
            name: sorted(set(entry[name]) - {"time"})
            for name in entry
            if name != "time"
        }
        assert signals == {
            "a_b_c": ["b_c_max", "b_c_sum"],
            "a_b_c_2": ["b_c_row"],
            "a_b_c_3": ["c_max", "c_sum"],
            "a_b_c_4": ["c_row"],
        }


def test_axes_of_equal_length_are_azimuth_and_then_q(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["timestamp"] = np.arange(3) << 32
        for key in ("name", "q", "phi"):
            file[f"UserDataCfg/d/azav__azav_{key}"] = np.arange(4)
        file["d/azav_azav"] = np.zeros((3, 4, 4))
        file["d/azav_row"] = np.zeros((3, 5))
        mark(file)
        plot = file["entry/d_azav_azav"]
        assert plot.attrs["axes"].tolist() == ["time", "phi", "q"]
        assert not file["d/azav_row"].dims[1].keys()


@pytest.fixture(scope="module")
def two_rhythms(tmp_path_factory):
    """The file of a run in which one detector has data in every fourth event."""
    folder = tmp_path_factory.mktemp("slow")
    frames = np.random.default_rng(3).integers(0, 99, (20, 8, 9)).astype("u2")
    path = write_run(
        folder / "run12.h5",
        experiment="xpptut15",
        run=12,
        images={"opal": frames, "slow": frames},
        missing={"slow": np.arange(20) % 4 != 3},
        timestamps=np.arange(100, 120, dtype=np.uint64) << np.uint64(32),
    )
    text = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
    for name in ("opal", "slow"):
        text += f'[[detector.{name}.roi]]\nruns = "1-"\nROI = [[0, 5], [0, 6]]\n'
    resolved = ParameterFile.parse(text, folder / "p.toml").resolve(12)
    run = Hdf5Run(path)
    yield produced(run, resolved, folder)
    run.close()


class TestDetectorOfAnotherRhythm:
    """Its results have plots, against its own times."""

    def test_silx(self, two_rhythms):
        silx_io = pytest.importorskip("silx.io")
        from silx.io import nxdata

        with silx_io.open(str(two_rhythms)) as file:
            plots = {name: nxdata.NXdata(file["entry"][name]) for name in ROI_PLOTS}
            assert all(plot.is_valid for plot in plots.values())
            assert plots["opal_ROI_0"].axes[0][()].tolist() == list(range(20))
            plot = plots["slow_ROI_0"]
            assert plot.axes[0][()].tolist() == [3, 7, 11, 15, 19]
            np.testing.assert_array_equal(plot.signal, file["slow/ROI_0_max"])
            assert len(plot.signal) == 5

    def test_nexusformat(self, two_rhythms):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own imports
            nexus = pytest.importorskip("nexusformat.nexus")
        plot = nexus.nxload(str(two_rhythms))["entry/slow_ROI_0"]
        assert isinstance(plot, nexus.NXdata)
        assert plot.nxaxes[0].nxvalue.tolist() == [3, 7, 11, 15, 19]
        assert plot.nxsignal.shape == (5,)
