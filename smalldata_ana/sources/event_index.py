"""The events of a run: all its streams together, any event by number, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from smalldata_ana.sources.datagrams import Service
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
    """

    def __init__(self, streams: Sequence[StreamIndex], growing: bool = False) -> None:
        self.streams = streams
        self.growing = growing
        self.events = EventTable(0, np.zeros(0, np.uint64), np.zeros(0, np.int64), ())
        self.refresh()

    def refresh(self) -> int:
        """Look for events that were added since; return how many there are new."""
        before = len(self.events)
        for stream in self.streams:
            stream.scan()
        timestamps = together(stream.events.timestamps for stream in self.streams)
        if self.unfinished:
            limit = min(stream.on_disk_until for stream in self.streams)
            timestamps = timestamps[timestamps <= np.uint64(limit)]
        begins = np.unique([t.timestamp for t in self.transitions(Service.BEGIN_STEP)])
        steps = np.searchsorted(begins.astype(np.uint64), timestamps, side="right") - 1
        streams = tuple(stream.events for stream in self.streams)
        self.events = EventTable(0, timestamps, steps.astype(np.int64), streams)
        return len(timestamps) - before

    @property
    def unfinished(self) -> bool:
        """True while the run is being taken and its end has not been seen."""
        return self.growing and not all(stream.finished for stream in self.streams)

    def transitions(self, *services: Service) -> Iterator[Transition]:
        """Yield the transitions of these kinds, stream after stream."""
        for stream in self.streams:
            yield from (t for t in stream.transitions if t.service in services)

    def problems(self) -> list[str]:
        """Say what is missing on disk, a sentence each; of a growing run, nothing."""
        if self.unfinished:
            return []
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
