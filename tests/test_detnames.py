"""``smalldata-ana detnames`` lists what there is in a run."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalldata_ana.commands.detnames import main
from smalldata_ana.errors import RunNotFound
from smalldata_ana.sources.base import DetectorInfo, ScalarInfo

DETECTORS = {
    "jungfrau1M": DetectorInfo(
        "jungfrau1M", "jungfrau", (2, 512, 1024), np.dtype(np.uint16), (0, 1)
    ),
    "opal": DetectorInfo("opal", "opal", (512, 512), np.dtype(np.uint16)),
}
SCALARS = {
    name: ScalarInfo(name, shape, np.dtype(np.float64), unit)
    for name, shape, unit in [
        ("gasdet/f_11_ENRC", (), "mJ"),
        ("ipm/channels", (8,), ""),
        ("epics/lxt_vitara", (), "s"),
        ("scan/lxt", (), "s"),
    ]
}


class FakeRun:
    """A run that has names only."""

    experiment = "xppsim01"
    number = 1
    detectors = DETECTORS
    scalars = SCALARS
    closed = False

    def __len__(self) -> int:
        return 120

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace `open_run` by one that gives a fake run and notes its arguments."""
    calls: dict[str, Any] = {}

    def open_run(
        exp: str | None = None, run: int | None = None, **others: Any
    ) -> FakeRun:
        if run == 99:
            raise RunNotFound("no run 99 in xppsim01")
        calls.update(exp=exp, run=run, opened=FakeRun(), **others)
        return calls["opened"]

    module = types.ModuleType("smalldata_ana.opening")
    module.open_run = open_run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delenv("EXPERIMENT", raising=False)
    monkeypatch.chdir(tmp_path)
    return calls


def test_what_there_is(
    opened: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exp=xppsim01:run=1"]) == 0
    assert (
        capsys.readouterr().out
        == """\
xppsim01 run 1: 120 events

area detectors
--------------
name        type      shape           panels
jungfrau1M  jungfrau  (2, 512, 1024)  2
opal        opal      (512, 512)      1

scalars
-------
name              dtype    shape  unit
gasdet/f_11_ENRC  float64         mJ
ipm/channels      float64  (8,)

scan
----
name      dtype    shape  unit
scan/lxt  float64         s

EPICS
-----
name              dtype    shape  unit
epics/lxt_vitara  float64         s
"""
    )
    assert opened["opened"].closed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["exp=xppsim01:run=1"], ("xppsim01", 1, None, None)),
        (["-e", "xppsim01", "-r", "1"], ("xppsim01", 1, None, None)),
        (["exp=xppsim01:run=1:dir=/x"], ("xppsim01", 1, Path("/x"), None)),
        (
            ["-e", "xppsim01", "-r", "1", "--xtc-dir", "/x"],
            ("xppsim01", 1, Path("/x"), None),
        ),
        (
            ["--files", "a.xtc2", "b.xtc2"],
            (None, None, None, [Path("a.xtc2"), Path("b.xtc2")]),
        ),
    ],
)
def test_how_a_run_is_named(
    opened: dict[str, Any], arguments: list[str], expected: tuple[object, ...]
) -> None:
    assert main(arguments) == 0
    given = tuple(opened[key] for key in ("exp", "run", "xtc_dir", "files"))
    assert given == expected


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "no experiment"),
        (["-e", "xppsim01"], "which run"),
        (["exp=xppsim01:rum=1"], "not understood at 'rum=1'"),
        (["exp=xppsim01:run="], "not understood at 'run='"),
        (["exp=xppsim01:run=one"], "run=one is not the number of a run"),
        (["xppsim01"], "not understood"),
        (["exp=xppsim01:run=99"], "no run 99"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1
