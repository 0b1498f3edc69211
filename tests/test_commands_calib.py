"""``smalldata-ana calib``, and what all command lines share."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_run import FakeRun
from test_constants_import import EPIX, write_text

from smalldata_ana.commands import run_command, table
from smalldata_ana.commands.calib import main
from smalldata_ana.errors import IncompleteDataError, UsageError
from smalldata_ana.sources.constants_store import ConstantsStore


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("EXPERIMENT", "SMALLDATA_ANA_CALIB", "SIT_PSDM_DATA"):
        monkeypatch.delenv(name, raising=False)
    ours = logging.getLogger("smalldata_ana")
    level = ours.level
    yield
    ours.setLevel(level)


@pytest.fixture
def store(tmp_path: Path) -> ConstantsStore:
    store = ConstantsStore(tmp_path / "calib")
    pedestals = np.array([[0.0, 1.0], [2.0, 5.0]])
    store.put("cam", "pedestals", pedestals, 3, made={"origin": "dark run 2"})
    store.put("cam", "pedestals", pedestals, 10, 12)
    store.put("cam", "geometry", "IP 0\nCAM 0\n", 0)
    store.put("other", "pixel_gain", pedestals, 0)
    return store


def run(store: ConstantsStore, *arguments: object) -> int:
    action, *others = map(str, arguments)
    return main([action, "--calib-dir", str(store.folder), *others])


def test_list(store: ConstantsStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "list", "-r", 11) == 0
    title, header, *lines = capsys.readouterr().out.splitlines()
    assert title == f"constants store {store.folder}"
    assert " ".join(header.split()) == (
        "valid detector constant runs shape time origin"
    )
    assert [line.split()[:4] for line in lines] == [
        ["cam", "pedestals", "3-end", "(2,"],
        ["*", "cam", "pedestals", "10-12"],
        ["*", "cam", "geometry", "0-end"],
        ["*", "other", "pixel_gain", "0-end"],
    ]
    assert lines[0].endswith("dark run 2")
    assert " text " in lines[2]


def test_list_of_one_detector(
    store: ConstantsStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "list", "other") == 0
    out = capsys.readouterr().out
    assert "pixel_gain" in out
    assert "pedestals" not in out
    assert "valid" not in out


def test_list_shows_what_cannot_be_read(
    store: ConstantsStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.file("cam", "pedestals", 3, None).write_bytes(b"damaged")
    assert run(store, "list") == 0
    assert "unreadable" in capsys.readouterr().out


def test_list_of_an_empty_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ConstantsStore(tmp_path / "no"), "list") == 0
    assert capsys.readouterr().out == f"constants store {tmp_path / 'no'}: empty\n"


def test_show(store: ConstantsStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "show", "cam", "pedestals", "-r", 5) == 0
    shown = dict(
        line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:]
    )
    assert shown["runs"] == "3-end"
    assert shown["shape"] == "(2, 2)"
    assert shown["dtype"] == "float32"
    assert [float(shown[k]) for k in ("min", "mean", "max")] == [0, 2, 5]
    assert shown["zero"] == "25.00%"
    assert shown["origin"] == "dark run 2"
    assert run(store, "show", "cam", "geometry", "-r", 5) == 0
    assert "2 lines" in capsys.readouterr().out


def test_put(
    store: ConstantsStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text(tmp_path / "rms.txt", np.full((12, 12), 1.5))
    arguments = ("put", "cam", "pixel_rms", tmp_path / "rms.txt", "--begin", 7)
    more = ("--end", 9, "--serial", "0a1b")
    assert run(store, *arguments, *more) == 0
    assert "7-9.npy" in capsys.readouterr().out
    record = store.valid("cam", 8)["pixel_rms"]
    assert record.made["serial"] == "0a1b"
    assert record.made["origin"] == str(tmp_path / "rms.txt")
    assert (record.read().value == 1.5).all()
    assert run(store, *arguments, *more) == 2
    assert "--replace" in capsys.readouterr().err
    assert run(store, *arguments, *more, "--replace") == 0


def test_put_says_that_the_other_constants_are_of_another_size(
    store: ConstantsStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "gain.npy", np.ones((12, 12)))
    assert (
        run(store, "put", "cam", "pixel_gain", tmp_path / "gain.npy", "--begin", 3) == 0
    )
    assert "pixel_gain of cam has the shape (12, 12), but pedestals" in caplog.text


@pytest.mark.parametrize("shape", [(3, 3), (200,), (1, 1, 1, 20, 20), (5, 4, 2, 3)])
def test_put_refuses_shapes_that_no_detector_has(
    store: ConstantsStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    shape: tuple[int, ...],
) -> None:
    np.save(tmp_path / "p33.npy", np.ones(shape))
    assert (
        run(store, "put", "cam", "pixel_gain", tmp_path / "p33.npy", "--begin", 3) == 2
    )
    assert f"cannot have the shape {shape}" in capsys.readouterr().err
    assert "pixel_gain" not in store.get("cam", 3).items


def test_put_holds_a_constant_to_the_frames_of_the_run(
    store: ConstantsStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = FakeRun("epix100", np.zeros((24, 40), np.uint16), {})
    opened.close = lambda: None
    monkeypatch.setattr("smalldata_ana.opening.open_run", lambda *_: opened)
    for shape, code in (((1, 24, 40), 0), ((24, 40), 0), ((1, 40, 24), 2)):
        np.save(tmp_path / "gain.npy", np.ones(shape))
        put = ("put", "det", "pixel_gain", tmp_path / "gain.npy", "--begin", 3)
        assert run(store, *put, "-e", "xpptut15", "--replace") == code
    error = capsys.readouterr().err
    assert "(1, 40, 24), but frames of the shape (24, 40) need (1, 24, 40)" in error


def test_import_lcls1(
    store: ConstantsStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calib = tmp_path / "lcls1"
    source = calib / "Epix100a::CalibV1" / EPIX
    write_text(source / "pedestals/0-end.data", np.full((704, 768), 9.0))
    arguments = ("import", calib, "--kind", "lcls1", "--detector", f"{EPIX}=epix100")
    assert run(store, *arguments) == 0
    assert "epix100" in capsys.readouterr().out
    assert store.get("epix100", 1).array("pedestals").shape == (1, 704, 768)
    assert run(store, *arguments, "--begin", 3) == 2
    assert "--begin is for --kind dark" in capsys.readouterr().err


def test_import_dark(store: ConstantsStore, tmp_path: Path) -> None:
    np.save(tmp_path / "clb-xppx1-cam_000001-r0023-pixel_rms.npy", np.ones((2, 2)))
    arguments = ("import", tmp_path, "--kind", "dark", "--detector", "cam")
    assert run(store, *arguments, "--begin", 20, "--end", 22) == 0
    assert set(store.get("cam", 22).items) >= {"pixel_rms"}
    assert "pixel_rms" not in store.get("cam", 23).items


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("list", "cam1"), "no detector 'cam1' .* Did you mean 'cam'"),
        (("show", "cam", "pedestal", "-r", 5), "Did you mean 'pedestals'"),
        (("show", "cam", "pedestals", "-r", 1), "no constant 'pedestals'"),
        (("put", "cam", "pedestal", "x.npy", "--begin", 1), "Did you mean"),
        (("put", "cam", "pixel_rms", "x.npy", "--begin", 1), "there is no file"),
        (("put", "cam", "pixel_rms", "x", "--begin", 5, "--end", 4), "5-4 is not"),
        (("import", "x", "--kind", "dark", "--detector", "a"), "there is no folder"),
        (
            ("import", "x", "--kind", "dark", "--detector", "a", "--detector", "b"),
            "SOURCE=DET",
        ),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    store: ConstantsStore,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[object, ...],
    problem: str,
) -> None:
    before = sorted(store.folder.rglob("*"))
    assert run(store, *arguments) == 2
    error = capsys.readouterr().err
    assert re.search(problem, error)
    assert error.count("\n") == 1
    assert sorted(store.folder.rglob("*")) == before


def test_the_store_of_an_experiment(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 2
    assert "give it with -e" in capsys.readouterr().err
    monkeypatch.setenv("SMALLDATA_ANA_CACHE", str(tmp_path))
    expected = tmp_path / "xpp/xppsim01/results/smalldata_ana/calib"
    assert main(["list", "-e", "xppsim01"]) == 0
    assert str(expected) in capsys.readouterr().out
    monkeypatch.setenv("EXPERIMENT", "xppsim01")
    assert main(["list"]) == 0
    assert str(expected) in capsys.readouterr().out
    monkeypatch.setenv("SMALLDATA_ANA_CALIB", str(tmp_path / "mine"))
    assert main(["list"]) == 0
    assert str(tmp_path / "mine") in capsys.readouterr().out


def test_a_usage_error_has_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["lst"])
    assert stop.value.code == 2
    assert "list" in capsys.readouterr().err


def test_a_traceback_only_at_debug_level(
    store: ConstantsStore, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(store, "list", "nothing") == 2
    assert not caplog.records
    assert run(store, "list", "nothing", "--log-level", "debug") == 2
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("so not"), 2),
        (IncompleteDataError("truncated"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_have_their_exit_codes(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @run_command
    def command(argv: list[str]) -> int:
        assert argv == ["-x"]
        raise error

    assert command(["-x"]) == code
    assert capsys.readouterr().err.startswith(("error: ", "interrupted"))


def test_other_errors_are_not_hidden() -> None:
    @run_command
    def command(argv: list[str]) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command([])


def test_tables_are_aligned() -> None:
    assert table(("a", "long"), [(1, 2), ("three", "")]) == (
        "a      long\n1      2\nthree"
    )
