"""Photons of a simulated epix100, read as any run, against those that were put in."""

import numpy as np
import pytest
from simulated import make, ours

from smalldata_ana.ana_funcs.droplet import dropletFunc
from smalldata_ana.ana_funcs.droplet_photons import droplet2Photons
from smalldata_ana.ana_funcs.sparsify import sparsifyFunc
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.simulation.run_spec import DetectorSpec
from smalldata_ana.sources.events import Event

EVENTS = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a run with photons on an epix100."""
    folder = tmp_path_factory.mktemp("photons")
    detectors = (DetectorSpec("epix100"),)
    return make(folder, detectors=detectors, events=EVENTS, with_constants=True)


def true_counts(made, event, shape):
    """Return the number of photons that were put into each pixel."""
    per_event = made.truth["epix100/photon_counts"]
    begin = per_event[:event].sum()
    photons = made.truth["epix100/photons"][begin : begin + per_event[event]]
    counts = np.zeros(shape, int)
    np.add.at(counts, tuple(np.rint(photons).astype(int).T), 1)
    return counts


def test_the_photons_that_were_put_in_are_found(made):
    det = DetObject("epix100", ours(made))
    energy = float(made.truth["energy"])
    drops = dropletFunc(threshold=10.0, thresholdLow=3.0)
    photons = droplet2Photons(aduspphot=energy, eBeam=energy, name="photons")
    photons.addFunc(sparsifyFunc())
    drops.addFunc(photons)
    det.addFunc(drops)
    for number in range(EVENTS):
        det.getData(Event(det.run, number))
        det.processFuncs()
        results = det.evt.results
        found = results["droplet_photons_nPhotons"]
        counts = true_counts(made, number, det.shape)[det.good]
        assert found == pytest.approx(counts.sum(), rel=0.01)
        assert results["droplet_photons_sparse_row"].size == found
        truth = np.bincount(counts, minlength=4)[:4]
        share = results["droplet_photons_prob"][:4] * counts.size
        error = np.sqrt([truth[1:].sum(), *np.maximum(truth[1:], 1)])
        assert np.all(np.abs(share - truth) <= 3 * error)


def test_a_threshold_in_adu_is_an_error_with_the_reason(made):
    det = DetObject("epix100", ours(made))
    drops = dropletFunc()
    drops.addFunc(droplet2Photons(aduspphot=154.0, eBeam=9.5))
    with pytest.raises(ValueError, match="give it in keV and not in ADU"):
        det.addFunc(drops)
