"""`Regions`: the regions of interest of a session and of its parameter file."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from smalldata_ana.ana_funcs.regions import Box, Region, boxes_within
from smalldata_ana.commands import table
from smalldata_ana.errors import NameNotFound, SmallDataError, UsageError, unknown
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.provenance import made
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.known_entries import written_entries

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from smalldata_ana.average_image import AverageImage
    from smalldata_ana.session.tools.outlines import Line

KIND = "roi"
COLOUR = "white"
_COLUMNS = ("name", "detector", "ROI", "runs", "where")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownRegion:
    """A region that was accepted in this session, or stands in the parameter file.

    Attributes
    ----------
    entry : its entry
    exported : True if it stands in the file
    """

    entry: Entry
    exported: bool

    @property
    def name(self) -> str:
        """What its results are called."""
        return self.entry.name

    @property
    def value(self) -> Region | None:
        """The boxes in raw indices; None for the whole detector."""
        value: Region | None = self.entry.values.get("ROI")
        return value

    def boxes(self, shape: tuple[int, ...]) -> list[Box]:
        """Return its boxes in frames of a shape, as `boxes_within`."""
        return boxes_within(self.value, shape, self.entry.detector)

    def __str__(self) -> str:
        where = "file" if self.exported else "this session, not exported"
        return f"{self.name!r} of {self.entry.detector!r}, ROI={self.value} ({where})"

    def row(self) -> tuple[str, ...]:
        """Return it as a row of a table."""
        entry = self.entry
        where = "parameter file" if self.exported else "not exported yet"
        return self.name, entry.detector, str(self.value), str(entry.runs), where


@dataclass(frozen=True)
class _Command:
    """A command by its text."""

    text: str

    def scripted(self) -> str:
        return self.text


def known_regions(session: Any, detector: str | None = None) -> list[KnownRegion]:
    """Return the regions that the run has: those of the file, then the session's own.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    detector : only of this detector
    """
    pending = {(e.path, e.name): e for e in session.pending if e.kind == KIND}
    known = [
        KnownRegion(entry, True)
        for entry in _exported(session)
        if (entry.path, entry.name) not in pending
    ]
    known += [KnownRegion(entry, False) for entry in pending.values() if entry.enabled]
    return [k for k in known if detector in (None, k.entry.detector)]


def _exported(session: Any) -> list[Entry]:
    """Return the regions of the parameter file that apply to the run."""
    return [e for e in written_entries(session) if e.kind == KIND and "ROI" in e.values]


class Regions:
    """The regions of interest: accepted in this session, and those of the file.

    ``anaps.ROIs['ROI_0']`` is one of them; they can be renamed, removed and shown.

    Parameters
    ----------
    session : the session: its run, places, images and pending entries
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def rename(self, old: str, new: str, detname: str | None = None) -> None:
        """Give a region another name.

        One of the parameter file stays there for the runs before this one; from this
        run on, the next `exportParams` switches it off and writes it by its new name.

        Parameters
        ----------
        old, new : the names
        detname : of which detector, where several have a region of that name

        Raises
        ------
        NameNotFound
            if there is none
        UsageError
            if the new name is taken, several detectors have the old one, or a function
            is chained to it
        ParameterError
            if the new name cannot be one
        """
        region = self._find(old, detname)
        entry = region.entry
        taken = known_regions(self._session, entry.detector)
        if new in [known.name for known in taken]:
            raise UsageError(f"{entry.detector!r} has a region {new!r} already")
        how = f"ROIs.rename({old!r}, {new!r}, {entry.detector!r})"
        renamed = dataclasses.replace(entry, name=new, line=None, automatic=False)
        if region.exported:
            renamed = self._from_now(renamed, how)
        renamed.make()
        with self._step(how):
            self._take_away(region, how)
            self._session.take(renamed, _Command(f"anaps.{how}"))

    def remove(self, name: str, detname: str | None = None) -> None:
        """Take a region away.

        One of the parameter file stays there for the runs before this one; the next
        `exportParams` switches it off from this run on.

        Parameters
        ----------
        name, detname : which, as in `rename`

        Raises
        ------
        NameNotFound
            if there is none
        UsageError
            if several detectors have it, or a function is chained to it
        """
        region = self._find(name, detname)
        how = f"ROIs.remove({name!r}, {region.entry.detector!r})"
        with self._step(how):
            self._take_away(region, how)
        print(f"taken away: {region.entry}{self._still_to_write(region)}")

    def _still_to_write(self, region: KnownRegion) -> str:
        """Say what is to be done so that the file no longer has a region."""
        entry, pending = region.entry, self._session.pending
        key = (entry.path, entry.name)
        if any((e.path, e.name) == key and not e.enabled for e in pending):
            return "; anaps.exportParams() switches it off in the parameter file"
        return ""

    @contextlib.contextmanager
    def _step(self, how: str) -> Iterator[None]:
        """Record what is done if it succeeds; else nothing has changed."""
        pending = list(self._session.pending)
        try:
            with self._session.record.step(f"anaps.{how}"):
                yield
        except SmallDataError:
            self._session.pending[:] = pending
            raise

    def _take_away(self, region: KnownRegion, how: str) -> None:
        """Forget a region, and switch off what the file has of its name."""
        entry, session = region.entry, self._session
        key = (entry.path, entry.name)
        session.pending[:] = [e for e in session.pending if (e.path, e.name) != key]
        for old in _exported(session):
            if (old.path, old.name) == key:
                off = dataclasses.replace(old, enabled=False, line=None)
                session.take(self._from_now(off, how), _Command(f"anaps.{how}"))

    def _from_now(self, entry: Entry, how: str) -> Entry:
        run = self._session.run.number
        return dataclasses.replace(entry, runs=RunRange(run), made=made(how, run=run))

    def show(self, detname: str | None = None) -> Axes:
        """Show the regions over the latest average image of a detector.

        Parameters
        ----------
        detname : which detector; by default that of the latest image
        """
        axes: Axes = self._session.plotAvImage(detname, regions=True)
        return axes

    def _find(self, name: str, detname: str | None = None) -> KnownRegion:
        known = known_regions(self._session, detname)
        found = [region for region in known if region.name == name]
        if not found:
            names = list(dict.fromkeys(region.name for region in known))
            raise NameNotFound(unknown("region", name, names, detname or ""))
        if len(found) > 1:
            detectors = ", ".join(repr(region.entry.detector) for region in found)
            raise UsageError(f"which {name!r}? {detectors} have one; give detname=…")
        return found[0]

    def __getitem__(self, name: str) -> KnownRegion:
        return self._find(name)

    def __iter__(self) -> Iterator[KnownRegion]:
        return iter(known_regions(self._session))

    def __len__(self) -> int:
        return len(known_regions(self._session))

    def __contains__(self, name: object) -> bool:
        return name in [region.name for region in self]

    def _ipython_key_completions_(self) -> list[str]:
        return [region.name for region in self]

    def __repr__(self) -> str:
        rows = [region.row() for region in self]
        return table(_COLUMNS, rows) if rows else "no regions yet: SelectRegion()"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in region.row())
            + "</tr>"
            for region in self
        )
        return f"<table><tr>{head}</tr>{rows}</table>"


def region_outlines(session: Any, average: AverageImage) -> dict[str, list[Line]]:
    """Return by name the lines around the regions of a detector, on its image.

    A region that does not lie in the detector is logged and left out.

    Parameters
    ----------
    session : as for `known_regions`
    average : the image
    """
    from smalldata_ana.session.tools.outlines import region_lines

    outlines: dict[str, list[Line]] = {}
    for known in known_regions(session, average.detector):
        try:
            boxes = known.boxes(average.shape)
        except SmallDataError as error:
            _log.warning("the region %r is not shown: %s", known.name, error)
        else:
            outlines[known.name] = region_lines(average.geometry, boxes)
    return outlines


def draw_regions(session: Any, ax: Axes, average: AverageImage) -> None:
    """Draw the regions of a detector, with their names, over its image.

    Parameters
    ----------
    session, average : as for `region_outlines`
    ax : axes of the image
    """
    from smalldata_ana.session.tools.outlines import draw_lines

    for name, lines in region_outlines(session, average).items():
        draw_lines(ax, lines, COLOUR, name)
