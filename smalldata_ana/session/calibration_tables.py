"""Tables of what the commands about calibration found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smalldata_ana.commands import table

if TYPE_CHECKING:
    from smalldata_ana.common_mode_noise import Comparison
    from smalldata_ana.pedestals import Pedestals


def pedestal_table(made: Pedestals) -> str:
    """Return what was found, one line for each gain stage."""
    from smalldata_ana.pedestals import REASONS

    seen = [b for b in REASONS if any(stage.reasons[b] for stage in made.stages)]
    header = ["stage", "events", "lit", "pedestal [ADU]", "noise [ADU]", "bad pixels"]
    rows = [
        [
            stage.name,
            stage.frames,
            stage.rejected,
            f"{stage.pedestal:.1f}",
            f"{stage.noise:.2f}",
            stage.bad,
            *(stage.reasons[bit] for bit in seen),
        ]
        for stage in made.stages
    ]
    lines = table([*header, *(REASONS[bit] for bit in seen)], rows)
    return "\n".join([lines, *(f"note: {note}" for note in made.notes)])


def comparison_table(comparison: Comparison) -> str:
    """Return what corrections do, one line each, and which is recommended."""
    header = ["common mode", "unit", "mean", "noise", "of rows", "of columns", "signal"]
    rows = [
        [
            f"{mode.number} ({mode.text})",
            mode.unit,
            f"{mode.level:.4g}",
            f"{mode.noise:.4g}",
            mode.row_noise,
            mode.column_noise,
            "" if np.isnan(mode.signal) else f"{mode.signal:.0%}",
        ]
        for mode in comparison.modes
    ]
    return "\n".join(
        [
            f"{comparison.title}, {comparison.n_used} events",
            table(header, rows),
            f"recommended: {comparison.recommended}, because {comparison.reason}",
            *(f"note: {note}" for note in comparison.notes),
        ]
    )
