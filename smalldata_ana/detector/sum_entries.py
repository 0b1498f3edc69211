"""Entries of the parameter file for the sums that a producer stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traitlets import List, TraitError, Unicode, validate

from smalldata_ana.detector.sums import SumAlgorithm
from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.model import Parameters, register


@register("sums")
class SumsParameters(Parameters):
    """Which sums of a detector's images are stored."""

    sums = List(
        Unicode(),
        help="keys as `smalldata_ana.detector.sums` describes them, for instance "
        '["calib", "calib_thresADU2.5_square"]',
    ).tag(required=True)

    @validate("sums")
    def _each_is_known(self, proposal: Mapping[str, Any]) -> Any:
        for key in proposal["value"]:
            try:
                SumAlgorithm.of(key)
            except ParameterError as error:
                raise TraitError(str(error)) from error
        return proposal["value"]
