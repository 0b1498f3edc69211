"""Interactive analysis of LCLS area detectors, and a producer of small data.

The public names are imported when they are first used, so that importing the package
costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"

_HOME = {
    "DetObject": "detector.det_object",
    "DetObjectFunc": "ana_funcs.base",
    "ROIFunc": "ana_funcs.roi",
    "checkDet": "detector.user_data",
    "getUserData": "detector.user_data",
    "getUserEnvData": "detector.user_data",
    "open_run": "opening",
}

__all__ = [
    "DetObject",
    "DetObjectFunc",
    "ROIFunc",
    "checkDet",
    "getUserData",
    "getUserEnvData",
    "open_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make ``%load_ext smalldata_ana`` work in any IPython or Jupyter."""
    from smalldata_ana.session.extension import load

    load(shell)
