"""Pedestals, noise and pixel status from dark runs."""

from smalldata_ana.pedestals.deploying import deploy, export_text, usual_begin
from smalldata_ana.pedestals.making import Pedestals, StageResult, make_pedestals
from smalldata_ana.pedestals.status import REASONS, Status

__all__ = [
    "REASONS",
    "Pedestals",
    "StageResult",
    "Status",
    "deploy",
    "export_text",
    "make_pedestals",
    "usual_begin",
]
