"""The producer says where parameters may not be meant for its run."""

import logging

import numpy as np
import pytest

from smalldata_ana.detector.entry_fitness import doubts
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.sources.constants import Constant, Constants
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run
from smalldata_ana.sources.photon_energy import measured_energy

RUNS = RunRange(10)


@pytest.fixture
def run_with(tmp_path):
    """Return a function that writes and opens a run with some scalars."""
    runs = []

    def make(unit="", **scalars):
        path = write_run(
            tmp_path / "run.h5",
            experiment="xpptut15",
            run=12,
            images={"opal": np.ones((5, 24, 16), np.uint16)},
            scalars={f"ebeam/{name}": value for name, value in scalars.items()},
            units={f"ebeam/{name}": unit for name in scalars},
        )
        runs.append(Hdf5Run(path))
        return runs[-1]

    yield make
    for run in runs:
        run.close()


def constants(**validity):
    items = {
        name: Constant(name, np.zeros(1), begin, end, "")
        for name, (begin, end) in validity.items()
    }
    return Constants("opal", items, ())


def entry(made=None, **values):
    return Entry("opal", "geometry", RUNS, values, made=made or {})


def test_nothing_is_said_of_what_fits(run_with):
    made = {"run": 12, "calibration": {"pedestals": "10-end"}}
    run = run_with(photonEnergy=np.full(5, 9500.0))
    known = constants(pedestals=(10, None))
    assert list(doubts(run, known, [entry(made, eBeam=9.6)])) == []


@pytest.mark.parametrize(
    ("made", "text"),
    [
        ({"run": 5}, "it was made in run 5, which is not one of its runs"),
        (
            {"calibration": {"pedestals": "8-9"}},
            "it was made with the pedestals of runs 8-9; this run uses those of 10-end",
        ),
        (
            {"calibration": {"geometry": "8-end"}},
            "it was made with the geometry of runs 8-end; this run has none",
        ),
    ],
)
def test_what_was_otherwise_when_it_was_made(run_with, made, text):
    known = constants(pedestals=(10, None))
    (doubt,) = doubts(run_with(), known, [entry(made)])
    assert doubt == f"detector.opal.geometry, runs 10-: {text}"


def test_provenance_that_people_wrote_is_not_trusted(run_with):
    made = {"run": "5", "calibration": "none"}
    assert list(doubts(run_with(), constants(), [entry(made)])) == []


@pytest.mark.parametrize(
    ("unit", "values"),
    [
        ("", [np.nan, 9000.0, 9500.0, 9500.0, 9600.0]),
        ("eV", [9500.0] * 5),
        ("keV", [9.5] * 5),
    ],
)
def test_the_energy_of_the_run(run_with, unit, values):
    run = run_with(unit, photon_energy=np.array(values))
    assert measured_energy(run) == (9.5, "ebeam/photon_energy")
    assert list(doubts(run, constants(), [entry(eBeam=9.65)])) == []
    (doubt,) = doubts(run, constants(), [entry(eBeam=9.8)])
    assert doubt.endswith("eBeam = 9.8 keV, but ebeam/photon_energy says 9.5 keV")


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_a_run_without_its_energy(run_with, value):
    run = run_with(photonEnergy=np.full(5, value))
    assert measured_energy(run) is None
    assert list(doubts(run, constants(), [entry(eBeam=9.8)])) == []


def test_the_pipeline_warns(run_with, tmp_path, caplog):
    path = tmp_path / "p.toml"
    path.write_text(
        'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
        '[[detector.opal.common_mode]]\nruns = "10-"\ncommon_mode = -1\n'
        "[detector.opal.common_mode.made]\nrun = 3\n"
    )
    with caplog.at_level(logging.WARNING, "smalldata_ana"):
        build_detectors(run_with(), ParameterFile.load(path).resolve(12))
    assert "it was made in run 3" in caplog.text
