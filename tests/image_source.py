"""A source of images for functions that are tested without a run."""

from dataclasses import dataclass, field

import numpy as np

from smalldata_ana.detector.panel_grid import panel_normals
from smalldata_ana.detector.protocol import Kept


@dataclass
class Images:
    """What a function asks of a detector; all that is not given is plain."""

    shape: tuple
    good: np.ndarray = None
    unit: str = "keV"
    noise: np.ndarray | None = None
    positions: object = None
    name: str = "jungfrau1M"
    first: tuple = (0, 0, 0)
    shared: Kept = field(default_factory=Kept)

    def __post_init__(self):
        if self.good is None:
            self.good = np.ones(self.shape, bool)

    @property
    def normals(self):
        return None if self.positions is None else panel_normals(self.positions)


def attached(func, source):
    """Return a function after it was prepared for a source."""
    func.attach(source)
    return func
