"""A look at the first data of a detector, after which its results are described."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing

import numpy as np

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.producing.executors import under_mpi
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.events import Event

logger = logging.getLogger(__name__)


def see_first(run: Run, detector: DetObject, *, own_code: bool) -> None:
    """Let the functions of a detector see its first data.

    Parameters
    ----------
    run : the run
    detector : with its functions
    own_code : True if a function may be a user's; should it kill its process, then not
        this one: another one tries it
    """
    there = np.flatnonzero(run.contributed(detector.detname))
    if not there.size:
        return
    first = Event(run, int(there[0]))
    # Over MPI, processes must not be forked, and a killed one ends the job anyway.
    if own_code and not under_mpi() and not _survived(detector, first):
        logger.warning(
            "a function of %s killed its process on event %d",
            detector.name,
            first.number_in_run,
        )
        return
    _see(detector, first)


def _see(detector: DetObject, first: Event) -> None:
    detector.getData(first)
    detector.processFuncs(lambda name, error: None)
    detector.forget()


def _survived(detector: DetObject, first: Event) -> bool:
    """Tell whether a copy of this process outlives an event."""
    copy = multiprocessing.get_context("fork").Process(
        target=_see_quietly, args=(detector, first)
    )
    copy.start()
    copy.join()
    return copy.exitcode == 0


def _see_quietly(detector: DetObject, first: Event) -> None:
    """See an event; an error will be told by the parent, which has it, too."""
    with contextlib.suppress(Exception):
        _see(detector, first)
