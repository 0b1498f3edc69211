"""Writing a small-data file: rows of results, and how they were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py

from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.errors import FileError
from smalldata_ana.parameters.resolved import Resolved
from smalldata_ana.safe_files import make_folder, replacing
from smalldata_ana.smalldata.columns import Columns
from smalldata_ana.smalldata.configuration import write_configuration
from smalldata_ana.smalldata.layout import Layout


class SmallDataWriter:
    """A small-data file in the making; use it in a ``with`` statement.

    The file is written aside, and takes its place when the statement ends; after an
    error nothing is left of it.

    Parameters
    ----------
    path : the file
    layout : its datasets
    batch : rows that are collected before they are written

    Raises
    ------
    FileError
        if the file cannot be written
    """

    def __init__(self, path: Path, layout: Layout, batch: int = 100) -> None:
        self.path = path
        self.layout = layout
        self._rows: list[Mapping[str, Any]] = []
        self._batch = batch
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            make_folder(self.path.parent)
            try:
                aside = stack.enter_context(replacing(self.path))
                self._file = stack.enter_context(h5py.File(aside, "w"))
            except OSError as error:
                raise FileError(f"cannot write {self.path}: {error}") from error
            self._columns = Columns(self._file)
            for path, field in self.layout.items():
                self._columns.add(path, field)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:
            self._flush()

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row: a value for each dataset of the layout."""
        self._rows.append(row)
        if len(self._rows) == self._batch:
            self._flush()

    def _flush(self) -> None:
        self._columns.extend(self._rows)
        self._rows.clear()

    def write_configuration(
        self, resolved: Resolved, detectors: Iterable[DetObject]
    ) -> None:
        """Record the parameters, and what each detector was calibrated with."""
        write_configuration(self._file, resolved, detectors, {})
