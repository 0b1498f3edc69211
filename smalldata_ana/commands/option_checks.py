"""Checks of options that the command line alone can tell to be wrong."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from smalldata_ana.errors import UsageError

_FILES = ("--files", ("--xtc-dir",), "files that are named are not looked for")
_HDF5_FILE = (
    "--files",
    ("--calib-dir", "--norecorder", "--live"),
    "an HDF5 file is a whole run with its constants",
)
"""See `check_effects`."""


def check_above_0(options: argparse.Namespace, *names: str) -> None:
    """Check options that are numbers, as far as they are given.

    Raises
    ------
    UsageError
        if one is below 1
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value} is not a number above 0")


def check_effects(
    options: argparse.Namespace, useless: Sequence[tuple[str, Sequence[str], str]]
) -> None:
    """Check that no option is given that has no effect beside another one.

    Parameters
    ----------
    options : of the command line
    useless : an option, those that have no effect beside it, and why

    Raises
    ------
    UsageError
        if there is one
    """
    for option, others, why in useless:
        for other in others if _is_given(options, option) else ():
            if _is_given(options, other):
                raise UsageError(f"{option} and {other} cannot both be given: {why}")


def check_files(options: argparse.Namespace) -> None:
    """Check that no option is given that ``--files`` makes useless.

    Raises
    ------
    UsageError
        if there is one
    """
    from smalldata_ana.opening import is_hdf5

    check_effects(options, [_FILES])
    if options.files and is_hdf5(options.files):
        check_effects(options, [_HDF5_FILE])


def _is_given(options: argparse.Namespace, option: str) -> bool:
    value = getattr(options, option.removeprefix("--").replace("-", "_"), None)
    return value is not None and value is not False


def check_nproc(options: argparse.Namespace) -> None:
    """Check ``--nproc``: a number, and not over MPI.

    Raises
    ------
    UsageError
        if it is below 1, or `mpirun` decides
    """
    from smalldata_ana.producing.executors import under_mpi

    check_above_0(options, "nproc")
    if options.nproc is not None and under_mpi():
        raise UsageError(
            f"--nproc {options.nproc}: over MPI there are as many workers as mpirun "
            "has begun; leave it out"
        )
