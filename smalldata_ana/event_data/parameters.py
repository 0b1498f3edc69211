"""The table ``[event]`` of the parameter file."""

from __future__ import annotations

from typing import Any

from traitlets import Float, List, TraitType, Tuple, Unicode, Union

from smalldata_ana.parameters.model import Parameters, register_table
from smalldata_ana.sources.light_rules import parse_rules


class LightStatusTrait(TraitType[Any, Any]):
    """What event codes mean light; see `smalldata_ana.sources.light_rules`."""

    allow_none = True
    default_value = None

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value as it is given, if it can be read."""
        parse_rules(value)
        return value


def _names(help: str) -> Any:
    """Return a trait of names of EPICS values."""
    return List(Union([Unicode(), Tuple(Unicode(), Unicode())]), help=help)


@register_table("event")
class EventParameters(Parameters):
    """What is stored of each event beside the results of area detectors."""

    has_results = False

    light_status = LightStatusTrait(
        help="event codes of X-rays and laser, [[162, -137], [91]]: positive for "
        "dropped light, negative for requested light; or a table { xray = [-137], "
        "laser = [91], states = { laser2 = [-92] } }, or several tables, each with "
        "its runs; default: the codes of the hutch"
    )
    epics = _names(
        "EPICS values stored for each event, beside the usual ones of the hutch: "
        "the name in the run, the process variable, or [process variable, name]",
    )
    epics_once = _names(
        "EPICS values stored once, as they are at the run's first event",
    )
    ttCalib = List(  # noqa: N815  (upstream's name)
        Float(),
        default_value=None,
        allow_none=True,
        minlen=2,
        help="polynomial that gives the arrival time [ps] from the time tool's "
        "position [pixel], constant first; default: the arrival time that the time "
        "tool tells",
    )
    timetool = Unicode(
        help="the detector of the time tool, or what its EPICS names begin with; "
        "default: the first one found"
    )
    arrays = List(
        Unicode(),
        help="values stored for each event although they are long arrays, by their "
        "names in the run, such as 'feespec/hproj'",
    )
    integrating = List(
        Unicode(),
        help="detectors that integrate over several events; the other data are summed "
        "between theirs",
    )
