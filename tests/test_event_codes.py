"""Event codes that are not as the table of hutches or the first events have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalldata_ana.commands.producer_reports import summary
from smalldata_ana.event_data import EventData, EventParameters
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.planning import plan
from smalldata_ana.producing.production import Production
from smalldata_ana.producing.reports import Report
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

EVENTS = 4


def written(
    folder: Path, experiment: str, codes: dict[int, list[int]], n_codes: int = 288
) -> Hdf5Run:
    """Write and open a run with event codes: the events that each of them is in."""
    table = np.zeros((EVENTS, n_codes), np.int8)
    for code, there in codes.items():
        if code < n_codes:
            table[there, code] = 1
    path = write_run(
        folder / f"run{n_codes}.h5",
        experiment=experiment,
        run=7,
        images={"camera": np.zeros((EVENTS, 2, 3), np.uint16)},
        event_codes=table,
    )
    return Hdf5Run(path)


@pytest.mark.parametrize(
    ("experiment", "codes", "told"),
    [
        ("xpptut15", {162: [1], 40: [0, 1]}, "requests it, 137; they have 40, 162"),
        ("xcstut15", {}, "requests it, 137; they have none"),
        ("mectut15", {137: [0]}, "lightStatus/laser is 0"),
        ("xpptut15", {137: [0]}, ""),
    ],
)
def test_light_that_nothing_requests_is_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    experiment: str,
    codes: dict[int, list[int]],
    told: str,
) -> None:
    EventData.of(written(tmp_path, experiment, codes), EventParameters())
    assert told in caplog.text
    assert bool(told) == bool(caplog.records)


@pytest.mark.parametrize(
    ("n_codes", "laser"), [(288, [1, 0, 0, 0]), (256, [1, 0, 1, 1])]
)
def test_codes_of_the_generation(
    tmp_path: Path, n_codes: int, laser: list[int]
) -> None:
    """A run of LCLS-I has 256 codes: there, at mfx, 204 drops the laser."""
    codes = {137: [0, 1], 203: [0], 204: [1]}
    run = written(tmp_path, "mfxtut15", codes, n_codes)
    values = EventData.of(run, EventParameters()).values(run, np.arange(EVENTS))
    assert values["lightStatus/laser"].tolist() == laser


LATE = {137: [0, 1, 2, 3], 40: [0, 3], 45: [2, 3], 46: [3]}
"""Codes of which two are not in the first two events."""


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hdf5Run:
    monkeypatch.setattr("smalldata_ana.sources.first_events.MOST", 2)
    return written(tmp_path, "xpptut15", LATE)


def test_codes_that_come_late_have_no_dataset(late: Hdf5Run) -> None:
    data = EventData.of(late, EventParameters())
    stored = {path for path in data.fields if path.startswith("evr/")}
    assert stored == {f"evr/code_{code}" for code in (40, 91, 137, 162)}
    assert data.codes_left_out(data.seen(late, np.arange(EVENTS))) == {45: 2, 46: 1}
    assert data.codes_left_out(data.seen(late, np.arange(2))) == {}


@pytest.mark.parametrize("size", [1, 3, 4])
def test_the_summary_names_and_counts_them(
    late: Hdf5Run, tmp_path: Path, size: int
) -> None:
    resolved = ParameterFile.parse(
        'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n[event]\n',
        tmp_path / "p.toml",
    ).resolve(late.number)
    planned = plan(late, resolved, tmp_path / "parts", size=size)
    result = Production(planned, tmp_path / "out.h5").run(Workers(1))
    told = "\n".join(summary(late, result))
    assert "event code 45 in 2 events: it has no dataset" in told
    assert "event code 46 in 1 events" in told
    assert "event code 40" not in told


def test_what_is_said_of_a_part_can_be_read() -> None:
    report = Report(events=3)
    report.other_codes.update({45: 2})
    report.update(Report.from_json(report.to_json()))
    assert report.other_codes == {45: 4}
