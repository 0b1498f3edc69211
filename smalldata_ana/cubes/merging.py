"""From the parts of a cube to its files, in the order of the bins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smalldata_ana.cubes.cube_file import CubeFile
from smalldata_ana.cubes.pieces import Piece, has_gaps, read_pieces
from smalldata_ana.cubes.planning import CubePlan
from smalldata_ana.errors import FileError
from smalldata_ana.producing.batches import Batch
from smalldata_ana.safe_files import reason, replacing


def merge(
    plan: CubePlan,
    batches: Sequence[Batch],
    targets: Sequence[Path],
    record: Mapping[str, Any],
    compression: str | None = None,
) -> None:
    """Write the files of a cube from its parts, which are kept.

    The sums of one bin are in memory at a time.

    Parameters
    ----------
    plan : the cube
    batches : those whose parts are complete, in their order
    targets : the files, one for each output; each is written aside, and replaces one
        that is there
    record : how they were made, for ``UserDataCfg/producer``
    compression : of the images, or None

    Raises
    ------
    FileError
        if one cannot be written, or a part cannot be read
    """
    done = np.zeros(len(plan.binning.numbers), np.bool_)
    for batch in batches:
        done[batch.begin : batch.end] = True
    gaps = _gaps(plan, batches)
    with ExitStack() as stack:
        asides = [stack.enter_context(replacing(target)) for target in targets]
        try:
            with ExitStack() as open_files:
                opened = [open_files.enter_context(h5py.File(a, "w")) for a in asides]
                files = [
                    CubeFile(file, plan, number, gaps, compression)
                    for number, file in enumerate(opened)
                ]
                for piece in _joined(plan, batches):
                    output, number = divmod(piece.slot, plan.binning.bins)
                    files[output].write_bin(number, piece.sums)
                for file in files:
                    file.finish(done, record)
        except OSError as error:
            raise FileError(f"cannot write {targets[0]}: {reason(error)}") from error


def _gaps(plan: CubePlan, batches: Sequence[Batch]) -> frozenset[str]:
    """Return the detectors with pixels that lack values in some images."""
    found = set()
    names = [detector.name for detector in plan.detectors]
    for batch in batches:
        with h5py.File(plan.job.part_path(batch)) as part:
            found |= {name for name in names if has_gaps(part, name)}
    return frozenset(found)


def _joined(plan: CubePlan, batches: Sequence[Batch]) -> Iterator[Piece]:
    """Yield the sums of each bin with events, put together from its pieces."""
    whole: Piece | None = None
    for piece in _pieces(plan, batches):
        if whole is not None and piece.slot == whole.slot:
            whole = _together(whole, piece)
            continue
        if whole is not None:
            yield whole
        whole = piece
    if whole is not None:
        yield whole


def _together(whole: Piece, later: Piece) -> Piece:
    """Return the sums of a bin with those of a later piece."""
    sums = dict(whole.sums)
    for name, more in later.sums.items():
        if sums[name].events:
            sums[name].add(more)
        else:
            sums[name] = more
    return Piece(whole.slot, sums)


def _pieces(plan: CubePlan, batches: Sequence[Batch]) -> Iterator[Piece]:
    shapes = {detector.name: detector.shape for detector in plan.detectors}
    for batch in batches:
        with h5py.File(plan.job.part_path(batch)) as part:
            yield from read_pieces(part, shapes)
