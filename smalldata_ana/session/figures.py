"""Windows for figures, or PNG files where there can be no windows."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from smalldata_ana.errors import FileError
from smalldata_ana.safe_files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from smalldata_ana.session.tools.canvas import ToolFigure

_TOOLKITS = {
    "qt": (("PySide6",), ("PyQt6",), ("PyQt5",)),
    "tk": (("tkinter", "_tkinter"),),
}
"""By name the sets of modules of which one has to be there, the best toolkit first."""

_COPY = re.compile(r" \(\d+\)$")
"""What `free_label` appends."""

_MOST_DOTS = 600
"""Pictures of larger detectors would take long to write [dots per inch]."""

_LONGEST = 4200
"""So are pictures with many images [dots]."""


def toolkit(
    environment: Mapping[str, str] | None = None, *, simple_prompt: bool = False
) -> str | None:
    """Return what can open windows, in IPython's words, or None.

    ``$MPLBACKEND`` decides if it is set; otherwise Qt is taken, then Tk, if there is
    a display.

    Parameters
    ----------
    environment : by default that of the process
    simple_prompt : True for a prompt beside which only Tk keeps its windows alive
    """
    environment = os.environ if environment is None else environment
    backend = environment.get("MPLBACKEND")
    if backend:
        from matplotlib.backends.registry import backend_registry

        gui: str | None = backend_registry.resolve_backend(backend)[1]
        return gui
    if sys.platform == "darwin":
        return "osx"
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        return None
    there = [name for name, sets in _TOOLKITS.items() if any(map(_all_found, sets))]
    if simple_prompt:
        there.sort(key=lambda name: name != "tk")
    return there[0] if there else None


def _all_found(modules: Iterable[str]) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


def free_label(label: str) -> str:
    """Return a label for a new figure: this one, or with a number if it is taken."""
    import matplotlib.pyplot as plt

    labels = plt.get_figlabels()
    more = (f"{label} ({number})" for number in itertools.count(2))
    names = itertools.chain([label], more)
    return next(name for name in names if name not in labels)


def has_window(figure: Figure) -> bool:
    """Tell whether somebody sees a figure; of others a picture file is written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return type(figure.canvas) is not FigureCanvasAgg


def redraw(figure: Figure) -> None:
    """Show soon what has changed: in its window, or in its picture file."""
    if has_window(figure):
        figure.canvas.draw_idle()
    else:
        # What was drawn would count as unchanged when the files are written.
        figure.stale = True


class PictureFiles:
    """Writes figures to PNG files, each again when it has changed.

    Parameters
    ----------
    folder : returns where they go; asked for each figure
    stem : returns the begin of their names
    """

    def __init__(self, folder: Callable[[], Path], stem: Callable[[], str]) -> None:
        self._folder = folder
        self._stem = stem
        self._paths: WeakKeyDictionary[Figure, Path] = WeakKeyDictionary()
        self._active = False
        self._latest: dict[str, Figure] = {}

    def activate(self) -> None:
        """Let Matplotlib draw without windows."""
        # All of pyplot first: matplotlib.use fails while another thread imports it.
        import matplotlib.pyplot as plt

        plt.switch_backend("agg")
        # Interactive mode would draw figures before they are looked at here, and
        # what is drawn counts as unchanged.
        plt.ioff()
        self._active = True

    def write(self, *_: object) -> None:
        """Write all figures that are new or changed, and print their paths."""
        if "matplotlib.pyplot" not in sys.modules:
            return
        import matplotlib.pyplot as plt

        if not plt.get_fignums():
            return
        current = plt.gcf()
        for number in plt.get_fignums():
            figure = plt.figure(number)
            if figure.stale and any(map(_has_something, figure.axes)):
                self._write(figure)
        plt.figure(current)

    def only_latest(self, kind: str, ax: Axes) -> None:
        """Close the earlier figure of a kind where nobody sees it, and a script waits.

        Parameters
        ----------
        kind : what both show
        ax : axes of the new one
        """
        import matplotlib.pyplot as plt

        # Other backends without windows show figures in a notebook.
        if plt.get_backend().lower() == "agg" and kind in self._latest:
            if self._active:
                self.write()
            plt.close(self._latest[kind])
        self._latest[kind] = cast("Figure", ax.figure)

    def write_now(self, figure: ToolFigure) -> None:
        """Write the picture that a question is about, if it has no window."""
        if not figure.has_window:
            self.write()

    def _write(self, figure: Figure) -> None:
        if figure not in self._paths:
            self._paths[figure] = self._new_path(figure)
        path = self._paths[figure]
        try:
            with replacing(path) as aside:
                figure.savefig(aside, dpi=_resolution(figure))
        except FileError as error:
            print(f"the figure cannot be saved: {error}", file=sys.stderr)
            return
        figure.stale = False
        print(f"no window: the figure is in {path}")

    def _new_path(self, figure: Figure) -> Path:
        label = _COPY.sub("", str(figure.get_label()))
        name = re.sub(r"[^\w.+-]+", "_", label).strip("_")
        stem = f"{self._stem()}_{name or 'figure'}"
        folder = self._folder()
        more = (f"{stem}_{number}" for number in itertools.count(2))
        paths = (folder / f"{name}.png" for name in itertools.chain([stem], more))
        return next(path for path in paths if not path.exists())


def _has_something(ax: Axes) -> bool:
    """Tell whether anything was drawn in axes."""
    return ax.has_data() or bool(ax.texts)


def _resolution(figure: Figure) -> float:
    """Return dots per inch with which each pixel of its images has one, if possible."""
    figure.draw_without_rendering()
    scale = 1.0
    for image in (image for ax in figure.axes for image in ax.images):
        rows, columns = image.get_size()
        extent = image.get_window_extent()
        scale = max(scale, rows / extent.height, columns / extent.width)
    most = min(_MOST_DOTS, _LONGEST / float(max(figure.get_size_inches())))
    return max(figure.dpi, min(figure.dpi * scale, most))
