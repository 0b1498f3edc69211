"""Was there light: X-rays and optical laser of each event, from its timing data.

A code is either one that requests light (it is sent with every shot that is meant to
have it) or one that drops it (it is sent instead, or beside, when a shot is taken
away).  A drop code vetoes; otherwise there is light if a request code is present, or
if no request codes are listed.  Where a beam can be sent to several places, X-rays are
there only if the electrons were sent to the right one.  Without timing data nothing is
known.  Which codes mean what is in `smalldata_ana.sources.light_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from smalldata_ana.sources.base import Array, Indices, Run
from smalldata_ana.sources.light_rules import Codes, LightRule, rule_of_hutch

Status = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]

SELECTIONS: Mapping[str, tuple[int, int | None]] = {
    "xon": (1, None),
    "xoff": (0, None),
    "on": (1, 1),
    "off": (1, 0),
}
"""The selections by light: status of the X-rays, and of the laser (None: any)."""

DESTINATION = "timing/destination"
"""The scalar that says where the electrons of a shot were sent."""


@dataclass(frozen=True)
class LightStatus:
    """Light of each event: 1 on, 0 off, -1 not known.

    Attributes
    ----------
    xray, laser : int8, (events,)
    states : of further lights by name, the same
    """

    xray: Status
    laser: Status
    states: Mapping[str, Status] = field(default_factory=dict)


def light_of(
    run: Run, events: Indices | None = None, rule: LightRule | None = None
) -> LightStatus:
    """Tell which events of a run had light.

    Parameters
    ----------
    run : the run
    events : numbers of events; default: all
    rule : what the timing data mean; default: `rule_of_hutch`
    """
    rule = rule or rule_of_hutch(run)
    told = rule.destination is not None and DESTINATION in run.scalars
    destinations = run.scalar(DESTINATION, events) if told else None
    return light_status(run.event_codes(events), rule, destinations)


def light_status(
    codes: npt.NDArray[np.int8], rule: LightRule, destinations: Array | None = None
) -> LightStatus:
    """Tell from the timing data which events had light.

    Parameters
    ----------
    codes : (events, codes) as `Run.event_codes` returns them; a code that the table
        has no column for is not present
    rule : what they mean
    destinations : (events,) where the electrons were sent; without it, X-rays are not
        known if the rule asks for a destination
    """
    known = codes.max(axis=1, initial=-1) >= 0
    status = {
        name: _status(codes, known, wanted) for name, wanted in rule.lights.items()
    }
    xray, laser = status.pop("xray"), status.pop("laser")
    return LightStatus(_sent(xray, rule.destination, destinations), laser, status)


def _status(codes: npt.NDArray[np.int8], known: Mask, wanted: Codes) -> Status:
    on = ~_present(codes, wanted.drop)
    if wanted.request:
        on &= _present(codes, wanted.request)
    return np.where(known, on, -1).astype(np.int8)


def _sent(xray: Status, wanted: int | None, destinations: Array | None) -> Status:
    """Return the status of the X-rays, off where the electrons went elsewhere."""
    if wanted is None:
        return xray
    if destinations is None:
        return np.full_like(xray, -1)
    there = np.where(destinations == wanted, xray, 0)
    return np.where((xray < 0) | ~np.isfinite(destinations), -1, there).astype(np.int8)


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
            status = light_of(self._run, rule=self._rule)
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
    rule : what its event codes mean; default: `rule_of_hutch`
    """
    rule = rule or rule_of_hutch(run)
    return LightSelections(run, rule)
