"""`RoiTool`: choose a region of a detector."""

from __future__ import annotations

import itertools
import math
from typing import Any

from smalldata_ana.ana_funcs.regions import Region, boxes_within, region
from smalldata_ana.errors import DetectorNotFound, UsageError, unknown
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.provenance import made
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.tools.base import Tool


class RoiTool(Tool[Region]):
    """A region that is being chosen; nothing is taken before `accept`.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    detector : name of an area detector of the run
    ROI : the region: a box ``[[p0, p1], [r0, r1], [c0, c1]]`` of half-open pairs in
        raw indices, or a list of boxes
    average : the average image that it is chosen on, or None

    Raises
    ------
    DetectorNotFound
        if the run has no such area detector
    ParameterError
        if the region makes no sense, or does not lie in the detector
    """

    def __init__(
        self,
        session: Any,
        detector: str,
        ROI: Region | None = None,
        average: Any = None,
    ) -> None:
        run = session.run
        if detector not in run.detectors:
            where = f"{run.experiment} run {run.number}"
            raise DetectorNotFound(
                unknown("area detector", detector, run.detectors, where)
            )
        self.session = session
        self.detector = detector
        self.average = average
        super().__init__(None if ROI is None else self.checked(ROI))

    def checked(self, value: Region) -> Region:
        """Return the region with all axes of the detector, checked against it."""
        shape = self.session.run.detectors[self.detector].shape
        return region(boxes_within(region(value), shape, self.detector))

    def accept(self, name: str | None = None) -> Entry:
        """Take the region: it becomes an entry that `exportParams` will write.

        Parameters
        ----------
        name : what its results will be called; by default the first free of
            ``ROI_0``, ``ROI_1``, …

        Raises
        ------
        UsageError
            if no region is chosen
        ParameterError
            if the name cannot be one
        """
        if self.value is None:
            raise UsageError("no region is chosen; set .value, or give ROI=…")
        run = self.session.run.number
        entry = Entry(
            detector=self.detector,
            kind="roi",
            runs=RunRange(run),
            values={"ROI": self.value},
            name=name or self._free_name(),
            made=made(
                "SelectRegion",
                run=run,
                image=getattr(self.average, "name", None),
                events=getattr(self.average, "n_used", None),
            ),
        )
        entry.make()
        pending = self.session.pending
        key = (entry.path, entry.name)
        pending[:] = [e for e in pending if (e.path, e.name) != key]
        pending.append(entry)
        return entry

    def _free_name(self) -> str:
        """Return the first name that neither this session nor the file has."""
        entries = list(self.session.pending)
        places = self.session.places
        if places.params.exists():
            entries += ParameterFile.load(places.params, places.experiment).entries
        taken = {e.name for e in entries if e.detector == self.detector}
        return next(n for i in itertools.count() if (n := f"ROI_{i}") not in taken)

    def __repr__(self) -> str:
        if self.value is None:
            return f"<RoiTool: {self.detector}, no region>"
        shape = self.session.run.detectors[self.detector].shape
        boxes = boxes_within(self.value, shape, self.detector)
        pixels = sum(math.prod(e - b for b, e in box) for box in boxes)
        return f"<RoiTool: {self.detector}, ROI={self.value}, {pixels} pixels>"
