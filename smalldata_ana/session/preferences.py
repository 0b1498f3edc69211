"""What users may set in ``smalldata_ana_config.py``, beside the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traitlets import Bool, TraitError, Tuple, Unicode, validate
from traitlets.config import Configurable

from smalldata_ana.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.colors import Colormap


def colour_map(name: str) -> Colormap:
    """Return one of Matplotlib's colour maps.

    Raises
    ------
    ParameterError
        if there is none of that name
    """
    from matplotlib import colormaps

    if name not in colormaps:
        raise ParameterError(
            f"Matplotlib has no colour map {name!r}; take, for instance, 'viridis', "
            f"'inferno', 'gray' or 'RdBu_r'.{did_you_mean(name, colormaps)}"
        )
    return colormaps[name]


class Display(Configurable):
    """How images are shown."""

    # Without types of its elements: with them, traitlets cannot read a tuple from the
    # command line.
    limits = Tuple(default_value=(5.0, 99.5), help="colour limits [percentiles]").tag(
        config=True
    )
    cmap = Unicode("viridis", help="Matplotlib colour map").tag(config=True)
    use_mask = Bool(False, help="show only good pixels").tag(config=True)

    @validate("limits")
    def _growing(self, proposal: dict[str, Any]) -> tuple[float, float]:
        match proposal["value"]:
            case (int() | float() as low, int() | float() as high) if (
                0 <= low < high <= 100
            ):
                return float(low), float(high)
        raise TraitError(
            "Display.limits is two growing percentiles from 0 to 100, not "
            f"{proposal['value']}"
        )

    @validate("cmap")
    def _known(self, proposal: dict[str, Any]) -> str:
        try:
            colour_map(proposal["value"])
        except ParameterError as error:
            raise TraitError(f"Display.cmap: {error}") from error
        return str(proposal["value"])
