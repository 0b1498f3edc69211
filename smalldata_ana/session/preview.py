"""`anaps.preview()`: what the producer would make of the session's parameters."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from smalldata_ana.detector.mask_entries import stored
from smalldata_ana.errors import ParameterError, counted
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.producing.choices import Choices, no_parameters
from smalldata_ana.producing.preview import Preview, preview
from smalldata_ana.session.preview_plots import plot_preview

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SessionPreview(Preview):
    """A `Preview` that can be plotted."""

    @classmethod
    def of(cls, found: Preview) -> Self:
        """Return the same, with its plots."""
        return cls(
            **{field.name: getattr(found, field.name) for field in fields(found)}
        )

    def show(self) -> Figure:
        """Plot the first results: curves, and numbers against the event."""
        return plot_preview(self)


def preview_of(
    session: Any,
    events: int,
    choices: Choices,
    functions: str | os.PathLike[str] | None,
    cores: int | None,
) -> SessionPreview:
    """Let the producer work on some events of the session's run.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    events : how many
    choices : options that change the parameters
    functions : a Python file with own functions, or None
    cores : worker processes of the production, or None for all cores

    Raises
    ------
    ParameterError
        if the parameters do not fit the run: all problems at once, one a line
    FileError
        if there is no parameter file, and nothing was accepted
    """
    for name, number in (("n", events), ("nproc", 1 if cores is None else cores)):
        if number < 1:
            raise ParameterError(f"preview: {name} = {number} is not a number above 0")
    from smalldata_ana.own_functions import load_functions

    code = None if functions is None else load_functions(Path(functions).expanduser())
    with _resolved(session, choices) as resolved:
        found = preview(
            session.run,
            replace(resolved, functions=code),
            choices,
            events=events,
            cores=cores,
            notes=not_exported(session),
        )
    return SessionPreview.of(found)


def not_exported(session: Any) -> list[str]:
    """Say what the producer will not know unless it is exported.

    Parameters
    ----------
    session : the session with its pending entries
    """
    if not session.pending:
        return []
    number = counted(len(session.pending), "entry is", "entries are")
    which = ", ".join(map(str, session.pending))
    return [
        f"{number} not exported yet: {which}; anaps.exportParams() hands them to the "
        "producer"
    ]


@contextlib.contextmanager
def _resolved(session: Any, choices: Choices) -> Iterator[Resolved]:
    """Give the parameters of the session's run, with what is not exported yet."""
    run, path = session.run, session.places.params
    if not path.exists() and not session.pending and choices.need_no_parameters:
        yield no_parameters(run, path)
        return
    if path.exists() or not session.pending:
        file = ParameterFile.load(path, run.experiment)
    else:
        file = ParameterFile(path, run.experiment, (), "")
    with tempfile.TemporaryDirectory(prefix="smalldata_ana_") as folder:
        pending = [_in_folder(e, Path(folder), run.number) for e in session.pending]
        together = replace(file, entries=(*file.entries, *pending))
        yield together.resolve(run.number)


def _in_folder(entry: Entry, folder: Path, run: int) -> Entry:
    """Return an entry as it would be exported, its array in a folder of its own."""
    written = replace(stored(entry, folder), runs=RunRange(run))
    if written is entry or entry.array is None:
        return written
    there = {"file": str(folder / written.values["file"])}
    return replace(written, values={**written.values, **there})
