"""What options of the command line change of the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smalldata_ana.parameters.entry import SUMS, USUAL_SUMS, Entry
from smalldata_ana.parameters.resolved import Definition, Resolved
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

        A detector that has entries, and no word about sums, has `USUAL_SUMS`.
        """
        found = {
            name: (
                *self._with_sums(run, name, resolved.detectors.get(name, ())),
                *self._added(run, name),
            )
            for name in self._chosen(run, resolved)
        }
        defined = resolved.define_dets
        define_dets = None if defined is None else self._changed(run, defined)
        return replace(resolved, detectors=found, define_dets=define_dets)

    def _chosen(self, run: Run, resolved: Resolved) -> list[str]:
        if self.default:
            return []
        whole = self.full or self.image
        known = [*resolved.detectors, *(run.detectors if whole else ())]
        wanted = known if self.detectors is None else self.detectors
        return list(dict.fromkeys(wanted))

    def _with_sums(
        self, run: Run, detector: str, entries: Sequence[Entry]
    ) -> list[Entry]:
        """Return the entries of a detector with `USUAL_SUMS`, or without sums."""
        if not self.sums:
            return [e for e in entries if e.kind != SUMS]
        usual = [_of_run(run, detector, SUMS, USUAL_SUMS)]
        said = not entries or any(e.kind == SUMS for e in entries)
        return [*entries, *([] if said else usual)]

    def _changed(self, run: Run, defined: Definition) -> Definition | None:
        """Return the detectors that the user's code makes with these options."""
        if self.default:
            return None
        return replace(
            defined,
            only=None if self.detectors is None else tuple(self.detectors),
            sums=self.sums,
            added={name: tuple(self._added(run, name)) for name in run.detectors},
        )

    def _added(self, run: Run, detector: str) -> list[Entry]:
        info = run.detectors.get(detector)
        if info is None:
            return []
        whole = {"ROI": [[0, n] for n in info.shape], "writeArea": True}
        return [
            _of_run(run, detector, kind, values, name)
            for wanted, kind, name, values in (
                (self.full, "roi", "full", whole),
                (self.image, "image", "image", {}),
            )
            if wanted
        ]


def _of_run(
    run: Run, detector: str, kind: str, values: Mapping[str, Any], name: str = ""
) -> Entry:
    runs = RunRange(run.number, run.number)
    return Entry(detector, kind, runs, values, name=name)


ALL = Choices()
"""No options."""


def no_parameters(run: Run, path: Path) -> Resolved:
    """Return empty parameters for a run, where there is no file `path`."""
    nothing: Mapping[str, tuple[Entry, ...]] = {}
    return Resolved(run.number, nothing, path, sha256="", text="")
