"""Distance, centre and tilt of a detector from the rings of a calibrant; no plots."""

from smalldata_ana.geometry_refinement.calibrants import calibrants
from smalldata_ana.geometry_refinement.refining import refine_geometry
from smalldata_ana.geometry_refinement.results import RefinedGeometry, RefinedRing

__all__ = ["RefinedGeometry", "RefinedRing", "calibrants", "refine_geometry"]
