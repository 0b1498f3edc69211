"""The beam centre from rings of a picture, or from points on them; no plots."""

from smalldata_ana.beam_center.azimuth import CenterShift, center_from_azimuth
from smalldata_ana.beam_center.circles import fit_circle, fit_circle_threshold
from smalldata_ana.beam_center.finding import find_center
from smalldata_ana.beam_center.results import CenterFit, Ring
from smalldata_ana.beam_center.rings import glow_radius
from smalldata_ana.beam_center.support import Support

__all__ = [
    "CenterFit",
    "CenterShift",
    "Ring",
    "Support",
    "center_from_azimuth",
    "find_center",
    "fit_circle",
    "fit_circle_threshold",
    "glow_radius",
]
