"""Cutting a run into batches.

Where batches begin depends on the run and the parameters only, never on the number of
workers, on timing, or on how often a job was killed: floating-point sums are then equal
to the last bit, however a file was made.
"""

from __future__ import annotations

from dataclasses import dataclass

RAW_BYTES = 128 << 20
"""Raw data of a batch, about: seconds of work, so that little is lost with it."""

SUMS_FACTOR = 10
"""How much more a batch reads than it writes sums, so that these do not count."""

MOST_EVENTS = 2000
"""Events of a batch at most, however small they are."""


ROW_BYTES = 128 << 20
"""Results of a batch at most, because a worker collects them."""


@dataclass(frozen=True, order=True)
class Batch:
    """Some consecutive events of a run, which one worker turns into one part.

    Attributes
    ----------
    number : of the batch in the run
    begin, end : numbers of its first event, and of the one behind its last
    """

    number: int
    begin: int
    end: int

    def __str__(self) -> str:
        return f"batch {self.number} (events {self.begin} to {self.end - 1})"

    def __len__(self) -> int:
        return self.end - self.begin


def batch_size(event_bytes: int, sums_bytes: int, row_bytes: int = 0) -> int:
    """Return how many events a batch has.

    Parameters
    ----------
    event_bytes : raw data of an event that the detectors read
    sums_bytes : what a part holds of sums, whatever the number of its events
    row_bytes : results of an event, as far as their size is known
    """
    wanted = max(RAW_BYTES, SUMS_FACTOR * sums_bytes)
    most = min(MOST_EVENTS, most_events(row_bytes))
    return max(1, min(most, wanted // max(1, event_bytes)))


def most_events(row_bytes: int) -> int:
    """Return how many events a batch can have, for its results to fit into memory.

    Parameters
    ----------
    row_bytes : results of an event, as far as their size is known
    """
    return max(1, ROW_BYTES // max(1, row_bytes))


def cut(events: int, size: int) -> list[Batch]:
    """Return the batches of the first events of a run.

    Parameters
    ----------
    events : how many
    size : of a batch
    """
    begins = range(0, events, size)
    return [Batch(k, b, min(b + size, events)) for k, b in enumerate(begins)]
