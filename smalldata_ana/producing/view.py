"""A file that shows the finished parts of a job while it goes on.

It has the names of the file that there will be, as virtual datasets, and is replaced
as a whole when there are more parts; at the end the file itself takes its place.  Sums
and results of the kind ``ragged_`` are in the final file only.  A complete file of an
earlier job is kept until then: nothing is shown.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py

from smalldata_ana.detector.protocol import Field, Length
from smalldata_ana.producing import part_file
from smalldata_ana.producing.batches import Batch
from smalldata_ana.producing.job import Job
from smalldata_ana.safe_files import replacing
from smalldata_ana.smalldata.batch import COUNT, length_path
from smalldata_ana.smalldata.layout import CONFIGURATION, Layout
from smalldata_ana.smalldata.parts import Location, locations

logger = logging.getLogger(__name__)

INTERVAL = 5.0
"""Between two views, at least [s]."""

UNFINISHED = "unfinished"
"""Attribute of a file that is a view, with how much it shows."""

_SHARE = 20
"""How many times as long as making a view it stays, at least."""


class View:
    """Publishes the finished parts now and then.

    Parameters
    ----------
    job : the job
    target : the file
    configure : writes ``UserDataCfg`` into a file; it is called once
    """

    def __init__(
        self, job: Job, target: Path, configure: Callable[[h5py.File], None]
    ) -> None:
        self._job = job
        self._target = target
        self._configure = configure
        self._configuration = job.parts / "configuration.h5"
        self._configured = False
        self._tables = part_file.tables_of(job)
        self._due = time.monotonic()
        self._shown = 0
        self._told = False

    def publish(self, batches: Sequence[Batch]) -> None:
        """Show these batches, unless the last view is young or has them all.

        Parameters
        ----------
        batches : whose parts are complete, in the order of the events
        """
        begin = time.monotonic()
        if begin < self._due or len(batches) == self._shown or self._is_kept():
            return
        paths = [self._job.part_path(batch) for batch in batches]
        with replacing(self._target) as aside, h5py.File(aside, "w") as file:
            for table, layout in self._tables.items():
                group = part_file.group_of(table)
                for path, field in _with_lengths(layout).items():
                    if field.length is not Length.RAGGED:
                        _show(file, path, field, group, locations(layout)[path], paths)
            self._link_configuration(file)
            file.attrs[UNFINISHED] = f"{len(batches)} finished batches"
        self._shown = len(batches)
        now = time.monotonic()
        self._due = now + max(INTERVAL, _SHARE * (now - begin))

    def _is_kept(self) -> bool:
        """Tell whether there is a complete file; say so once."""
        if not _is_complete(self._target):
            return False
        if not self._told:
            self._told = True
            logger.warning(
                "%s is complete, and stays until the new one is: there is no view of "
                "what is finished",
                self._target,
            )
        return True

    def _link_configuration(self, file: h5py.File) -> None:
        """Show what is written once and does not change."""
        if not self._configured:
            with h5py.File(self._configuration, "w") as written:
                self._configure(written)
            self._configured = True
        beside = os.path.relpath(self._configuration, self._target.parent)
        file[CONFIGURATION] = h5py.ExternalLink(beside, CONFIGURATION)


def _is_complete(path: Path) -> bool:
    """Tell whether a file is there that is no view; it may be of any kind."""
    try:
        with h5py.File(path) as file:
            return UNFINISHED not in file.attrs
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _with_lengths(layout: Layout) -> Layout:
    lengths = {
        length_path(path): COUNT
        for path, field in layout.items()
        if field.length is Length.VARIABLE
    }
    return layout | lengths


def _show(
    file: h5py.File,
    path: str,
    field: Field,
    group: str,
    where: Location,
    parts: Sequence[Path],
) -> None:
    """Make one dataset of those of the parts."""
    sources = []
    for part in parts:
        with h5py.File(part) as opened:
            shape = opened[group][where.path].shape
        beside = os.path.relpath(part, Path(file.filename).parent)
        whole = h5py.VirtualSource(beside, f"{group}/{where.path}", shape, field.dtype)
        source = whole if where.row is None else whole[where.row]
        sources.append((source, shape[0] if where.row is None else shape[-1]))
    total = sum(rows for _, rows in sources)
    layout = h5py.VirtualLayout((total, *field.shape), field.dtype)
    begin = 0
    for source, rows in sources:
        if rows:
            layout[begin : begin + rows] = source
        begin += rows
    dataset = file.create_virtual_dataset(path, layout)
    dataset.attrs.update(field.texts())
