"""Is there room for the output, before the first event is read."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

from smalldata_ana.detector.protocol import Length
from smalldata_ana.errors import FileError
from smalldata_ana.producing.part_file import tables_of
from smalldata_ana.producing.planning import Plan
from smalldata_ana.safe_files import make_folder

_COPIES = 2
"""The parts and the file are there at the same time."""

_PER_VALUE_OF_ANY_LENGTH = 100
"""Values in an event that are reckoned with where there may be any number."""


def check_space(plan: Plan, target: Path, limit: int | None) -> None:
    """Check that the output can be written.

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
    needed, free = needed_bytes(plan, limit), shutil.disk_usage(folder).free
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
    sums = sum(d.sums.nbytes for d in plan.detectors) * (len(batches) + 1)
    return _COPIES * row * sum(map(len, batches)) + sums


def _in_gb(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
