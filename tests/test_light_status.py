"""Light status from event codes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smalldata_ana.errors import ExperimentNotFound, ParameterError
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run
from smalldata_ana.sources.light_rules import (
    GENERIC,
    SOFT_XRAYS,
    Codes,
    LightRule,
    parse_rule,
    parse_rules,
    rule_for,
    rule_of,
    rule_of_hutch,
)
from smalldata_ana.sources.light_status import light_of, light_status, selections

XPP = LightRule(Codes(request=(137,), drop=(162,)), Codes(drop=(91,)))


def code_table(events: Sequence[Sequence[int] | None]) -> np.ndarray:
    """Make a table from the codes of each event; None: no timing data."""
    table = np.zeros((len(events), 288), np.int8)
    for row, codes in zip(table, events, strict=True):
        if codes is None:
            row[:] = -1
        else:
            row[list(codes)] = 1
    return table


EVENTS = [(137, 90), (137, 91), (137, 162, 90), (90,), None, (137, 90, 91)]


def test_request_drop_and_unknown() -> None:
    status = light_status(code_table(EVENTS), XPP)
    assert status.xray.tolist() == [1, 1, 0, 0, -1, 1]
    assert status.laser.tolist() == [1, 0, 1, 1, -1, 0]
    assert status.xray.dtype == status.laser.dtype == np.int8


def test_every_combination_follows_the_rule() -> None:
    """The rule in words, written as plain Python, over all subsets of five codes."""
    rule = LightRule(Codes(request=(1, 2), drop=(3, 4)))
    subsets = [
        codes for n in range(6) for codes in itertools.combinations(range(1, 6), n)
    ]
    expected = [
        0 if {3, 4} & set(codes) else int(bool({1, 2} & set(codes)))
        for codes in subsets
    ]
    assert light_status(code_table(subsets), rule).xray.tolist() == expected


def test_no_codes_listed_means_on() -> None:
    status = light_status(code_table([(), (162,), None]), LightRule())
    assert status.xray.tolist() == status.laser.tolist() == [1, 1, -1]


def test_codes_beyond_the_table_are_absent() -> None:
    table = np.array([[0, 1], [-1, -1]], np.int8)
    rule = LightRule(Codes(request=(137,)), Codes(drop=(300,)))
    status = light_status(table, rule)
    assert status.xray.tolist() == [0, -1]
    assert status.laser.tolist() == [1, -1]


def test_table_without_columns_tells_nothing() -> None:
    status = light_status(np.empty((2, 0), np.int8), XPP)
    assert status.xray.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("experiment", "generation", "codes"),
    [
        ("xppl1001021", "LCLS-II", [[162, -137], [91]]),
        ("xppsim01", "LCLS-II", [[162, -137], [91]]),
        ("xcsx1000121", "LCLS-II", [[-137], [89]]),
        ("mfxl1001021", "LCLS-I", [[-137], [204]]),
        ("mfxl1001021", "LCLS-II", [[-137], [-203]]),
        ("cxil1001021", "LCLS-I", [[-137], [184]]),
        ("mecl1001021", "LCLS-II", [[-137], [-182]]),
        ("tmol1001021", "LCLS-II", [[162], [91]]),
        ("ueddaq02", "LCLS-II", [[162], [91]]),
    ],
)
def test_rules_by_hutch(
    experiment: str, generation: str, codes: list[list[int]]
) -> None:
    assert rule_for(experiment, 12, generation) == parse_rule(codes)


@pytest.mark.parametrize(("codes", "code"), [(256, 204), (288, -203)])
def test_the_number_of_codes_tells_the_generation(
    tmp_path: Path, codes: int, code: int
) -> None:
    path = write_run(
        tmp_path / "run.h5",
        experiment="mfxl1001021",
        run=1,
        images={"camera": np.zeros((2, 3, 4), np.uint16)},
        event_codes=np.zeros((2, codes), np.int8),
    )
    assert rule_of_hutch(Hdf5Run(path)).laser == Codes.signed([code])


def test_unknown_generation() -> None:
    with pytest.raises(ParameterError, match="Did you mean 'LCLS-I"):
        rule_for("xppl1001021", 12, "LCLS-III")


def test_no_experiment() -> None:
    with pytest.raises(ExperimentNotFound, match="'42'"):
        rule_for("42", 12, "LCLS-II")


def test_parse_rule() -> None:
    assert parse_rule([[162, -137], [91]]) == XPP
    assert parse_rule([[162], [91]]) == GENERIC
    assert parse_rule([[], (-90,)]) == LightRule(laser=Codes(request=(90,)))


@pytest.mark.parametrize(
    "codes",
    [
        [[162]],
        [162, 91],
        [[162], [91], []],
        [[0], [91]],
        [[True], [91]],
        [[1.5], [91]],
        [["162"], [91]],
        "162,91",
        [[162], 91],
        162,
        None,
    ],
)
def test_parse_rule_refuses(codes: object) -> None:
    with pytest.raises(ParameterError, match=r"\[\[X-ray codes\], \[laser codes\]\]"):
        parse_rule(codes)  # type: ignore[arg-type]


def run_with(path: Path, events: Sequence[Sequence[int] | None]) -> Path:
    return write_run(
        path,
        experiment="xppsim01",
        run=1,
        images={"camera": np.zeros((len(events), 2, 3), np.uint16)},
        event_codes=code_table(events),
    )


def test_selections(tmp_path: Path) -> None:
    named = selections(Hdf5Run(run_with(tmp_path / "run.h5", EVENTS)))
    assert {name: np.flatnonzero(named[name]).tolist() for name in named} == {
        "xon": [0, 1, 5],
        "xoff": [2, 3],
        "on": [0],
        "off": [1, 5],
    }


def test_selections_with_another_rule(tmp_path: Path) -> None:
    run = Hdf5Run(run_with(tmp_path / "run.h5", EVENTS))
    named = selections(run, parse_rule([[], [-91]]))
    assert np.flatnonzero(named["on"]).tolist() == [1, 5]


def test_selections_are_read_when_asked_for_and_follow_the_run(tmp_path: Path) -> None:
    run = Hdf5Run(run_with(tmp_path / "run.h5", EVENTS[:2]))
    named = selections(run)
    assert named["xon"].tolist() == [True, True]
    run_with(tmp_path / "run.h5", EVENTS)
    assert run.refresh() == 4
    assert named["xon"].tolist() == [True, True, False, False, False, True]
    with pytest.raises(ValueError, match="read-only"):
        named["xon"][0] = False


@pytest.mark.parametrize("events", [[None, None], []])
def test_no_selections_without_timing_data(tmp_path: Path, events: list[None]) -> None:
    assert dict(selections(Hdf5Run(run_with(tmp_path / "run.h5", events)))) == {}


def test_rix_asks_for_soft_xrays(tmp_path: Path) -> None:
    rule = rule_for("rixl1001021", 12, "LCLS-II")
    assert rule.destination == SOFT_XRAYS
    codes = code_table([(), (273,), (), None, ()])
    sent = np.array([4, 4, 3, np.nan, np.nan])
    status = light_status(codes, rule, sent)
    assert status.xray.tolist() == [1, 1, 0, -1, -1]
    assert status.laser.tolist() == [1, 0, 1, -1, 1]
    assert light_status(codes, rule).xray.tolist() == [-1] * 5


def test_light_of_a_run_with_a_destination(tmp_path: Path) -> None:
    path = write_run(
        tmp_path / "run.h5",
        experiment="rixl1001021",
        run=1,
        images={"camera": np.zeros((3, 2, 3), np.uint16)},
        event_codes=code_table([(), (273,), ()]),
        scalars={"timing/destination": np.array([3, 4, 4])},
    )
    run = Hdf5Run(path)
    assert light_of(run).xray.tolist() == [0, 1, 1]
    assert light_of(run, np.array([1])).laser.tolist() == [0]
    assert np.flatnonzero(selections(run)["on"]).tolist() == [2]


def test_further_states() -> None:
    given = {"xray": [162], "laser": [91], "states": {"probe": [-90, 162]}}
    status = light_status(code_table(EVENTS), parse_rule(given))
    assert status.states["probe"].tolist() == [1, 0, 0, 1, -1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": {"laser": [92]}}, "further lights"),
        ({"states": {"a/b": [92]}}, "further lights"),
        ({"states": {"probe": 92}}, "light status codes"),
        ({"destination": "SC_SXR"}, "destination .* whole number"),
        ({"lasers": [91]}, "Did you mean 'laser'"),
        ({"laser": 91}, "light status codes"),
    ],
)
def test_tables_that_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        parse_rule({"xray": [162], "laser": [91], **change})


def test_rules_by_runs() -> None:
    rules = parse_rules(
        [
            {"runs": "5-", "xray": [162], "laser": [91]},
            {"runs": "10-12", "xray": [162], "laser": [92]},
            {"runs": 10, "xray": [162], "laser": [93]},
        ]
    )
    drops = {
        run: rule.laser.drop
        for run in (4, 5, 10, 11, 13)
        if (rule := rule_of(rules, run))
    }
    assert drops == {5: (91,), 10: (93,), 11: (92,), 13: (91,)}
