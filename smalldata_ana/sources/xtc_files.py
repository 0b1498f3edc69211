"""Which files belong to a run: streams, their continuations, their offset files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smalldata_ana.errors import RunNotFound, UsageError
from smalldata_ana.sources.datagrams import begins, on_disk

_NAME = re.compile(
    r"^(?P<experiment>\w+)-r(?P<run>\d+)-s(?P<stream>\d+)-c(?P<chunk>\d+)"
    r"\.xtc2(?P<growing>\.inprogress)?$"
)


_FIRST_RECORDER = 80


@dataclass(frozen=True)
class StreamFiles:
    """The files of one stream.

    Attributes
    ----------
    data : its first data file
    offsets : its offset file, or None where there is none
    growing : True if the DAQ is still writing them: they are then called as here
        with ``.inprogress`` (`smalldata_ana.sources.datagrams.on_disk`)
    """

    data: Path
    offsets: Path | None
    growing: bool = False

    @property
    def of_recorder(self) -> bool:
        """True if a recorder writes them: a stream of number 80 or above."""
        match = _NAME.match(self.data.name)
        return match is not None and int(match["stream"]) >= _FIRST_RECORDER


def _stream(given: Path) -> StreamFiles:
    data = given.with_name(given.name.removesuffix(".inprogress"))
    name = data.name.removesuffix(".xtc2") + ".smd.xtc2"
    offsets = data.parent / "smalldata" / name
    # One that was cut off at once, or has just been begun, is of no use.
    usable = on_disk(offsets).is_file() and begins(on_disk(offsets))
    return StreamFiles(data, offsets if usable else None, growing=data != given)


def run_of(data: Path) -> tuple[str, int] | None:
    """Return experiment and run number by a data file's name, None if it has none."""
    match = _NAME.match(data.name)
    return (match["experiment"], int(match["run"])) if match else None


def streams_of_run(
    folders: Sequence[Path], experiment: str, run: int
) -> list[StreamFiles]:
    """Find the streams of a run, in the first folder that has any.

    Raises
    ------
    RunNotFound
        if no folder has the run; it says which runs there are
    """
    seen: set[int] = set()
    for folder in folders:
        first: dict[int, Path] = {}
        for path in sorted(folder.glob(f"{experiment}-r*.xtc2*")):
            match = _NAME.match(path.name)
            if not match:
                continue
            seen.add(int(match["run"]))
            if int(match["run"]) == run and int(match["chunk"]) == 0:
                first.setdefault(int(match["stream"]), path)
        if first:
            return [_stream(first[number]) for number in sorted(first)]
    places = " or ".join(str(folder) for folder in folders)
    if not any(folder.is_dir() for folder in folders):
        raise RunNotFound(
            f"no data of experiment {experiment!r}: there is no folder {places}; "
            "say where they are with --xtc-dir, or name the files with --files"
        )
    there = _runs_text(sorted(seen))
    raise RunNotFound(f"no files of {experiment} run {run} in {places}; {there}")


def _runs_text(runs: Sequence[int]) -> str:
    if not runs:
        return "there are none of any run"
    many = f" ... {runs[-1]}" if len(runs) > 8 else ""
    shown = ", ".join(str(run) for run in runs[:8])
    return f"there {'is run' if len(runs) == 1 else 'are runs'} {shown}{many}"


def streams_of_files(files: Sequence[Path]) -> list[StreamFiles]:
    """Sort files that were named one by one into streams.

    Continuations (``-c001`` and so on) are left out, as their streams lead to them.

    Raises
    ------
    RunNotFound
        if a file does not exist
    UsageError
        if the files are of several runs, or none begins a stream
    """
    if not files:
        raise UsageError("no file was given")
    for path in files:
        if not path.is_file():
            raise RunNotFound(f"there is no file {path}")
    matches = {path: _NAME.match(path.name) for path in files}
    runs = {int(match["run"]) for match in matches.values() if match}
    if len(runs) > 1:
        raise UsageError(
            f"the files are of several runs ({_runs_text(sorted(runs))}); "
            "give the streams of one run"
        )
    firsts = [
        path for path, match in matches.items() if not match or int(match["chunk"]) == 0
    ]
    if not firsts:
        raise UsageError(
            f"{files[0].name} continues another file; give the first one of the "
            "stream, which ends in -c000.xtc2"
        )
    return [_stream(path) for path in firsts]
