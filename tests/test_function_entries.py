"""Functions in a parameter file: chains through the pipeline into the output."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import simulated  # noqa: F401  (skips where psana is not there)

from smalldata_ana import DetObject, DetObjectFunc, ROIFunc, open_run
from smalldata_ana.detector.protocol import Field
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.pipeline import build_detectors, process_events
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import make_run
from smalldata_ana.smalldata.layout import layout_of
from smalldata_ana.smalldata.writer import SmallDataWriter

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
CHAIN = """
[[detector.epix100.roi]]
runs = "1-"
name = "ROI_0"
ROI = [[100, 300], [100, 300]]

[[detector.epix100.droplet]]
runs = "1-"
name = "droplet"
of = "ROI_0"
threshold = 6.0
thresholdLow = 3.0

[[detector.epix100.photons]]
runs = "1-"
name = "phot"
of = "droplet"
aduspphot = 9.5

[[detector.epix100.sparsify]]
runs = "1-"
name = "sparse"
of = "phot"

[[detector.epix100.sparsify]]
runs = "1-"
name = "ragged"
of = "droplet"
nData = 0

[[detector.epix100.projection]]
runs = "1-"
name = "pj"
of = "ROI_0"
axis = 0
"""
AZAV = """
[[detector.jungfrau1M.geometry]]
runs = "1-"
center = [0.0, 0.0]
dis_to_sam = 80.0
eBeam = 9.5

[[detector.jungfrau1M.azav]]
runs = "1-"
name = "azav"
qbin = 0.02
phiBins = 4
polarization = "horizontal"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = make_run(
        tmp_path_factory.mktemp("functions"),
        RunSpec(
            "xpptut15", 7, (DetectorSpec("epix100"), DetectorSpec("jungfrau1M")), 6
        ),
    )
    run = open_run(
        exp="xpptut15", run=7, xtc_dir=made.xtc_dir, calib_dir=made.calib_dir
    )
    yield run
    run.close()


def resolved(folder, body):
    path = folder / "xpptut15.toml"
    path.write_text(HEAD + body)
    return ParameterFile.load(path, "xpptut15").resolve(7)


def test_a_chain_of_entries_is_stored_with_its_lengths(run, tmp_path):
    parameters = resolved(tmp_path, CHAIN)
    detectors = build_detectors(run, parameters)
    rows = list(process_events(run, detectors, range(6)))
    path = tmp_path / "out.h5"
    with SmallDataWriter(path, layout_of(detectors), batch=4) as writer:
        for row in rows:
            writer.write(row)
        writer.write_configuration(parameters, detectors)
    with h5py.File(path) as file:
        epix = file["epix100"]
        photons = epix["ROI_0_droplet_phot_nPhotons"][()]
        lengths = epix["var_ROI_0_droplet_phot_sparse_len"][()]
        rows_of_photons = epix["var_ROI_0_droplet_phot_sparse/row"][()]
        droplets = epix["ROI_0_droplet_nDroplets"][()]
        ragged = [len(value) for value in epix["ragged_ROI_0_droplet_ragged_row"]]
        assert photons.min() > 0
        np.testing.assert_array_equal(lengths, photons)
        assert len(rows_of_photons) == photons.sum()
        # the photons' places are indices of the detector, not of the region
        assert rows_of_photons.min() > 98
        assert rows_of_photons.max() < 301
        assert ragged == droplets.tolist()
        sums = epix["ROI_0_pj_data"][()].sum(axis=1)
        np.testing.assert_allclose(sums, epix["ROI_0_sum"][()], rtol=1e-5)
        group = file["UserDataCfg/epix100"]
        assert group["ROI_0__droplet_threshold"][()] == 6
        assert group["ROI_0__ROI_0_ROI"][()].tolist() == [[100, 300], [100, 300]]


def test_a_function_takes_what_it_lacks_from_the_geometry(run, tmp_path):
    parameters = resolved(tmp_path, AZAV)
    (detector,) = build_detectors(run, parameters)
    (azav,) = detector.funcs.values()
    assert (azav.center, azav.dis_to_sam, azav.eBeam) == ([0, 0], 80, 9.5)
    (row,) = process_events(run, [detector], [0])
    assert row.keys() == {"timestamp", "jungfrau1M/azav_azav"}
    found = row["jungfrau1M/azav_azav"]
    assert found.shape[0] == 4
    assert np.isfinite(found).any()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (AZAV.replace("dis_to_sam = 80.0", ""), r"needs dis_to_sam \[mm\]"),
        (CHAIN.replace('of = "droplet"', 'of = "ROI_0"'), "works on droplets"),
        (CHAIN.replace('of = "phot"', 'of = "photo"'), "Did you mean 'phot'"),
        (CHAIN.replace("aduspphot = 9.5", "aduspphot = -1"), "aduspphot"),
    ],
)
def test_chains_that_cannot_work_are_refused_before_the_first_event(
    run, tmp_path, body, message
):
    with pytest.raises(ParameterError, match=message):
        build_detectors(run, resolved(tmp_path, body))


class Difference(DetObjectFunc):
    """The change of the sum since the event before."""

    lookback = 1

    def forget(self):
        super().forget()
        self._before = np.nan

    def describe(self):
        return {"sum": Field(np.dtype(np.float64))}

    def process(self, data):
        total = float(data.sum(dtype=np.float64))
        change, self._before = total - self._before, total
        return {"sum": change}


def test_a_batch_begins_with_the_events_that_functions_look_back_to(run):
    det = DetObject("epix100", run)
    roi = ROIFunc(ROI=[[100, 200], [100, 200]])
    roi.addFunc(Difference(name="change"))
    det.addFunc(roi)
    at_once = list(process_events(run, [det], range(6)))
    batches = [
        row
        for begin in (4, 0, 2)
        for row in process_events(run, [det], range(begin, begin + 2))
    ]
    batches.sort(key=lambda row: row["timestamp"])
    changes = [row["epix100/ROI_change_sum"] for row in at_once]
    assert np.isnan(changes[0])
    assert np.isfinite(changes[1:]).all()
    np.testing.assert_array_equal(
        [row["epix100/ROI_change_sum"] for row in batches], changes
    )


def test_no_events_no_rows(run):
    assert list(process_events(run, [], [])) == []
