"""What options of the command line change of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from smalldata_ana.errors import DetectorNotFound, unknown
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.sources.base import Run


@dataclass(frozen=True)
class Choices:
    """Options that add to the parameters of a run, or take away from them.

    Attributes
    ----------
    detectors : only these, or None for all
    default : True for no area detectors at all
    full : True to store each calibrated image, as ``full_area``
    image : True to store each assembled image, as ``image_img``
    epics_all : True to store all EPICS values of each event
    sums : False to store no sums
    """

    detectors: list[str] | None = None
    default: bool = False
    full: bool = False
    image: bool = False
    epics_all: bool = False
    sums: bool = True

    @property
    def need_no_parameters(self) -> bool:
        """True if there is something to do without a parameter file."""
        return self.default or self.full or self.image

    def applied(self, run: Run, resolved: Resolved) -> Resolved:
        """Return the parameters with these options.

        Raises
        ------
        DetectorNotFound
            if an option names a detector that neither parameters nor run have
        """
        found: dict[str, tuple[Entry, ...]] = {}
        for name in self._chosen(run, resolved):
            entries = resolved.detectors.get(name, ())
            kept = [e for e in entries if self.sums or e.kind != "sums"]
            found[name] = (*kept, *self._added(run, name))
        define_dets = None if self.default else resolved.define_dets
        return replace(resolved, detectors=found, define_dets=define_dets)

    def _chosen(self, run: Run, resolved: Resolved) -> list[str]:
        if self.default:
            return []
        whole = self.full or self.image
        known = [*resolved.detectors, *(run.detectors if whole else ())]
        for name in self.detectors or ():
            if name not in {*known, *run.detectors}:
                where = f"{run.experiment} run {run.number}"
                there = dict.fromkeys([*known, *run.detectors])
                raise DetectorNotFound(unknown("area detector", name, there, where))
        wanted = known if self.detectors is None else self.detectors
        return list(dict.fromkeys(wanted))

    def _added(self, run: Run, detector: str) -> list[Entry]:
        info = run.detectors.get(detector)
        if info is None:
            return []
        runs = RunRange(run.number, run.number)
        whole = {"ROI": [[0, n] for n in info.shape], "writeArea": True}
        return [
            Entry(detector, kind, runs, values, name=name)
            for wanted, kind, name, values in (
                (self.full, "roi", "full", whole),
                (self.image, "image", "image", {}),
            )
            if wanted
        ]


ALL = Choices()
"""No options."""


def no_parameters(run: Run, path: Path) -> Resolved:
    """Return empty parameters for a run, where there is no file `path`."""
    nothing: Mapping[str, tuple[Entry, ...]] = {}
    return Resolved(run.number, nothing, path, sha256="", text="")
