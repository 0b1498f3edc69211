"""Entries of the parameter file for the common mode of a detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traitlets import Dict, Float, Int, List, TraitError, Unicode, Union, validate

from smalldata_ana.detector.common_mode_inputs import split
from smalldata_ana.detector.common_mode_table import COMMON_MODES, any_parameters
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import Parameters, register


@register("common_mode")
class CommonModeParameters(Parameters):
    """How a detector is calibrated.

    The kind of the detector is known with the run only: what no kind has is refused.
    """

    common_mode = Union(
        [Int(), List(Union([Int(), Float()]), minlen=1), Dict(key_trait=Unicode())],
        help="number of the common mode, or psana's parameters as a list, for instance "
        "[7, 2, 100, 10]; -1 is raw, 0 pedestal and gain; a table where the number "
        "needs more: { number = 81, region = [[0, 100], [0, 512]] }, or "
        '{ number = 180, ghost = "file.h5" }',
    ).tag(required=True)

    @validate("common_mode")
    def _is_of_a_kind(self, proposal: Mapping[str, Any]) -> Any:
        try:
            _check(split(proposal["value"])[0])
        except ParameterError as error:
            raise TraitError(str(error)) from error
        return proposal["value"]


def _check(number: Any) -> None:
    """Check that some kind of detector has a common mode."""
    if isinstance(number, list | tuple):
        any_parameters(tuple(number))
        return
    known = sorted({n for modes in COMMON_MODES.values() for n in modes})
    if isinstance(number, bool) or number not in known:
        raise ParameterError(
            f"no kind of detector has the common mode {number!r}; there are "
            f"{', '.join(map(str, known))}"
        )
