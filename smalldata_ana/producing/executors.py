"""Where batches are worked on: this process, processes of this machine, or MPI."""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import forkserver
from multiprocessing.connection import wait
from typing import Any, ParamSpec, TypeVar

from smalldata_ana.producing.interruption import EXIT_CODES, leave_signals_to_parent

P = ParamSpec("P")
T = TypeVar("T")

_PRELOAD = ("smalldata_ana.producing.preloaded",)
_SINGLE = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
"""Workers are the parallel part: within one, nothing else is."""

_SHORT_FOLDER = "/tmp"
_LONGEST_FOLDER = 64
"""Names below it need about 40 bytes."""

_WORLD = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS")


class SerialExecutor(Executor):
    """An executor that does the work when it is submitted, in this process."""

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Call a function, and return its result or error as a future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def under_mpi() -> bool:
    """Tell whether this is ``python -m mpi4py.futures`` with more than one process."""
    futures = (
        "mpi4py.futures" in sys.modules or "mpi4py.futures.__main__" in sys.modules
    )
    return futures and any(int(os.environ.get(name, "1")) > 1 for name in _WORLD)


def end_mpi_in_order() -> None:
    """Let a job over MPI that fails end as any other, with its exit code.

    `mpi4py` would abort it, of which MPI tells in 15 lines of its own.
    """
    if "mpi4py.MPI" in sys.modules:
        from mpi4py import MPI

        atexit.register(MPI.Finalize)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


class Workers:
    """The processes of a job, which can be begun anew when one of them has died.

    Parameters
    ----------
    number : how many; None: one for each core, or those that MPI gives
    """

    def __init__(self, number: int | None = None) -> None:
        self.mpi = under_mpi()
        self.number = self._mpi_workers() if self.mpi else number or cores()
        self.executor = self._begin()

    @property
    def here(self) -> bool:
        """True if the work is done in this process."""
        return isinstance(self.executor, SerialExecutor)

    def restart(self) -> None:
        """Replace all processes, after one of them has died."""
        self.kill()
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self._begin()

    def kill(self) -> None:
        """End the processes at once, over MPI also this one, whatever they do."""
        if self.mpi:
            from mpi4py import MPI

            MPI.COMM_WORLD.Abort(EXIT_CODES[signal.SIGINT])
        # An executor would end them with the signal that they leave to the parent.
        for process in multiprocessing.active_children():
            process.kill()

    def close(self) -> None:
        """Wait for the processes to end."""
        self.executor.shutdown(wait=True, cancel_futures=True)

    def _begin(self) -> Executor:
        if self.mpi:
            from mpi4py.futures import MPIPoolExecutor

            return MPIPoolExecutor(initializer=_be_a_worker).bootup(wait=False)
        if self.number == 1:
            return SerialExecutor()
        for name, value in _SINGLE.items():
            os.environ.setdefault(name, value)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_PRELOAD))
        # Its server imports what workers need while this process makes its plan.
        with _short_temporary_folder():
            forkserver.ensure_running()
        return ProcessPoolExecutor(
            self.number, mp_context=context, initializer=_be_a_child
        )

    @staticmethod
    def _mpi_workers() -> int:
        from mpi4py import MPI

        return max(1, int(MPI.COMM_WORLD.Get_size()) - 1)


@contextlib.contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Let sockets be made where their path is short enough for the system.

    A path of more than 107 bytes cannot be that of a socket; the temporary folders of
    batch systems come near it.
    """
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_FOLDER:
        tempfile.tempdir = _SHORT_FOLDER
    try:
        yield
    finally:
        tempfile.tempdir = before


def _be_a_worker() -> None:
    """Leave signals, and what is to be told, to the parent."""
    leave_signals_to_parent()
    # The parent has told it; here it would come once more per worker.
    logging.getLogger("smalldata_ana").setLevel(logging.ERROR)


def _be_a_child() -> None:
    """Be a worker that ends when its parent does."""
    _be_a_worker()
    parent: Any = multiprocessing.parent_process()
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when another has ended, even if that was killed."""
    wait([sentinel])
    os._exit(1)
