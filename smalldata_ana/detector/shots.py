"""What is known of the light of an event when it is added to sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from smalldata_ana.sources.events import Event
from smalldata_ana.sources.light_status import light_of

_ON = {0: False, 1: True}
"""Light by its status; a status of -1 is not known."""


@dataclass(frozen=True)
class Shot:
    """What decides which sums an event belongs to.

    Attributes
    ----------
    number : of the event in its run
    dropped : True if its X-rays were dropped; None: not known
    laser : True if the optical laser was on; None: not known
    """

    number: int
    dropped: bool | None = None
    laser: bool | None = None

    def with_codes_of(self, event: Event) -> Self:
        """Fill in what is not known, as far as the event codes tell it.

        Parameters
        ----------
        event : this one
        """
        light = light_of(event.run, np.array([event.number]))
        xray, laser = _ON.get(int(light.xray[0])), _ON.get(int(light.laser[0]))
        unlit = None if xray is None else not xray
        return replace(
            self,
            dropped=unlit if self.dropped is None else self.dropped,
            laser=laser if self.laser is None else self.laser,
        )
