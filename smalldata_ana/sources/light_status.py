"""Was there light: X-rays and optical laser of each event, from its event codes.

A code is either one that requests light (it is sent with every shot that is meant to
have it) or one that drops it (it is sent instead, or beside, when a shot is taken
away).  A drop code vetoes; otherwise there is light if a request code is present, or
if no request codes are listed.  Without timing data nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import hutch_of
from smalldata_ana.sources.base import Run

Status = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]

GENERATIONS = ("LCLS-I", "LCLS-II")
"""Generations of the data acquisition."""

SELECTIONS: Mapping[str, tuple[int, int | None]] = {
    "xon": (1, None),
    "xoff": (0, None),
    "on": (1, 1),
    "off": (1, 0),
}
"""The selections by light: status of the X-rays, and of the laser (None: any)."""


@dataclass(frozen=True)
class LightRule:
    """Which event codes mean light, and which mean that it was taken away.

    Attributes
    ----------
    xray_request, xray_drop : codes for the X-rays
    laser_request, laser_drop : codes for the optical laser
    """

    xray_request: tuple[int, ...] = ()
    xray_drop: tuple[int, ...] = ()
    laser_request: tuple[int, ...] = ()
    laser_drop: tuple[int, ...] = ()

    @classmethod
    def signed(cls, xray: Iterable[int], laser: Iterable[int]) -> Self:
        """Make a rule from users' lists: drop codes are positive, requests negative."""
        xray, laser = tuple(xray), tuple(laser)
        return cls(_requests(xray), _drops(xray), _requests(laser), _drops(laser))


def _requests(codes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-code for code in codes if code < 0)


def _drops(codes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(code for code in codes if code > 0)


@dataclass(frozen=True)
class LightStatus:
    """Light of each event: 1 on, 0 off, -1 not known.

    Attributes
    ----------
    xray, laser : int8, (events,)
    """

    xray: Status
    laser: Status


GENERIC = LightRule.signed(xray=[162], laser=[91])
"""For a hutch that the table does not have."""


@dataclass(frozen=True)
class _Row:
    """A line of the table: for which experiments and runs a rule is."""

    experiments: str
    generations: tuple[str, ...]
    runs: RunRange
    rule: LightRule


_EVERY = RunRange(0)

TABLE = (
    _Row("xpp", GENERATIONS, _EVERY, LightRule.signed([162, -137], [91])),
    _Row("xcs", GENERATIONS, _EVERY, LightRule.signed([-137], [89])),
    _Row("mfx", ("LCLS-I",), _EVERY, LightRule.signed([-137], [204])),
    _Row("mfx", ("LCLS-II",), _EVERY, LightRule.signed([-137], [-203])),
    _Row("cxi", GENERATIONS, _EVERY, LightRule.signed([-137], [184])),
    _Row("mec", GENERATIONS, _EVERY, LightRule.signed([-137], [-182])),
    # Whether X-rays come to rix is told by the destination of the electrons.
    _Row("rix", GENERATIONS, _EVERY, LightRule.signed([], [273])),
)
"""The rules by begin of the experiment's name; the longest one that fits is taken."""


def rule_for(
    experiment: str, run_number: int, generation: str = "LCLS-II"
) -> LightRule:
    """Return the rule for a run; `GENERIC` where the table has none.

    Raises
    ------
    ExperimentNotFound
        if the text cannot be the name of an experiment
    ParameterError
        if the generation is not one of `GENERATIONS`
    """
    hutch_of(experiment)
    if generation not in GENERATIONS:
        raise ParameterError(unknown("DAQ generation", generation, GENERATIONS))
    fitting = [
        row
        for row in TABLE
        if experiment.startswith(row.experiments)
        and generation in row.generations
        and run_number in row.runs
    ]
    if not fitting:
        return GENERIC
    return max(fitting, key=lambda row: len(row.experiments)).rule


def parse_rule(codes: Sequence[Sequence[int]]) -> LightRule:
    """Read a rule as users write it: ``[[X-ray codes], [laser codes]]``.

    Parameters
    ----------
    codes : positive codes drop the light, negative ones request it,
        e.g. ``[[162, -137], [91]]``

    Raises
    ------
    ParameterError
        if these are not two lists of whole numbers other than 0
    """
    pair = isinstance(codes, list | tuple) and len(codes) == 2
    if not pair or not all(_are_codes(each) for each in codes):
        raise ParameterError(
            "light status codes are [[X-ray codes], [laser codes]], positive for "
            f"dropped light, negative for requested light, not {codes!r}"
        )
    return LightRule.signed(*codes)


def _are_codes(codes: object) -> bool:
    return isinstance(codes, list | tuple) and all(
        isinstance(code, int) and not isinstance(code, bool) and code != 0
        for code in codes
    )


def light_status(codes: npt.NDArray[np.int8], rule: LightRule) -> LightStatus:
    """Tell from the event codes which events had light.

    Parameters
    ----------
    codes : (events, codes) as `Run.event_codes` returns them; a code that the table
        has no column for is not present
    rule : what the codes mean
    """
    known = codes.max(axis=1, initial=-1) >= 0
    return LightStatus(
        xray=_status(codes, known, rule.xray_request, rule.xray_drop),
        laser=_status(codes, known, rule.laser_request, rule.laser_drop),
    )


def _status(
    codes: npt.NDArray[np.int8],
    known: Mask,
    requests: tuple[int, ...],
    drops: tuple[int, ...],
) -> Status:
    on = ~_present(codes, drops)
    if requests:
        on &= _present(codes, requests)
    return np.where(known, on, -1).astype(np.int8)


def _present(codes: npt.NDArray[np.int8], wanted: tuple[int, ...]) -> Mask:
    """Tell for each event whether one of some codes is there."""
    columns = [code for code in wanted if code < codes.shape[1]]
    return np.asarray((codes[:, columns] == 1).any(axis=1))


class LightSelections(Mapping[str, Mask]):
    """The selections by light of a run; made with `selections`.

    They are computed when the first of them is asked for, and again when the run has
    become longer.
    """

    def __init__(self, run: Run, rule: LightRule) -> None:
        self._run = run
        self._rule = rule
        self._length = -1
        self._masks: Mapping[str, Mask] = {}

    def __getitem__(self, name: str) -> Mask:
        return self._computed()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._computed())

    def __len__(self) -> int:
        return len(self._computed())

    def _computed(self) -> Mapping[str, Mask]:
        if self._length != len(self._run):
            status = light_status(self._run.event_codes(), self._rule)
            self._masks = _masks(status)
            self._length = len(status.xray)
        return self._masks


def _masks(status: LightStatus) -> dict[str, Mask]:
    if (status.xray == -1).all():
        return {}
    masks = {}
    for name, (xray, laser) in SELECTIONS.items():
        mask = status.xray == xray
        if laser is not None:
            mask &= status.laser == laser
        mask.flags.writeable = False
        masks[name] = mask
    return masks


def selections(run: Run, rule: LightRule | None = None) -> Mapping[str, Mask]:
    """Return the selections by light of a run, each (events,), True where it holds.

    ``xon``, ``xoff``: X-rays on, off; ``on``, ``off``: X-rays on, and the laser on,
    off.  There are none for a run without timing data.

    Parameters
    ----------
    run : the run
    rule : what its event codes mean; default: `rule_for` the run
    """
    rule = rule or rule_for(run.experiment, run.number)
    return LightSelections(run, rule)
