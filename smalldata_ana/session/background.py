"""Work that goes on while the prompt is already there."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Background(Generic[T]):
    """The result of a function that runs in a thread of its own.

    The thread does not keep the process from ending.

    Parameters
    ----------
    work : the function; it starts at once
    name : of the thread, for debugging
    """

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._future: Future[T] = Future()
        self._work = work
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            result = self._work()
        except BaseException as error:  # handed to whoever asks for the result
            self._future.set_exception(error)
        else:
            self._future.set_result(result)

    @property
    def succeeded(self) -> bool:
        """Tell whether the result is there."""
        return self._future.done() and self._future.exception() is None

    def result(self, timeout: float | None = None) -> T:
        """Wait for the function and return its result, or raise its error.

        Parameters
        ----------
        timeout : longest wait [s], or None for any time

        Raises
        ------
        TimeoutError
            if it takes longer; it goes on all the same
        """
        return self._future.result(timeout)


def preload(modules: Iterable[str]) -> None:
    """Import modules that a later command needs; one that cannot be is left to it."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            _log.debug("%s cannot be loaded ahead: %s", module, error)
