"""``smalldata-ana setup``: make the folders of an experiment."""

from __future__ import annotations

import argparse
from pathlib import Path

from smalldata_ana.commands import run_command
from smalldata_ana.errors import ExperimentNotFound
from smalldata_ana.places import SIMULATED, Places, places
from smalldata_ana.safe_files import make_folder
from smalldata_ana.session.experiment import find_experiment


@run_command
def main(argv: list[str]) -> int:
    """Make the folders, say what was done, and return the exit code."""
    options = _parser().parse_args(argv)
    where = places(find_experiment(options.experiment))
    for folder in folders(where):
        there = folder.is_dir()
        print(f"{'there already' if there else 'made'}: {make_folder(folder)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smalldata-ana setup",
        description="Make the folders of an experiment, writable for its group: "
        "results, parameters, constants, images, small data and cubes.",
    )
    parser.add_argument(
        "-e",
        "--experiment",
        metavar="EXP",
        help="name of the experiment (default: $EXPERIMENT, else the one in the path "
        "of the working directory)",
    )
    return parser


def folders(where: Places) -> tuple[Path, ...]:
    """Return the folders that an experiment needs.

    Raises
    ------
    ExperimentNotFound
        if the experiment itself has no folder; that of the simulated one is made
    """
    root = where.root
    if root is None or not (root.is_dir() or where.experiment == SIMULATED):
        raise ExperimentNotFound(
            f"there is no experiment {where.experiment!r}: no folder {root}; "
            "check the name, or set $SIT_PSDM_DATA to where experiments are"
        )
    return (
        where.results,
        where.params.parent,
        where.calib,
        where.images,
        where.smalldata,
        where.cubes,
    )
