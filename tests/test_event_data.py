"""What is stored of each event: against the truth of simulated and made-up runs."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import make, ours

from smalldata_ana.detector.protocol import MISSING_INTEGER
from smalldata_ana.errors import ParameterError
from smalldata_ana.event_data import EventData, EventParameters
from smalldata_ana.event_data.topic import LARGEST_ARRAY
from smalldata_ana.opening import open_run
from smalldata_ana.simulation.run_writer import SimulatedRun
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

REAL = Path(__file__).parents[2] / "shared/data/lcls2_xtc2"
EVENTS, STEPS = 24, 3
EVERY = np.arange(EVENTS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    """Return a simulated run with X-rays and laser dropped here and there."""
    folder = tmp_path_factory.mktemp("event_data")
    return make(folder, events=EVENTS, steps=STEPS)


@pytest.fixture(scope="module")
def run(made: SimulatedRun) -> Run:
    """Return the same run, opened."""
    return ours(made)


@pytest.fixture(scope="module")
def values(run: Run) -> dict[str, np.ndarray]:
    """Return what is stored of all its events."""
    return EventData.of(run, EventParameters()).values(run, EVERY)


def written(path: Path, events: int = 4, **contents: Any) -> Hdf5Run:
    """Write and open a run of made-up scalars."""
    options: dict[str, Any] = {"experiment": "xpptut15", "run": 7, **contents}
    images = {"camera": np.zeros((events, 2, 3), np.uint16)}
    return Hdf5Run(write_run(path / "run.h5", images=images, **options))


def table(codes: dict[int, list[int]], events: int = 4) -> np.ndarray:
    """Return event codes: the events that each code is in."""
    found = np.zeros((events, 288), np.int8)
    for code, there in codes.items():
        found[there, code] = 1
    return found


class TestSimulated:
    def test_light_is_that_of_the_truth(
        self, made: SimulatedRun, values: dict[str, np.ndarray]
    ) -> None:
        xrays = made.truth["requested"] & made.truth["xrays"]
        np.testing.assert_array_equal(values["lightStatus/xray"], xrays)
        np.testing.assert_array_equal(values["lightStatus/laser"], made.truth["laser"])
        assert 0 < values["lightStatus/xray"].sum() < EVENTS
        assert 0 < values["lightStatus/laser"].sum() < EVENTS

    def test_event_codes(
        self, made: SimulatedRun, values: dict[str, np.ndarray]
    ) -> None:
        np.testing.assert_array_equal(values["evr/code_90"], made.truth["laser"])
        np.testing.assert_array_equal(values["evr/code_162"], ~made.truth["xrays"])
        codes = {int(n[9:]) for n in values if n.startswith("evr/code_")}
        assert codes == {40, 90, 91, 137, 162}

    def test_scan(self, made: SimulatedRun, values: dict[str, np.ndarray]) -> None:
        np.testing.assert_array_equal(values["scan/varStep"], made.truth["step"])
        np.testing.assert_array_equal(values["scan/lxt"], made.truth["lxt"])
        picoseconds = 1e12 * made.truth["lxt"]
        np.testing.assert_allclose(values["enc/lasDelay"], picoseconds, atol=1e-3)

    def test_pulse_energy(
        self, made: SimulatedRun, values: dict[str, np.ndarray]
    ) -> None:
        truth = made.truth["pulse_energy"]
        np.testing.assert_allclose(1e6 * values["ipm2/sum"], truth, atol=0.03)
        np.testing.assert_allclose(values["gas_detector/f_21_ENRC"], truth, atol=0.1)
        np.testing.assert_allclose(values["gmd/millijoulesperpulse"], truth, atol=0.03)
        assert values["ipm2/peaks"].shape == (EVENTS, 16)

    def test_photon_energy(
        self, made: SimulatedRun, values: dict[str, np.ndarray]
    ) -> None:
        electronvolts = 1e3 * float(made.truth["energy"])
        np.testing.assert_allclose(
            values["ebeam/photon_energy"], electronvolts, atol=15
        )

    def test_pulse_ids_grow(self, values: dict[str, np.ndarray]) -> None:
        assert (np.diff(values["timing/pulseId"]) == 1).all()
        assert "timing/timestamp" not in values

    def test_all_detectors_have_data(self, values: dict[str, np.ndarray]) -> None:
        damage = {n: v for n, v in values.items() if n.startswith("damage/")}
        assert {"damage/cspad140k", "damage/ipm2", "damage/timing"} <= damage.keys()
        assert all((column == 1).all() for column in damage.values())

    def test_values_are_as_described(self, run: Run) -> None:
        data = EventData.of(run, EventParameters(), epics_all=True)
        some = np.array([5, 2, 11])
        values = data.values(run, some)
        assert values.keys() == data.fields.keys()
        for path, field in data.fields.items():
            assert values[path].dtype == field.dtype, path
            assert values[path].shape == (len(some), *field.shape), path
            assert field.long_name, path

    def test_events_do_not_depend_on_each_other(
        self, run: Run, values: dict[str, np.ndarray]
    ) -> None:
        data = EventData.of(run, EventParameters())
        parts = [data.values(run, part) for part in np.array_split(EVERY, 5)]
        for path, column in values.items():
            joined = np.concatenate([part[path] for part in parts])
            np.testing.assert_array_equal(joined, column)

    def test_pickled_and_used_with_the_run_opened_again(
        self, made: SimulatedRun, run: Run, values: dict[str, np.ndarray]
    ) -> None:
        data = pickle.loads(pickle.dumps(EventData.of(run, EventParameters())))
        again = data.values(ours(made), EVERY)
        for path, column in values.items():
            np.testing.assert_array_equal(again[path], column)

    def test_units(self, run: Run) -> None:
        fields = EventData.of(run, EventParameters()).fields
        assert fields["ipm2/sum"].unit == "J"
        assert fields["ebeam/photon_energy"].unit == "eV"
        assert fields["enc/lasDelay"].unit == "ps"
        assert fields["scan/lxt"].unit == "s"
        assert fields["scan/step_value"].unit == ""

    def test_configuration(self, run: Run) -> None:
        told = EventData.of(run, EventParameters()).configuration()
        assert told["lightStatus"] == {
            "xrayCodes_req": [137],
            "xrayCodes_drop": [162],
            "laserCodes_drop": [91],
        }
        assert told["scan"]["varStep"] == [0, 1, 2]
        assert ['"step": 1' in text for text in told["scan"]["step_docstring"]] == [
            False,
            True,
            False,
        ]
        assert told["epics"] == {
            "PVlist": ["lxt_vitara"],
            "PVlist_PV": ["LAS:FS14:VIT:FS_TGT_TIME"],
        }


class TestEpics:
    def test_by_name_by_variable_and_renamed(
        self, made: SimulatedRun, run: Run
    ) -> None:
        wanted = ["sam_x", ["XPP:USR:MMS:01.RBV", "stage"]]
        data = EventData.of(run, EventParameters(epics=wanted))
        values = data.values(run, EVERY)
        truth = 1 + 0.5 * made.truth["step"]
        np.testing.assert_array_equal(values["epics/sam_x"], truth)
        np.testing.assert_array_equal(values["epics/stage"], truth)
        np.testing.assert_array_equal(values["epics/lxt_vitara"], made.truth["lxt"])

    def test_what_users_name_has_the_name_of_smalldata_tools_too(
        self, made: SimulatedRun, run: Run
    ) -> None:
        wanted = [["XPP:USR:MMS:01.RBV", "stage"], "lxt_vitara"]
        data = EventData.of(run, EventParameters(epics=wanted))
        values = data.values(run, EVERY)
        for name in ("stage", "lxt_vitara"):
            np.testing.assert_array_equal(
                values[f"epicsUser/{name}"], values[f"epics/{name}"]
            )
        users = {path for path in data.fields if path.startswith("epicsUser/")}
        assert users == {"epicsUser/stage", "epicsUser/lxt_vitara"}
        assert data.configuration()["epicsUser"] == {
            "PVlist": ["stage", "lxt_vitara"],
            "PVlist_PV": ["XPP:USR:MMS:01.RBV", "LAS:FS14:VIT:FS_TGT_TIME"],
        }

    def test_the_same_value_asked_for_twice_is_stored_once(self, run: Run) -> None:
        wanted = ["sam_x", "XPP:USR:MMS:01.RBV"]
        data = EventData.of(run, EventParameters(epics=wanted))
        assert data.configuration()["epics"]["PVlist"] == ["lxt_vitara", "sam_x"]

    def test_text_is_not_stored_for_each_event_but_once(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="smalldata_ana")
        names = ["shutter", "sam_x"]
        data = EventData.of(run, EventParameters(epics=names, epics_once=names))
        assert "epics/shutter" not in data.fields
        assert "XPP:LAS:SHT is text" in caplog.text
        assert data.once(run) == {"shutter": "OPEN", "sam_x": 1.0}

    def test_all_of_them(self, run: Run) -> None:
        without = EventData.of(run, EventParameters()).fields
        everything = EventData.of(run, EventParameters(), epics_all=True).fields
        assert {"epicsAll/lxt_vitara", "epicsAll/sam_x"} <= everything.keys()
        assert not any(name.startswith("epicsAll") for name in without)

    def test_all_unknown_names_are_told_at_once(self, run: Run) -> None:
        parameters = EventParameters(
            epics=["sam_y"],
            epics_once=["XPP:LAS:SHUT"],
            arrays=["feespec/hprj"],
            integrating=["cspad140"],
            timetool="opal",
        )
        with pytest.raises(ParameterError) as caught:
            EventData.of(run, parameters)
        lines = str(caught.value).splitlines()
        hints = ["'sam_x'", "'XPP:LAS:SHT'", "'feespec/hproj'", "'cspad140k'"]
        for hint in hints:
            assert any(line.endswith(f"Did you mean {hint}?") for line in lines), hint
        assert any("no time tool 'opal'" in line for line in lines)
        assert len(lines) == 5
        assert all(line.startswith("[event]: ") for line in lines)

    def test_names_without_slash_and_colon(self, tmp_path: Path) -> None:
        run = written(
            tmp_path, scalars={"epics/HX2:DVD:GCC:01:PMON": np.array([np.nan, 1, 2, 2])}
        )
        wanted = ["HX2:DVD:GCC:01:PMON"]
        data = EventData.of(run, EventParameters(epics=wanted, epics_once=wanted))
        stored = data.values(run, np.arange(4))["epics/HX2_DVD_GCC_01_PMON"]
        np.testing.assert_array_equal(stored, [np.nan, 1, 2, 2])
        assert data.once(run) == {"HX2_DVD_GCC_01_PMON": 1.0}


CODES = {137: [0, 1, 2], 162: [2], 91: [1], 92: [0, 3]}
"""The events that each code is in."""


class TestLight:
    def stored(self, run: Run, given: Any) -> dict[str, list[int]]:
        data = EventData.of(run, EventParameters(light_status=given))
        values = data.values(run, np.arange(len(run)))
        return {
            path.removeprefix("lightStatus/"): column.tolist()
            for path, column in values.items()
            if path.startswith("lightStatus/")
        }

    def test_codes_of_the_user(self, tmp_path: Path) -> None:
        run = written(tmp_path, event_codes=table(CODES))
        assert self.stored(run, None) == {"xray": [1, 1, 0, 0], "laser": [1, 0, 1, 1]}
        told = self.stored(run, [[162], [-92]])
        assert told == {"xray": [1, 1, 0, 1], "laser": [1, 0, 0, 1]}

    def test_two_lasers(self, tmp_path: Path) -> None:
        run = written(tmp_path, event_codes=table(CODES))
        given = {"xray": [-137, 162], "laser": [91], "states": {"laser2": [-92]}}
        assert self.stored(run, given) == {
            "xray": [1, 1, 0, 0],
            "laser": [1, 0, 1, 1],
            "laser2": [1, 0, 0, 1],
        }
        data = EventData.of(run, EventParameters(light_status=given))
        assert data.configuration()["lightStatus"]["laser2Codes_req"] == [92]
        assert data.fields.keys() >= {"evr/code_92", "evr/code_162"}

    @pytest.mark.parametrize(
        ("number", "laser"), [(3, [1, 0, 1, 1]), (7, [0, 1, 0, 0]), (20, [1, 0, 0, 1])]
    )
    def test_codes_by_runs(self, tmp_path: Path, number: int, laser: list[int]) -> None:
        run = written(tmp_path, event_codes=table(CODES), run=number)
        given = [
            {"runs": "5-", "xray": [162], "laser": [-91]},
            {"runs": "15-", "xray": [162], "laser": [-92]},
        ]
        assert self.stored(run, given)["laser"] == laser

    def test_no_timing_data(self, tmp_path: Path) -> None:
        codes = table(CODES)
        codes[1] = -1
        run = written(tmp_path, event_codes=codes)
        assert self.stored(run, None) == {"xray": [1, -1, 0, 0], "laser": [1, -1, 1, 1]}
        values = EventData.of(run, EventParameters()).values(run, np.arange(4))
        assert values["evr/code_137"].tolist() == [1, MISSING_INTEGER, 1, 0]

    def test_a_run_without_timing(self, tmp_path: Path) -> None:
        run = written(tmp_path)
        data = EventData.of(run, EventParameters())
        values = data.values(run, np.arange(4))
        assert values["lightStatus/xray"].tolist() == [-1] * 4
        assert not any(path.startswith("evr") for path in data.fields)

    def test_destination_at_rix(self, tmp_path: Path) -> None:
        run = written(
            tmp_path,
            experiment="rixl1001021",
            event_codes=table({273: [1]}),
            scalars={"timing/destination": np.array([4, 4, 3, 0])},
        )
        assert self.stored(run, None) == {"xray": [1, 1, 0, 0], "laser": [1, 0, 1, 1]}
        told = EventData.of(run, EventParameters()).configuration()["lightStatus"]
        assert told["destination"] == 4


class TestScalars:
    def test_missing_values(self, tmp_path: Path) -> None:
        data = np.array([1.5, np.nan, 2.5, 0.0])
        run = written(tmp_path, scalars={"xgmd/energy": data})
        values = EventData.of(run, EventParameters()).values(run, np.arange(4))
        np.testing.assert_array_equal(values["xgmd/energy"], data)
        assert values["damage/xgmd"].tolist() == [1, 0, 1, 1]

    def test_missing_whole_numbers_in_real_files(self, tmp_path: Path) -> None:
        """A detector that has data in every other event."""
        files = sorted((REAL / "mixed_rate").glob("*.xtc2"))
        if not files:
            pytest.skip("the files of mixed_rate are not there")
        run = open_run(files=files)
        some = np.arange(20)
        values = EventData.of(run, EventParameters()).values(run, some)
        there = ~np.isnan(run.scalar("xpphsd/fex/calib", some)).any(axis=1)
        np.testing.assert_array_equal(values["damage/xpphsd"], there)
        assert 0 < there.sum() < len(some)
        assert (values["scan/motor1"] > 0).all()

    def test_slow_detectors_in_real_files(self) -> None:
        files = sorted((REAL / "intg_det").glob("*.xtc2"))
        if not files:
            pytest.skip("the files of intg_det are not there")
        run = open_run(files=files)
        data = EventData.of(run, EventParameters(integrating=["andor"]))
        assert data.integrating == ("andor",)
        values = data.values(run, np.arange(len(run)))
        for detector in ("andor", "epix", "hsd"):
            images = run.scalar(f"{detector}/calib")
            np.testing.assert_array_equal(values[f"{detector}/calib"], images)
            there = ~np.isnan(images).all(axis=(1, 2))
            np.testing.assert_array_equal(values[f"damage/{detector}"], there)

    def test_long_arrays_are_left_out_unless_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = written(
            tmp_path,
            scalars={
                "hsd/long": np.zeros((4, LARGEST_ARRAY + 1)),
                "hsd/short": np.zeros((4, LARGEST_ARRAY)),
            },
        )
        data = EventData.of(run, EventParameters())
        assert "hsd/short" in data.fields
        assert "hsd/long" not in data.fields
        assert "arrays = ['hsd/long']" in caplog.text
        named = EventData.of(run, EventParameters(arrays=["hsd/long"]))
        assert named.fields["hsd/long"].shape == (LARGEST_ARRAY + 1,)

    def test_two_detectors_that_would_have_the_same_name(self, tmp_path: Path) -> None:
        scalars = {
            f"{detector}/ebeamPhotonEnergy": np.full(4, energy)
            for detector, energy in (("ebeam", 9500.0), ("ebeamh", 9600.0))
        }
        run = written(tmp_path, scalars=scalars)
        values = EventData.of(run, EventParameters()).values(run, np.arange(4))
        assert values["ebeam/photon_energy"][0] == 9500
        assert values["ebeamh/ebeamPhotonEnergy"][0] == 9600

    def test_damage_of_an_area_detector(self, tmp_path: Path) -> None:
        missing = np.array([False, True, False, False])
        run = written(tmp_path, missing={"camera": missing})
        data = EventData.of(run, EventParameters())
        stored = data.values(run, np.arange(4))["damage/camera"]
        assert stored.tolist() == [1, 0, 1, 1]
        whole = {"camera": np.array([True, True])}
        told = data.values(run, np.array([1, 2]), whole)["damage/camera"]
        assert told.tolist() == [1, 1]

    def test_events_before_the_first_step(self, tmp_path: Path) -> None:
        run = written(tmp_path, steps=np.array([-1, 0, 0, 1]))
        values = EventData.of(run, EventParameters()).values(run, np.arange(4))
        assert values["scan/varStep"].tolist() == [MISSING_INTEGER, 0, 0, 1]


class TestParameters:
    def test_defaults_ask_for_nothing(self) -> None:
        parameters = EventParameters()
        assert parameters.light_status is None
        assert parameters.epics == parameters.epics_once == []
        assert parameters.integrating == parameters.arrays == []

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"epicsPV": []}, "Did you mean 'epics'"),
            ({"epics": [["a", "b", "c"]]}, "epics"),
            ({"ttCalib": [1.0]}, "ttCalib"),
            ({"ttCalib": ["a", "b"]}, "ttCalib"),
            ({"light_status": [[162]]}, r"\[\[X-ray codes\]"),
            ({"light_status": {"xray": [162]}}, "lacks 'laser'"),
            ({"light_status": {"xray": [], "lazer": []}}, "Did you mean 'laser'"),
            ({"light_status": [{"runs": "x", "xray": [], "laser": []}]}, "range"),
        ],
    )
    def test_refused(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            EventParameters(**values)

    def test_each_has_help(self) -> None:
        assert all(trait.help for trait in EventParameters.class_traits().values())
