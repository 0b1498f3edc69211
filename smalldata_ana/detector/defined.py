"""Detectors that ``define_dets`` makes: a function in a user's ``prod_config``.

It is called with the number of the run, and returns a list of `DetObject`:

    def define_dets(run):
        det = DetObject("epix100", ds.env(), run)
        det.addFunc(BrightPixels())
        return [det]

``ds`` is there, whatever the file imports.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.user_code import DEFINE_DETS, CodeFile, user_code
from smalldata_ana.sources.base import Run


class _DataSource:
    """What scripts get detectors from."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def env(self) -> Run:
        """Return what `DetObject` and `checkDet` take."""
        return self._run


def defined_detectors(code: CodeFile, run: Run) -> list[DetObject]:
    """Return the detectors that the function ``define_dets`` of a file makes.

    Parameters
    ----------
    code : the file
    run : the run

    Raises
    ------
    UserCodeError
        if its code fails
    ParameterError
        if it returns something else
    """
    define = code.execute({"ds": _DataSource(run)})[DEFINE_DETS]
    with user_code(code.path):
        found = define(run.number)
    problem = _problem(found, run)
    if problem:
        raise ParameterError(f"{code.path}: {DEFINE_DETS}({run.number}) {problem}")
    return list(found)


def _problem(found: Any, run: Run) -> str:
    if not isinstance(found, list | tuple):
        return f"returns {found!r}, not a list of DetObject"
    for one in found:
        if not isinstance(one, DetObject):
            return f"returns {one!r} in its list, which is no DetObject"
        if one.run is not run:
            return f"returns {one!r}, which is of another run; make it with ds.env()"
    twice = [name for name, n in Counter(d.name for d in found).items() if n > 1]
    return f"returns {twice[0]!r} twice; give one another name" if twice else ""
