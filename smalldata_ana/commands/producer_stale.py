"""``--stale``: which files there are, how they were made, and would be made now."""

from __future__ import annotations

import argparse
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from smalldata_ana.commands.runs import experiment_of, opened
from smalldata_ana.errors import UsageError

if TYPE_CHECKING:
    from smalldata_ana.producing.record import Record


def runs_made(options: argparse.Namespace) -> list[int]:
    """Return the runs of which there are files.

    Raises
    ------
    UsageError
        if there are none
    """
    from smalldata_ana.places import places

    experiment = experiment_of(options)
    folder = places(experiment, directory=options.directory).smalldata
    names = [re.fullmatch(rf"{experiment}_Run(\d+)\.h5", p.name) for p in _in(folder)]
    made = sorted(int(name[1]) for name in names if name)
    if not made:
        raise UsageError(f"there are no files of {experiment} in {folder}")
    return made


def _in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def made_before(
    options: argparse.Namespace, number: int | None
) -> tuple[argparse.Namespace, Record]:
    """Return the options that the file of a run was made with, and its record.

    Files and folders that are given now come first.

    Parameters
    ----------
    options : of the command line
    number : of the run, or None for that of the files

    Raises
    ------
    FileError
        if there is no such file, if it does not say how it was made, or if something
        that it was made with is not there any more
    """
    from smalldata_ana.producing.inputs import Inputs
    from smalldata_ana.producing.record import Record

    file = _file(options, number)
    record = Record.read(file)
    kept = record.inputs.beside(Inputs.of(vars(options)))
    kept.check(file)
    choices = record.choices
    as_before = {
        "detectors": choices.detectors,
        "default": choices.default,
        "full": choices.full,
        "image": choices.image,
        "epicsAll": choices.epics_all,
        "nosum": not choices.sums,
        "nevents": record.nevents,
        "compression": record.compression,
    }
    given = {name: value for name, value in vars(kept).items() if value}
    return argparse.Namespace(**{**vars(options), **given, **as_before}), record


def _file(options: argparse.Namespace, number: int | None) -> Path:
    from smalldata_ana.places import places

    loose = options.files is not None
    if number is not None and not loose:
        experiment = experiment_of(options)
    else:
        with closing(opened(options, number)) as run:
            experiment, number = run.experiment, run.number
    where = places(experiment, directory=options.directory, loose_files=loose)
    return where.smalldata_file(number)
