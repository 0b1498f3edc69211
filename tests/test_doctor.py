"""`anaps.doctor()`: what is wrong is named, with the remedy."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import session_run

from smalldata_ana.detector.mask_entries import mask_entry
from smalldata_ana.errors import ConstantsError
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import places
from smalldata_ana.session import doctor_checks
from smalldata_ana.session.doctor import Diagnosis, diagnose
from smalldata_ana.session.doctor_checks import error, ok, warning
from smalldata_ana.session.record_commands import RecordCommands
from smalldata_ana.session.region_commands import RegionCommands
from smalldata_ana.sources.base import ScalarInfo
from smalldata_ana.sources.constants import Constant, Constants
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

BOX = [[0, 1], [4, 20], [5, 15]]


class Session(RecordCommands, RegionCommands):
    """The commands that are needed here."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with_data = Hdf5Run(session_run.write(tmp_path_factory.mktemp("run")))
    yield with_data
    with_data.close()


@pytest.fixture
def anaps(run, tmp_path):
    where = places("xpptut15", directory=tmp_path, params=tmp_path / "p.toml")
    return Session(run, places_of=lambda exp: where)


def entry(kind: str, detector: str = "epix100", name: str = "", **values) -> Entry:
    return Entry(detector, kind, RunRange(session_run.RUN), values, name=name)


def found(diagnosis: Diagnosis, what: str) -> list[str]:
    """Return the levels of the findings about something."""
    return [f.level for f in diagnosis if f.what.startswith(what)]


def test_one_line_each_errors_first():
    diagnosis = Diagnosis(
        [
            ok("run", "fine"),
            warning("a", "odd\nthing", "look"),
            error("bc", "bad", "do"),
        ]
    )
    assert [p.what for p in diagnosis.problems] == ["bc", "a"]
    lines = repr(diagnosis).splitlines()
    assert lines[0].split() == ["ok", "run", "fine"]
    assert lines[1] == "warning  a    odd thing -> look"
    assert lines[-1] == "1 error, 1 warning"


def test_a_run_without_parameters(anaps):
    diagnosis = anaps.doctor()
    assert found(diagnosis, "parameters") == ["warning"]
    assert found(diagnosis, "run") == ["ok"]
    assert found(diagnosis, "epix100 data") == ["ok"]
    assert found(diagnosis, "opal data") == ["ok"]


def test_what_is_not_exported_is_said_and_what_is_exported_is_fine(anaps):
    anaps.SelectRegion("opal", ROI=[[2, 10], [3, 12]]).accept(name="A")
    assert found(anaps.doctor(), "parameters") == ["warning"]
    from smalldata_ana.session.export import export_params

    export_params(anaps)
    diagnosis = anaps.doctor()
    assert found(diagnosis, "parameters") == ["ok"]
    assert found(diagnosis, "opal A") == ["ok"]


def test_a_damaged_parameter_file(anaps, tmp_path):
    (tmp_path / "p.toml").write_text("runs = 12 12")
    (finding,) = [f for f in anaps.doctor() if f.what == "parameters"]
    assert finding.level == "error"
    assert "params check" in finding.remedy


def test_a_detector_that_is_not_there(anaps):
    anaps.pending.append(entry("roi", "epix101", name="A", ROI=BOX))
    (finding,) = [f for f in anaps.doctor() if f.what == "epix101"]
    assert finding.level == "error"
    assert "Did you mean 'epix100'" in finding.text


def test_constants_that_are_missing(anaps, monkeypatch):
    (finding,) = [f for f in anaps.doctor() if f.what == "epix100 constants"]
    assert finding.level == "warning"
    assert "raw data" in finding.text
    assert "makePedestal('epix100')" in finding.remedy

    def refuse(*given: object) -> None:
        raise ConstantsError("there are no pedestals")

    monkeypatch.setattr(doctor_checks.Calibration, "for_run", refuse)
    (finding,) = doctor_checks.check_constants(anaps, "epix100", [])
    assert (finding.level, finding.text) == ("error", "there are no pedestals")


