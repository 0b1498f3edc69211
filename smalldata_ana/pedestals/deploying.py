"""Put what a dark run gave into a constants store, or into text files for psana."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import smalldata_ana
from smalldata_ana.pedestals.making import Pedestals
from smalldata_ana.safe_files import make_folder
from smalldata_ana.sources.constants import validity
from smalldata_ana.sources.constants_store import ConstantsStore
from smalldata_ana.sources.text_array import write_text_array


def usual_begin(made: Pedestals, store: ConstantsStore) -> int:
    """Return the first run that pedestals are for, where the user does not say it.

    It is the (first) dark run.  The first dark run of an experiment is also for the
    runs before it, for which there is nothing better: darks often follow the data.
    What was valid before the experiment (from run 0 on) does not count as one.
    """
    dark = min(made.runs)
    own = [
        record.begin
        for record in store.list(made.detector)
        if record.name == "pedestals" and 0 < record.begin < dark
    ]
    return dark if own else 1


def deploy(
    made: Pedestals, store: ConstantsStore, begin: int, end: int | None = None
) -> list[Path]:
    """Put pedestals, noise and status into a constants store.

    Parameters
    ----------
    made : what to put
    store : where to
    begin, end : first and last run that they are for; ``end`` None: until further
        notice; constants for exactly these runs are replaced

    Returns
    -------
    The files.

    Raises
    ------
    ConstantsError
        if the range of runs is empty
    FileError
        if a file cannot be written
    """
    how = provenance(made)
    return [
        store.put(made.detector, name, value, begin, end, serial=made.serial, made=how)
        for name, value in made.constants().items()
    ]


def export_text(
    made: Pedestals, folder: Path, begin: int, end: int | None = None
) -> list[Path]:
    """Write pedestals, noise and status as psana's text files.

    They lie as in a constants store, ``<detector>/<constant>/<begin>-<end>.data``, so
    that the folder can be used as one.

    Parameters
    ----------
    made : what to write
    folder : where to
    begin, end : first and last run that they are for, for the names of the files

    Returns
    -------
    The files.

    Raises
    ------
    FileError
        if a file cannot be written
    """
    comments = [f"{key}: {value}" for key, value in provenance(made).items()]
    paths = []
    for name, value in made.constants().items():
        to = make_folder(folder / made.detector / name)
        paths.append(to / f"{validity(begin, end)}.data")
        write_text_array(paths[-1], value, f"{made.detector} {name}", *comments)
    return paths


def provenance(made: Pedestals) -> Mapping[str, str]:
    """Return how pedestals were made, as text."""
    runs = ", ".join(str(run) for run in made.runs)
    return {
        "origin": f"dark frames of {made.experiment} run {runs}",
        "how": "makePedestal",
        "tool": f"smalldata_ana {smalldata_ana.__version__}",
        "stages": ", ".join(
            f"{s.name}: {s.frames} frames, {s.rejected} rejected" for s in made.stages
        ),
        "notes": "; ".join(made.notes),
    }
