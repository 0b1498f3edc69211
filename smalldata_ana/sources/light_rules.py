"""Which event codes mean light: by hutch, DAQ generation and range of runs.

A rule of a user replaces that of the table; `parse_rules` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from smalldata_ana.errors import ParameterError, unknown
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import hutch_of
from smalldata_ana.sources.base import Run

GENERATIONS = ("LCLS-I", "LCLS-II")
"""Generations of the data acquisition."""

CODES_OF_LCLS_I = 256
"""Number of event codes there, at most."""

SOFT_XRAYS = 4
"""The destination of electrons that make soft X-rays (``SC_SXR``)."""

_LIGHTS = ("xray", "laser")


@dataclass(frozen=True)
class Codes:
    """The event codes that tell of one kind of light.

    Attributes
    ----------
    request : sent with every shot that is meant to have it
    drop : sent with every shot from which it was taken away
    """

    request: tuple[int, ...] = ()
    drop: tuple[int, ...] = ()

    @classmethod
    def signed(cls, codes: Iterable[int]) -> Self:
        """Make them from users' lists: drop codes are positive, requests negative."""
        codes = tuple(codes)
        return cls(
            request=tuple(-code for code in codes if code < 0),
            drop=tuple(code for code in codes if code > 0),
        )

    @property
    def all(self) -> tuple[int, ...]:
        """Requests and drops."""
        return self.request + self.drop


@dataclass(frozen=True)
class LightRule:
    """Which event codes mean light, and which mean that it was taken away.

    Attributes
    ----------
    xray, laser : codes for the X-rays and for the optical laser
    destination : where the electrons must have been sent for X-rays; None: anywhere
    states : codes of further lights by name, for instance of a second laser
    """

    xray: Codes = Codes()
    laser: Codes = Codes()
    destination: int | None = None
    states: Mapping[str, Codes] = field(default_factory=dict)

    @classmethod
    def signed(cls, xray: Iterable[int], laser: Iterable[int]) -> Self:
        """Make a rule from users' lists: drop codes are positive, requests negative."""
        return cls(Codes.signed(xray), Codes.signed(laser))

    @property
    def lights(self) -> Mapping[str, Codes]:
        """The codes of each light by its name, X-rays and laser first."""
        return {"xray": self.xray, "laser": self.laser, **self.states}


@dataclass(frozen=True)
class _Row:
    """A line of the table: for which experiments and runs a rule is."""

    experiments: str
    generations: tuple[str, ...]
    runs: RunRange
    rule: LightRule


_EVERY = RunRange(0)

GENERIC = LightRule.signed(xray=[162], laser=[91])
"""For a hutch that the table does not have."""

TABLE = (
    _Row("xpp", GENERATIONS, _EVERY, LightRule.signed([162, -137], [91])),
    _Row("xcs", GENERATIONS, _EVERY, LightRule.signed([-137], [89])),
    _Row("mfx", ("LCLS-I",), _EVERY, LightRule.signed([-137], [204])),
    _Row("mfx", ("LCLS-II",), _EVERY, LightRule.signed([-137], [-203])),
    _Row("cxi", GENERATIONS, _EVERY, LightRule.signed([-137], [184])),
    _Row("mec", GENERATIONS, _EVERY, LightRule.signed([-137], [-182])),
    _Row(
        "rix",
        GENERATIONS,
        _EVERY,
        replace(LightRule.signed([], [273]), destination=SOFT_XRAYS),
    ),
    _Row("tmo", GENERATIONS, _EVERY, LightRule.signed([162], [91])),
    _Row("ued", GENERATIONS, _EVERY, LightRule.signed([162], [91])),
)
"""The rules by begin of the experiment's name; the longest one that fits is taken."""


def generation_of(run: Run) -> str:
    """Return the generation of the data acquisition that a run is from.

    The number of its event codes tells: at LCLS-I a code is one byte.
    """
    codes = run.event_codes(np.arange(0)).shape[1]
    return "LCLS-I" if codes <= CODES_OF_LCLS_I else "LCLS-II"


def rule_of_hutch(run: Run) -> LightRule:
    """Return the rule for a run where no user says one; see `rule_for`."""
    return rule_for(run.experiment, run.number, generation_of(run))