@pytest.mark.parametrize(("days", "level"), [(1, "ok"), (9, "warning"), (None, "ok")])
def test_the_age_of_constants(days, level):
    begin = np.datetime64("2026-11-20T12:00:00")
    seconds = int((begin - np.datetime64("1990-01-01T00:00:00")).astype(int))
    made = "" if days is None else f"{begin - np.timedelta64(days, 'D')}+00:00"
    pedestals = Constant("pedestals", np.zeros((1, 2, 2)), 10, None, "store", made)
    constants = Constants("epix100", {"pedestals": pedestals})
    calibration = SimpleNamespace(notes=("two differ",))
    run = SimpleNamespace(
        timestamps=np.array([seconds << 32], np.uint64),
        constants=lambda name: constants,
    )
    session = SimpleNamespace(run=run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor_checks.Calibration, "for_run", lambda *a: calibration)
        note, finding = doctor_checks.check_constants(session, "epix100", [])
    assert (note.level, note.text) == ("warning", "two differ")
    assert finding.level == level
    assert "runs 10-end" in finding.text
    assert ("9 days before" in finding.text) == (days == 9)


def test_a_detector_without_data(tmp_path):
    events = 8
    frames = np.zeros((events, 6, 6), np.uint16)
    path = write_run(
        tmp_path / "r.h5",
        experiment="xpptut15",
        run=14,
        images={"one": frames, "two": frames},
        missing={"one": np.ones(events, bool), "two": np.arange(events) > 1},
    )
    session = Session(Hdf5Run(path), places_of=places)
    levels = [
        next(iter(doctor_checks.check_data(session, name, []))).level
        for name in ("one", "two")
    ]
    session.close()
    assert levels == ["error", "warning"]


def test_regions_outside_and_on_masked_pixels(anaps, run):
    good = np.ones(run.detectors["opal"].shape, bool)
    good[:12] = False
    anaps.pending += [
        replace(mask_entry("opal", good, RunRange(14)), name="half"),
        entry("roi", "opal", name="outside", ROI=[[2, 100], [3, 12]]),
        entry("roi", "opal", name="masked", ROI=[[2, 5], [3, 12]]),
        entry("roi", "opal", name="part", ROI=[[8, 14], [3, 12]]),
        entry("roi", "opal", name="inside", ROI=[[14, 18], [3, 12]]),
    ]
    diagnosis = anaps.doctor()
    assert found(diagnosis, "opal outside") == ["error"]
    assert found(diagnosis, "opal masked") == ["error"]
    assert found(diagnosis, "opal part") == ["warning"]
    assert found(diagnosis, "opal inside") == ["ok"]
    (mask,) = [f for f in diagnosis if f.what == "opal mask"]
    assert mask.level == "warning"
    assert "with 1 of your masks" in mask.text
    assert found(diagnosis, "production") != ["ok"]


def test_everything_masked(anaps, run):
    nothing = np.zeros(run.detectors["opal"].shape, bool)
    findings = doctor_checks.check_masks(
        anaps,
        "opal",
        [replace(mask_entry("opal", ~nothing, RunRange(14)), array=nothing)],
    )
    assert [f.level for f in findings] == ["error"]


def with_energy(run, value: float, unit: str = "eV"):
    """Return a session on a run that tells its photon energy."""
    name = "ebeam/ebeamPhotonEnergy"
    number = np.dtype(np.float64)
    others = ScalarInfo("gasdet/energy", (), number)

    class Told:
        scalars: ClassVar = {
            others.name: others,
            name: ScalarInfo(name, (), number, unit),
        }
        detectors, constants = run.detectors, run.constants

        def __len__(self) -> int:
            return 3

        def scalar(self, wanted: str, events: np.ndarray) -> np.ndarray:
            return np.array([np.nan, value, value])[events]

    return SimpleNamespace(run=Told())


