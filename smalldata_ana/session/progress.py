"""A bar on stderr for work that takes longer than a moment."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self

DELAY = 0.2
"""Work that is done sooner shows no bar [s]."""


class Progress:
    """A bar that a function of the core moves: call it with done and total.

    Used as a context, it takes its bar away at the end.  There is none where stderr
    is neither a terminal nor a notebook's.

    Parameters
    ----------
    what : what goes on, in front of the bar
    unit : what is counted
    """

    def __init__(self, what: str, unit: str = "events") -> None:
        self._what = what
        self._unit = unit
        self._bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Show that so many of so many are done.

        Told the same again, the bar shows that the work goes on.
        """
        if self._bar is None:
            self._bar = self._new(total)
        step = done - self._bar.n
        if done == total:
            self._bar.set_description_str(f"{self._what}, finishing", refresh=False)
        self._bar.total = total
        self._bar.update(step)
        if not step:
            self._bar.refresh()

    def _new(self, total: int) -> Any:
        from tqdm.auto import tqdm

        return tqdm(
            desc=self._what,
            total=total,
            unit=f" {self._unit}",
            delay=DELAY,
            leave=False,
            disable=not (sys.stderr.isatty() or _in_notebook()),
            file=sys.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _in_notebook() -> bool:
    """Tell whether this is the process of a notebook, not one that only knows them."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
