"""Is there room for the output, before the first event is read."""

from __future__ import annotations

import itertools
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from smalldata_ana.detector.protocol import Length
from smalldata_ana.errors import FileError
from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.part_file import tables_of
from smalldata_ana.producing.planning import Plan
from smalldata_ana.safe_files import asides, make_folder

_COPIES = 2
"""The parts and the file are there at the same time."""

_PER_VALUE_OF_ANY_LENGTH = 100
"""Values in an event that are reckoned with where there may be any number."""


_PER_PIXEL = 64
"""What the file tells of how it was made, for each pixel of a detector [bytes]."""


def check_space(plan: Plan, target: Path, limit: int | None) -> None:
    """Check that the output can be written.

    Raises
    ------
    FileError
        if the folder cannot be written, or has too little room
    """
    check_room(target, needed_bytes(plan, limit), plan.job.parts)


def check_room(target: Path, needed: int, parts: Path) -> None:
    """Check that a file can be written.

    Parameters
    ----------
    target : the file
    needed : what it takes with its parts, about [bytes]
    parts : folder with those of its parts that are there already; they are used, and
        what a job that was killed has left aside is removed

    Raises
    ------
    FileError
        if the folder cannot be written, or has too little room
    """
    folder = make_folder(target.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(
            f"cannot write {target}: no permission for {folder}; "
            "name another folder with --directory"
        )
    if target.is_dir():
        raise FileError(f"cannot write {target}: it is a folder")
    left = itertools.chain(parts.glob("part_*.h5"), asides(target))
    _check(target, needed - sum(path.stat().st_size for path in left))


def check_space_to_merge(plan: Plan, batches: Sequence[Batch], target: Path) -> None:
    """Check that there is room for the file of parts that are complete.

    HDF5 can crash when a disk gets full, so that this is to be known before.

    Raises
    ------
    FileError
        if there is too little room
    """
    parts = sum(plan.job.part_path(batch).stat().st_size for batch in batches)
    pixels = sum(math.prod(d.shape) for d in plan.detectors)
    _check(target, parts - _sums(plan) * (len(batches) - 1) + _PER_PIXEL * pixels)


def _check(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise FileError(
            f"cannot write {target}: about {_in_gb(needed)} are needed, "
            f"{_in_gb(free)} are free; free some space, or name another folder with "
            "--directory"
        )


def needed_bytes(plan: Plan, limit: int | None) -> int:
    """Return about how much is written, at its largest [bytes]."""
    row = sum(
        field.dtype.itemsize
        * (
            math.prod(field.shape)
            if field.length is Length.FIXED
            else _PER_VALUE_OF_ANY_LENGTH
        )
        for layout in tables_of(plan.job).values()
        for field in layout.values()
    )
    batches = plan.batches(limit)
    sums = _sums(plan) * (len(batches) + 1)
    return _COPIES * row * sum(map(len, batches)) + sums


def _sums(plan: Plan) -> int:
    """Return the size of the sums, which each part has, and the file once [bytes]."""
    return sum(d.sums.nbytes for d in plan.detectors)


def _in_gb(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