@pytest.mark.parametrize(
    ("value", "unit", "level"),
    [(9500.0, "eV", "ok"), (9.501, "keV", "ok"), (8000.0, "", "warning")],
)
def test_the_energy_is_that_of_the_run(run, value, unit, level):
    entries = [entry("geometry", eBeam=9.5), entry("roi", name="A", ROI=BOX)]
    session = with_energy(run, value, unit)
    (finding,) = doctor_checks.check_energy(session, "epix100", entries)
    assert finding.level == level
    assert "ebeamPhotonEnergy" in finding.text


def test_an_energy_that_the_run_does_not_tell(anaps):
    (finding,) = doctor_checks.check_energy(
        anaps, "epix100", [entry("geometry", eBeam=9.5)]
    )
    assert finding.level == "ok"
    assert "does not tell" in finding.text


@pytest.mark.parametrize("kind", ["geometry", "azav"])
@pytest.mark.parametrize("distance", [0.08, 80_000])
def test_a_distance_in_other_units(anaps, kind, distance):
    entries = [entry("geometry", eBeam=9.5), entry(kind, dis_to_sam=distance)]
    (finding,) = doctor_checks.check_units(anaps, "opal", entries)
    assert finding.level == "warning"
    assert "mm" in finding.remedy


@pytest.mark.parametrize(("threshold", "level"), [(100.0, "warning"), (5.0, "ok")])
def test_a_threshold_in_other_units(run, monkeypatch, threshold, level):
    in_kev = SimpleNamespace(unit="keV")
    monkeypatch.setattr(doctor_checks.Calibration, "for_run", lambda *a, **k: in_kev)
    entries = [
        entry("geometry", eBeam=9.5),
        entry("roi", name="A", ROI=BOX, thresADU=threshold),
        entry("droplet", name="d", threshold=50.0),  # in noise, not in keV
    ]
    (finding,) = doctor_checks.check_units(with_energy(run, 9500.0), "epix100", entries)
    assert finding.level == level
    assert finding.what == "epix100 A thresADU"


def test_a_centre_far_outside(tmp_path):
    from smalldata_ana.detector.nominal_geometry import flat_positions

    positions = flat_positions((20, 30), 50.0)
    run = SimpleNamespace(pixel_positions=lambda name: positions)
    near, far = (
        list(
            doctor_checks.check_geometry(
                SimpleNamespace(run=run), "d", [entry("geometry", center=list(center))]
            )
        )
        for center in ((100.0, -200.0), (1e5, 0.0))
    )
    assert [f.level for f in near] == ["ok", "ok"]
    assert [f.level for f in far] == ["ok", "warning"]


def test_a_centre_that_is_hardly_known_and_what_its_fit_noted():
    from smalldata_ana.detector.nominal_geometry import flat_positions

    positions = flat_positions((20, 30), 50.0)
    session = SimpleNamespace(
        run=SimpleNamespace(pixel_positions=lambda name: positions)
    )

    def geometry(error, **made):
        values = {"center": [100.0, -200.0], "center_err": [error, 1.0]}
        found = replace(entry("geometry", **values), made=made)
        return list(doctor_checks.check_geometry(session, "d", [found]))

    assert [f.level for f in geometry(200.0)] == ["ok", "ok"]
    _, loose = geometry(5200.0)
    assert loose.level == "warning"
    assert "known to 5200 um only" in loose.text
    _, noted, _ = geometry(1.0, notes="only 1 of 28 rings: is it this calibrant?")
    assert noted.level == "warning"
    assert "is it this calibrant" in noted.text


def test_what_the_producer_would_refuse(anaps):
    anaps.pending.append(entry("azav", "opal", name="azav"))
    (finding,) = [f for f in diagnose(anaps) if f.what == "production"]
    assert finding.level == "error"
    assert "needs" in finding.text
