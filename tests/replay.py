"""A run that is being taken, bit by bit, as a test wants it."""

from __future__ import annotations

from pathlib import Path

from smalldata_ana.simulation.run_writer import SimulatedRun
from smalldata_ana.sources.datagrams import Datagram, unfinished, whole_datagrams


class Replay:
    """Shows the files of a run that was written as the data acquisition does.

    Parameters
    ----------
    made : the run; its first stream has all events
    folder : where it is shown
    """

    def __init__(self, made: SimulatedRun, folder: Path) -> None:
        self.folder = folder
        self._files = {
            path: folder / path.relative_to(made.xtc_dir)
            for path in sorted(made.xtc_dir.rglob("*.xtc2"))
        }
        self._times = [time for _, time in _events(made.files[0])]

    def until(self, event: int, streams: str = "", begun: int = 0) -> None:
        """Show what comes before an event.

        Parameters
        ----------
        event : its number
        streams : only of the streams whose names have this
        begun : how many bytes of the event itself are there
        """
        for path, shown in self._of(streams):
            later = (d for d, time in _events(path) if time >= self._times[event])
            content = path.read_bytes()[: next(later).offset + begun]
            shown.parent.mkdir(parents=True, exist_ok=True)
            with unfinished(shown).open("ab") as file:
                file.write(content[file.tell() :])

    def end(self, streams: str = "") -> None:
        """Show all, and that it is finished."""
        for path, shown in self._of(streams):
            shown.parent.mkdir(parents=True, exist_ok=True)
            with unfinished(shown).open("ab") as file:
                file.write(path.read_bytes()[file.tell() :])
            unfinished(shown).rename(shown)

    def _of(self, streams: str) -> list[tuple[Path, Path]]:
        return [(p, shown) for p, shown in self._files.items() if streams in p.name]


def _events(path: Path) -> list[tuple[Datagram, int]]:
    """Return the events of a file with their timestamps."""
    content = path.read_bytes()
    with path.open("rb") as file:
        events = [d for d in whole_datagrams(file) if d.service.is_event]
    at = [slice(d.offset, d.offset + 8) for d in events]
    return [
        (d, int.from_bytes(content[s], "little"))
        for d, s in zip(events, at, strict=True)
    ]
