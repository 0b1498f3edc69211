"""What a session knows: its run, its places, its images, and who is there to ask."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import smalldata_ana.pipeline  # noqa: F401 (it knows all that parameters may hold)
from smalldata_ana.errors import DetectorNotFound, NoDataError, unknown
from smalldata_ana.places import Places, places
from smalldata_ana.session.accepted import Accepted
from smalldata_ana.session.arguments import check_arguments
from smalldata_ana.session.background import Background
from smalldata_ana.session.known_entries import all_written
from smalldata_ana.session.name_clashes import check_beside
from smalldata_ana.session.open_tools import OpenTools
from smalldata_ana.session.preferences import Display
from smalldata_ana.session.prompts import choose
from smalldata_ana.session.record import Record, record_commands

if TYPE_CHECKING:
    from smalldata_ana.detector.det_object import DetObject
    from smalldata_ana.parameters.entry import Entry
    from smalldata_ana.session.figures import PictureFiles
    from smalldata_ana.session.images import Images
    from smalldata_ana.session.tools.base import Scripted
    from smalldata_ana.sources.base import DetectorInfo, Run, ScalarInfo

_log = logging.getLogger(__name__)


class SessionState:
    """The state that all commands of the session share.

    Parameters
    ----------
    run : the open run, or one that is being opened in the background
    places_of : returns the places of an experiment
    display : how images are shown
    interactive : True where questions may be asked
    files : those of the run, where they were given one by one

    Attributes
    ----------
    display : how images are shown
    interactive : True where questions may be asked
    files : as they were given
    pending : what was accepted in tools and is not exported yet
    accepted : what is remembered of all that was accepted
    tools : what was chosen in tools, and is perhaps not accepted
    record : what was done
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Check and record the commands that a subclass adds."""
        super().__init_subclass__(**options)
        check_arguments(cls)
        record_commands(cls)

    def __init__(
        self,
        run: Run | Background[Run],
        *,
        places_of: Callable[[str], Places] = places,
        display: Display | None = None,
        interactive: bool = False,
        files: Sequence[str] = (),
    ) -> None:
        self._opening = run
        self._places_of = places_of
        self._last_detector: str | None = None
        self._suggested: set[str] = set()
        self._warned: set[str] = set()
        self.display = Display() if display is None else display
        self.interactive = interactive
        self.files = tuple(files)
        self.pending: list[Entry] = []
        self.accepted = Accepted()
        self.tools = OpenTools()
        self.record = Record()

    @property
    def last_detector(self) -> str | None:
        """The detector that was named or chosen last, or None."""
        return self._last_detector

    @property
    def run(self) -> Run:
        """The run; waits until it is open."""
        if isinstance(self._opening, Background):
            return self._opening.result()
        return self._opening

    @property
    def is_open(self) -> bool:
        """Tell whether the run is there already."""
        return not isinstance(self._opening, Background) or self._opening.succeeded

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the run is open, as `Background.result` waits."""
        if isinstance(self._opening, Background):
            self._opening.result(timeout)

    def close(self) -> None:
        """Close the run, if it was opened."""
        if self.is_open:
            self.run.close()

    def take(self, entry: Entry, tool: Scripted) -> None:
        """Keep what a tool accepted until it is exported.

        Parameters
        ----------
        entry : what was accepted; it replaces a pending one of the same kind and name
        tool : what it was chosen with

        Raises
        ------
        UsageError
            if it cannot be exported beside the others, for instance as another kind
            has its name; nothing has changed then
        """
        written = all_written(self)
        place = (entry.path, entry.name)
        others = [e for e in self.pending if (e.path, e.name) != place]
        check_beside(entry, others, written)
        self.pending[:] = [*others, entry]
        self.accepted.note(entry, written)
        self.tools.accepted(tool, entry)
        self.record.took(entry, tool)

    def warn_once(self, text: str) -> None:
        """Log a warning, unless that was done before."""
        if text not in self._warned:
            self._warned.add(text)
            _log.warning("%s", text)

    def file_stem(self) -> str:
        """Return the begin of the names of files about this run."""
        return f"{self.run.experiment}_Run{self.run.number:04d}"

    @functools.cached_property
    def places(self) -> Places:
        """Where the experiment keeps its files."""
        return self._places_of(self.run.experiment)

    @functools.cached_property
    def pictures(self) -> PictureFiles:
        """What writes figures to files where there are no windows."""
        from smalldata_ana.session.figures import PictureFiles
        from smalldata_ana.session.output_folder import output_folder

        return PictureFiles(
            lambda: output_folder(self.places, self.places.images), self.file_stem
        )

    @functools.cached_property
    def images(self) -> Images:
        """The average images of this session by name, e.g. AvImg_pedSub_epix100."""
        from smalldata_ana.session.images import Images

        return Images()

    @functools.cached_property
    def det_objects(self) -> dict[str, DetObject]:
        """The detectors that were made so far by name, with their functions."""
        return {}

    @functools.cached_property
    def selections(self) -> Mapping[str, npt.NDArray[np.bool_]]:
        """Boolean arrays over the run's events by name: xon, xoff, on, off.

        They come from the event codes.  Any name can be given as ``useFilter=``.
        """
        from smalldata_ana.sources.light_status import selections

        return selections(self.run)

    @property
    def detectors(self) -> Mapping[str, DetectorInfo]:
        """The area detectors of the run by name: type, shape, panels."""
        return self.run.detectors

    @property
    def scalars(self) -> Mapping[str, ScalarInfo]:
        """What there is per event beside the area detectors: shape and unit by name."""
        return self.run.scalars

    def title(self) -> str:
        """Return experiment and run as people say them."""
        return f"{self.run.experiment} run {self.run.number}"

    def pick_detector(self, detname: str | None) -> str:
        """Return the name of an area detector; ask for it where there are several.

        Parameters
        ----------
        detname : its name, or None (or the text 'None') to take the only one, or ask

        Raises
        ------
        DetectorNotFound
            if the run has no such detector
        UsageError
            if there are several, none is named, and nobody can be asked
        """
        names = list(self.run.detectors)
        if detname not in (None, "None"):
            if detname not in names:
                raise DetectorNotFound(
                    unknown("area detector", str(detname), names, self.title())
                )
        elif names:
            detname = choose(
                "area detector",
                names,
                default=self._last_detector,
                ask=self.interactive,
            )
        else:
            raise NoDataError(f"{self.title()} has no area detector")
        self._last_detector = detname
        return str(detname)
