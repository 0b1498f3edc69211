"""The events of a run: all its streams together, any event by number, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from smalldata_ana.errors import counted, listing
from smalldata_ana.sources.datagrams import Service, on_disk
from smalldata_ana.sources.event_table import EventTable, together
from smalldata_ana.sources.stream_index import StreamIndex, Transition


class EventIndex:
    """The events of a run: all streams together, numbered by time.

    An event counts also where its data are lost, as long as some stream tells of it:
    that it is incomplete is then seen in `EventTable.contributed`.

    Parameters
    ----------
    streams : the streams, which are scanned here
    growing : True while the run is being taken: an event then counts only when all
        streams have come past it, so that its number and its parts never change

    Attributes
    ----------
    events : all events of the run
    broken_off : True if it was not finished when it was stopped
    """

    def __init__(self, streams: Sequence[StreamIndex], growing: bool = False) -> None:
        self.streams = streams
        self.growing = growing
        self.broken_off = False
        self._left_out = 0
        self.events = EventTable(0, np.zeros(0, np.uint64), np.zeros(0, np.int64), ())
        self.refresh()

    def refresh(self) -> int:
        """Look for events that were added since; return how many there are new."""
        before = len(self.events)
        for stream in self.streams:
            stream.scan()
        timestamps = together(stream.events.timestamps for stream in self.streams)
        known = len(timestamps)
        if self.unfinished or self.broken_off:
            limit = min(stream.on_disk_until for stream in self.streams)
            timestamps = timestamps[timestamps <= np.uint64(limit)]
        self._left_out = known - len(timestamps)
        begins = np.unique([t.timestamp for t in self.transitions(Service.BEGIN_STEP)])
        steps = np.searchsorted(begins.astype(np.uint64), timestamps, side="right") - 1
        streams = tuple(stream.events for stream in self.streams)
        self.events = EventTable(0, timestamps, steps.astype(np.int64), streams)
        return len(timestamps) - before

    @property
    def unfinished(self) -> bool:
        """True while the run is being taken and its end has not been seen."""
        return self.growing and not all(stream.finished for stream in self.streams)

    @property
    def size(self) -> int:
        """Bytes of all files on disk: as long as it grows, the run is being taken."""
        return sum(stream.size for stream in self.streams)

    def stop(self) -> None:
        """Follow a run that is being taken no longer.

        Those events are left out that not all streams have come past, as more of them
        may be there when the run is opened again.
        """
        if self.unfinished:
            self.growing, self.broken_off = False, True
            self.refresh()

    def transitions(self, *services: Service) -> Iterator[Transition]:
        """Yield the transitions of these kinds, stream after stream."""
        for stream in self.streams:
            yield from (t for t in stream.transitions if t.service in services)

    def problems(self) -> list[str]:
        """Say what is missing on disk, a sentence each; of a growing run, nothing."""
        if self.unfinished:
            return []
        if self.broken_off:
            return [self._not_finished()]
        found = []
        ended = any(stream.ended for stream in self.streams)
        for stream in self.streams:
            of_stream = stream.problems()
            if ended and not stream.ended and not of_stream:
                last = stream.offset_file or stream.files[-1]
                of_stream.append(
                    f"{last.name} ends before the run does: the end of stream "
                    f"{stream.number} is lost"
                )
            found += of_stream
        return found

    def _not_finished(self) -> str:
        names = listing(on_disk(stream.files[-1]).name for stream in self.streams)
        ended = any(stream.ended for stream in self.streams)
        left_out = f"; left out, as not whole: {counted(self._left_out, 'event')}"
        return (
            f"the run was not finished when it had {counted(len(self.events), 'event')}"
            f": its last files are {names}"
            + ("" if ended else ", and no end of the run was seen")
            + (left_out if self._left_out else "")
        )
