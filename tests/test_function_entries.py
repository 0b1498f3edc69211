"""Functions in a parameter file: chains through the pipeline into the output."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from produced import produced, results
from small_output import AZAV, DROPLETS, EVENTS, open_small_run, resolved

from smalldata_ana import DetObjectFunc, own_functions
from smalldata_ana.detector.protocol import Field
from smalldata_ana.errors import ParameterError
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.planning import plan
from smalldata_ana.producing.production import Production
from smalldata_ana.producing.worker import Worker

CHAIN = """
[[detector.epix100.roi]]
runs = "1-"
name = "ROI_0"
ROI = [[100, 300], [100, 300]]

[[detector.epix100.projection]]
runs = "1-"
name = "pj"
of = "ROI_0"
axis = 0
"""
CHAIN += DROPLETS.replace('name = "droplet"\n', 'name = "droplet"\nof = "ROI_0"\n')
CHANGE = """
[[detector.epix100.roi]]
runs = "1-"
name = "ROI"
ROI = [[100, 200], [100, 200]]

[[detector.epix100.function]]
runs = "1-"
name = "change"
call = "difference"
of = "ROI"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = open_small_run(tmp_path_factory.mktemp("functions"))
    yield run
    run.close()


def test_a_chain_of_entries_is_stored_with_its_lengths(run, tmp_path):
    parameters = resolved(tmp_path, CHAIN)
    with h5py.File(produced(run, parameters, tmp_path, size=4)) as file:
        epix = file["epix100"]
        photons = epix["ROI_0_droplet_phot_nPhotons"][()]
        lengths = epix["var_ROI_0_droplet_phot_sparse_len"][()]
        rows_of_photons = epix["var_ROI_0_droplet_phot_sparse/row"][()]
        droplets = epix["ROI_0_droplet_nDroplets"][()]
        ragged = [len(value) for value in epix["ragged_ROI_0_droplet_list_row"]]
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
    row = results(run, [detector], 0)
    assert row.keys() == {"jungfrau1M/azav_azav"}
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


def test_a_batch_begins_with_the_events_that_functions_look_back_to(
    run, tmp_path, monkeypatch
):
    monkeypatch.setitem(own_functions._functions, "difference", Difference)
    parameters = resolved(tmp_path, CHANGE)
    at_once = produced(run, parameters, tmp_path / "at_once", size=EVENTS)
    planned = plan(run, parameters, tmp_path / "parts", size=2)
    planned.job.parts.mkdir()
    worker = Worker.of(planned.job)
    batches = planned.batches()
    for number in (2, 0, 1):
        worker.process(planned.task_of(batches[number]))
    worker.close()
    in_pieces = tmp_path / "pieces.h5"
    assert Production(planned, in_pieces).run(Workers(1)).reused == EVENTS
    with h5py.File(at_once) as whole, h5py.File(in_pieces) as pieces:
        changes = whole["epix100/ROI_change_sum"][()]
        assert np.isnan(changes[0])
        assert np.isfinite(changes[1:]).all()
        np.testing.assert_array_equal(pieces["epix100/ROI_change_sum"], changes)
        np.testing.assert_array_equal(pieces["timestamp"], whole["timestamp"])


def test_no_events_no_rows(run, tmp_path):
    with h5py.File(produced(run, resolved(tmp_path, CHAIN), tmp_path, limit=0)) as file:
        assert len(file["timestamp"]) == 0
        assert len(file["epix100/ROI_0_sum"]) == 0
        assert len(file["epix100/var_ROI_0_droplet_phot_sparse/row"]) == 0