def rule_for(experiment: str, run_number: int, generation: str) -> LightRule:
    """Return the rule for a run; `GENERIC` where the table has none.

    Parameters
    ----------
    experiment, run_number : the run
    generation : of the data acquisition, one of `GENERATIONS`

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


@dataclass(frozen=True)
class RunsRule:
    """A rule of a user, and for which runs it is."""

    runs: RunRange
    rule: LightRule


def parse_rules(given: Any) -> tuple[RunsRule, ...]:
    """Read what users write of the light, in any of its forms.

    Parameters
    ----------
    given : ``[[X-ray codes], [laser codes]]``; or a table
        ``{ xray = [162], laser = [91], states = { laser2 = [-92] } }``, in which
        ``destination`` may say where the electrons must go; or a list of such
        tables, each with its ``runs``.  Positive codes drop the light, negative ones
        request it.

    Raises
    ------
    ParameterError
        if it is none of these, or a code is not a whole number other than 0
    """
    many = isinstance(given, list | tuple) and all(
        isinstance(g, Mapping) for g in given
    )
    return tuple(_parse_table(table) for table in (given if many else [given]))


def rule_of(rules: Sequence[RunsRule], run_number: int) -> LightRule | None:
    """Return the rule for a run, or None if none of them is for it.

    The largest begin wins; of equal begins the later in the list.
    """
    best = None
    for each in rules:
        if run_number in each.runs and (
            best is None or each.runs.begin >= best.runs.begin
        ):
            best = each
    return None if best is None else best.rule


def parse_rule(given: Any) -> LightRule:
    """Read one rule: two lists, or a table without ``runs``; see `parse_rules`.

    Raises
    ------
    ParameterError
        if it is not a rule
    """
    if isinstance(given, Mapping):
        return _rule_in(given)
    pair = isinstance(given, list | tuple) and len(given) == len(_LIGHTS)
    if not pair:
        raise _not_a_rule(given)
    xray, laser = (_parse_codes(codes, given) for codes in given)
    return LightRule(xray, laser)


def _parse_table(given: Any) -> RunsRule:
    if not isinstance(given, Mapping):
        return RunsRule(_EVERY, parse_rule(given))
    rest = {key: value for key, value in given.items() if key != "runs"}
    return RunsRule(RunRange.parse(given.get("runs", "0-")), _rule_in(rest))


def _rule_in(table: Mapping[str, Any]) -> LightRule:
    known = (*_LIGHTS, "destination", "states", "runs")
    for key in table:
        if key not in known:
            raise ParameterError(unknown("key", key, known, "light_status"))
    for key in _LIGHTS:
        if key not in table:
            raise ParameterError(
                f"light_status lacks {key!r}; an empty list means that it is always on"
            )
    destination = table.get("destination")
    if destination is not None and not _is_whole(destination):
        raise ParameterError(
            f"the destination of light_status is a whole number, not {destination!r}"
        )
    return LightRule(
        xray=_parse_codes(table["xray"], table),
        laser=_parse_codes(table["laser"], table),
        destination=destination,
        states=_parse_states(table.get("states", {}), table),
    )


def _parse_states(states: Any, table: Mapping[str, Any]) -> dict[str, Codes]:
    if not isinstance(states, Mapping) or not all(map(_is_state, states)):
        raise ParameterError(
            "the states of light_status are a table of further lights by name, such "
            f"as {{ laser2 = [-92] }}, not {states!r}"
        )
    return {name: _parse_codes(codes, table) for name, codes in states.items()}


def _parse_codes(codes: Any, given: Any) -> Codes:
    if not isinstance(codes, list | tuple) or not all(map(_is_code, codes)):
        raise _not_a_rule(given)
    return Codes.signed(codes)


def _is_state(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier() and name not in _LIGHTS


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_code(value: Any) -> bool:
    return _is_whole(value) and value != 0


def _not_a_rule(given: Any) -> ParameterError:
    return ParameterError(
        "light status codes are [[X-ray codes], [laser codes]], positive for "
        "dropped light, negative for requested light, or a table such as "
        f"{{ xray = [162], laser = [91] }}, not {given!r}"
    )
