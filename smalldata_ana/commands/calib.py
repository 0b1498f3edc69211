"""``smalldata-ana calib``: look at calibration constants, put them, import them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smalldata_ana.commands import (
    add_action,
    run_command,
    set_log_level,
    table,
)
from smalldata_ana.commands.constant_fitness import check_fits
from smalldata_ana.errors import ConstantsError, UsageError, unknown
from smalldata_ana.places import places
from smalldata_ana.session.experiment import find_experiment
from smalldata_ana.sources.constants import NAMES, validity
from smalldata_ana.sources.constants_files import TEXT, read_constant
from smalldata_ana.sources.constants_import import Imported, import_dark, import_lcls1
from smalldata_ana.sources.constants_store import ConstantsStore, Record


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="smalldata-ana calib",
        description="Look at the calibration constants of an experiment, put new ones "
        "into the store, and import them from elsewhere.",
    )
    actions = options.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_list(actions)
    _add_show(actions)
    _add_put(actions)
    _add_import(actions)
    return options


@run_command
def main(argv: list[str]) -> int:
    """Run the command and return its exit code."""
    options = parser().parse_args(argv)
    set_log_level(options.log_level)
    options.act(_store(options), options)
    return 0


def _action(actions: Any, name: str, act: Any, text: str) -> argparse.ArgumentParser:
    action = add_action(actions, name, act, text)
    action.add_argument(
        "--calib-dir",
        type=Path,
        metavar="DIR",
        help="the constants store [$SMALLDATA_ANA_CALIB, else "
        "<experiment>/results/smalldata_ana/calib]",
    )
    return action


def _add_list(actions: Any) -> None:
    add = _action(actions, "list", _list, "list what there is").add_argument
    add("detector", nargs="?", help="only this detector [all]")
    add("-r", "--run", type=int, help="mark what is valid for this run")


def _add_show(actions: Any) -> None:
    add = _action(actions, "show", _show, "describe one constant").add_argument
    add("detector")
    add("constant", help=f"one of {', '.join(NAMES)}")
    add("-r", "--run", type=int, required=True, help="the run that it is for")


def _add_put(actions: Any) -> None:
    action = _action(actions, "put", _put, "put a file into the store")
    add = action.add_argument
    add("detector")
    add("constant", help=f"one of {', '.join(NAMES)}")
    add("file", type=Path, help=".npy, or text as psana writes it")
    add("--begin", type=int, required=True, metavar="RUN", help="first run")
    _add_writing(action)


def _add_import(actions: Any) -> None:
    action = _action(actions, "import", _import, "import constants from elsewhere")
    add = action.add_argument
    add("source", type=Path, help="folder to import from")
    add(
        "--kind",
        choices=("lcls1", "dark"),
        required=True,
        help="lcls1: a calib directory of LCLS-I, with its own ranges of runs; dark: "
        "the output of the dark tools of LCLS-II, and files clb-*",
    )
    add(
        "--detector",
        action="append",
        required=True,
        metavar="[SOURCE=]DET",
        help="name of the detector; with several sources in the folder, which source "
        "it is; can be repeated",
    )
    add("-r", "--run", type=int, help="dark: the run to take, if there are several")
    add("--begin", type=int, metavar="RUN", help="dark: first run [the dark run]")
    _add_writing(action)


def _add_writing(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    add("--end", type=int, metavar="RUN", help="last run [until further notice]")
    add("--serial", default="", help="serial number of the detector [not recorded]")
    add("--replace", action="store_true", help="replace those for the same runs")


def _store(options: argparse.Namespace) -> ConstantsStore:
    folder = options.calib_dir or os.environ.get("SMALLDATA_ANA_CALIB")
    if folder is None:
        return ConstantsStore(places(find_experiment(options.experiment)).calib)
    return ConstantsStore(Path(folder).expanduser().absolute())


def _known_detector(store: ConstantsStore, detector: str) -> str:
    if detector not in store.detectors:
        raise ConstantsError(
            unknown("detector", detector, store.detectors, str(store.folder))
        )
    return detector


def _list(store: ConstantsStore, options: argparse.Namespace) -> None:
    if options.detector is not None:
        _known_detector(store, options.detector)
    records = store.list(options.detector)
    print(f"constants store {store.folder}" + ("" if records else ": empty"))
    if records:
        header = ["detector", "constant", "runs", "shape", "time", "origin"]
        rows: list[Sequence[str]] = [_row(record) for record in records]
        if options.run is not None:
            valid = _valid_files(store, options.run)
            header.insert(0, "valid")
            rows = [
                ("*" if record.path in valid else "", *row)
                for record, row in zip(records, rows, strict=True)
            ]
        print(table(header, rows))


def _valid_files(store: ConstantsStore, run: int) -> set[Path]:
    found = (store.valid(detector, run) for detector in store.detectors)
    return {record.path for valid in found for record in valid.values()}


def _row(record: Record) -> tuple[str, ...]:
    try:
        shape = "text" if record.name in TEXT else str(record.shape or "?")
    except ConstantsError:
        shape = "unreadable"
    origin = record.made.get("origin", "")
    return record.detector, record.name, record.validity, shape, record.time, origin


def _show(store: ConstantsStore, options: argparse.Namespace) -> None:
    valid = store.valid(_known_detector(store, options.detector), options.run)
    if options.constant not in valid:
        where = f"{store.folder} for {options.detector}, run {options.run}"
        raise ConstantsError(unknown("constant", options.constant, valid, where))
    record = valid[options.constant]
    value = record.read().value
    described = _text(value) if isinstance(value, str) else _numbers(value)
    facts = {"file": record.path, "runs": record.validity, **described, **record.made}
    print(f"{record.detector} {record.name}, run {options.run}")
    for key, fact in facts.items():
        print(f"  {key:8}{fact}")


def _text(value: str) -> dict[str, object]:
    return {"text": f"{len(value.splitlines())} lines"}


def _numbers(value: np.ndarray[Any, Any]) -> dict[str, object]:
    return {
        "shape": value.shape,
        "dtype": value.dtype,
        "min": value.min(),
        "mean": f"{value.mean(dtype=np.float64):.6g}",
        "max": value.max(),
        "zero": f"{np.mean(value == 0):.2%}",
    }


def _put(store: ConstantsStore, options: argparse.Namespace) -> None:
    detector, name, begin, end = (
        options.detector,
        options.constant,
        options.begin,
        options.end,
    )
    path = store.file(detector, name, begin, end)
    source = options.file.absolute()
    if not source.is_file():
        raise ConstantsError(f"there is no file {source}")
    if path.exists() and not options.replace:
        raise ConstantsError(f"{path} is there already; --replace replaces it")
    value = read_constant(name, source)
    check_fits(store, options.experiment, detector, name, value, begin, str(source))
    made = {"origin": str(source)}
    store.put(detector, name, value, begin, end, serial=options.serial, made=made)
    print(f"{detector} {name}, runs {validity(begin, end)}: {path}")


def _import(store: ConstantsStore, options: argparse.Namespace) -> None:
    given: dict[str, Any] = {"replace": options.replace, "serial": options.serial}
    detectors = _detectors(options.detector)
    if options.kind == "lcls1":
        _refuse_ranges(options)
        done = import_lcls1(options.source, store, detectors, **given)
    else:
        runs = (options.begin, options.end)
        done = import_dark(
            options.source, store, detectors, *runs, run=options.run, **given
        )
    print(table(("detector", "constant", "runs", "from", "note"), map(_done, done)))


def _done(one: Imported) -> Sequence[object]:
    return one.detector, one.name, one.validity, one.source, one.note


def _refuse_ranges(options: argparse.Namespace) -> None:
    given = [n for n in ("run", "begin", "end") if getattr(options, n) is not None]
    if given:
        raise UsageError(
            f"--{given[0]} is for --kind dark; an LCLS-I calib directory has its own "
            "ranges of runs"
        )


def _detectors(given: list[str]) -> str | dict[str, str]:
    """Return the one detector, or the detectors by source (``SOURCE=DET``)."""
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    pairs = [text.rpartition("=") for text in given]
    for source, _, detector in pairs:
        if not source or not detector:
            raise UsageError(
                f"--detector {detector or source} says not what it is of; "
                "with several, write --detector SOURCE=DET for each"
            )
    return {source: detector for source, _, detector in pairs}
