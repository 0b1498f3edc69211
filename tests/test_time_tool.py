"""The time tool, in the forms that the two DAQ generations give it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from smalldata_ana.event_data import EventData, EventParameters
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

POSITION = np.array([512.0, 0.0, np.nan, 400.0, 0.5])
TIME = np.array([0.25, 0.0, np.nan, -0.5, 9.0])
EVENTS = len(POSITION)
FEX = {
    "opal_tt/ttfex/fltpos": POSITION,
    "opal_tt/ttfex/fltpos_ps": TIME,
    "opal_tt/ttfex/ampl": np.full(EVENTS, 0.3),
    "opal_tt/ttfex/fltposfwhm": np.full(EVENTS, 40.0),
    "opal_tt/ttfex/refampl": np.full(EVENTS, 7.0),
    "opal_tt/ttfex/amplnxt": np.full(EVENTS, 0.1),
    "opal_tt/ttfex/proj_sig": np.ones((EVENTS, 8)),
}
EPICS = {
    f"epics/{name}": column
    for name, column in {
        "TTSPEC:FLTPOS": POSITION,
        "TTSPEC:FLTPOS_PS": TIME,
        "TTSPEC:AMPL": np.full(EVENTS, 0.3),
        "TTSPEC:FLTPOSFWHM": np.full(EVENTS, 40.0),
        "TTSPEC:REFAMPL": np.full(EVENTS, 7.0),
        "TTSPEC:AMPLNXT": np.full(EVENTS, 0.1),
        "XTCAV:AMPL": np.full(EVENTS, 99.0),
    }.items()
}
ARRAY = {
    "alvium_tt/value": np.column_stack(
        [POSITION, TIME] + [np.full(EVENTS, value) for value in (40.0, 0.3, 0.1, 7.0)]
    )
}
FOUND = np.array([True, False, False, True, True])


def run_with(folder: Path, scalars: dict[str, np.ndarray]) -> Hdf5Run:
    """Write and open a run with these scalars."""
    path = write_run(
        folder / "run.h5",
        experiment="xpptut15",
        run=7,
        images={"camera": np.zeros((EVENTS, 2, 3), np.uint16)},
        scalars=scalars,
    )
    return Hdf5Run(path)


def stored(
    folder: Path, scalars: dict[str, np.ndarray], **parameters: object
) -> dict[str, np.ndarray]:
    """Return what is stored below ``tt``, and check that it is as described."""
    run = run_with(folder, scalars)
    data = EventData.of(run, EventParameters(**parameters))
    values = data.values(run, np.arange(EVENTS))
    assert values.keys() == data.fields.keys()
    return {k[3:]: v for k, v in values.items() if k.startswith("tt/")}


@pytest.mark.parametrize("scalars", [FEX, EPICS, ARRAY], ids=["fex", "epics", "array"])
class TestForms:
    def test_values(self, tmp_path: Path, scalars: dict[str, np.ndarray]) -> None:
        values = stored(tmp_path, scalars)
        np.testing.assert_array_equal(values["FLTPOS"], POSITION)
        np.testing.assert_array_equal(values["fltpos"], POSITION)
        np.testing.assert_array_equal(values["FLTPOS_PS"], TIME)
        np.testing.assert_array_equal(values["fltpos_ps"], TIME)
        assert [values[k][0] for k in ("AMPL", "AMPLNXT")] == [0.3, 0.1]
        assert [values[k][0] for k in ("FLTPOSFWHM", "REFAMPL")] == [40.0, 7.0]

    def test_time_of_the_tool(
        self, tmp_path: Path, scalars: dict[str, np.ndarray]
    ) -> None:
        values = stored(tmp_path, scalars)
        np.testing.assert_array_equal(values["ttCorr"], np.where(FOUND, TIME, np.nan))

    def test_polynomial(self, tmp_path: Path, scalars: dict[str, np.ndarray]) -> None:
        values = stored(tmp_path, scalars, ttCalib=[1.5, -0.003, 1e-6])
        expected = 1.5 - 0.003 * POSITION + 1e-6 * POSITION**2
        np.testing.assert_allclose(values["ttCorr"], np.where(FOUND, expected, np.nan))


def test_an_edge_that_was_not_found_is_not_a_time_of_zero(tmp_path: Path) -> None:
    values = stored(tmp_path, FEX, ttCalib=[0.0, 0.003])
    assert np.isnan(values["ttCorr"][POSITION == 0]).all()
    values = stored(tmp_path, FEX)
    assert np.isnan(values["ttCorr"][POSITION == 0]).all()


def test_a_calibration_without_a_time_tool_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert stored(tmp_path, {"ipm2/sum": np.ones(EVENTS)}, ttCalib=[0.0, 1.0]) == {}
    (record,) = caplog.records
    told = record.getMessage()
    assert "ttCalib of [event] has no effect: xpptut15 run 7 has no time tool" in told
    assert "FLTPOS" in told


def test_other_fields_of_the_detector_keep_their_names(tmp_path: Path) -> None:
    fields = EventData.of(run_with(tmp_path, FEX), EventParameters()).fields
    assert fields["opal_tt/ttfex/proj_sig"].shape == (8,)
    assert "opal_tt/ttfex/fltpos" not in fields


def test_a_detector_goes_before_epics_unless_another_is_named(tmp_path: Path) -> None:
    scalars = {**FEX, **EPICS, "epics/TTSPEC:FLTPOS": POSITION + 1}
    np.testing.assert_array_equal(stored(tmp_path, scalars)["FLTPOS"], POSITION)
    named = stored(tmp_path, scalars, timetool="TTSPEC")
    np.testing.assert_array_equal(named["FLTPOS"], POSITION + 1)
    named = stored(tmp_path, scalars, timetool="opal_tt")
    np.testing.assert_array_equal(named["FLTPOS"], POSITION)


def test_no_time_without_calibration(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scalars = {"epics/TTSPEC:FLTPOS": POSITION}
    assert stored(tmp_path, scalars).keys() == {"FLTPOS", "fltpos"}
    assert "write ttCalib in [event]" in caplog.text
    assert "ttCorr" in stored(tmp_path, scalars, ttCalib=[0, 0.003])


def test_no_time_tool(tmp_path: Path) -> None:
    caught = stored(tmp_path, {"epics/XTCAV:AMPL": np.ones(EVENTS)}, ttCalib=[0, 1.0])
    assert caught == {}


def test_configuration(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="smalldata_ana")
    run = run_with(tmp_path, EPICS)
    told = EventData.of(run, EventParameters(ttCalib=[0, 0.003])).configuration()["tt"]
    assert told["ttCalib"] == [0.0, 0.003]
    assert dict(zip(told["ttNames"], told["PVlist"], strict=True)) == {
        name.rpartition(":")[2]: name.removeprefix("epics/")
        for name in EPICS
        if "TTSPEC" in name
    }
    assert "the time tool is TTSPEC" in caplog.text


def test_six_values_are_a_time_tool_only_by_name(tmp_path: Path) -> None:
    (values,) = ARRAY.values()
    scalars = {"attenuator/value": values}
    assert stored(tmp_path, scalars) == {}
    named = stored(tmp_path, scalars, timetool="attenuator")
    np.testing.assert_array_equal(named["FLTPOS"], POSITION)
