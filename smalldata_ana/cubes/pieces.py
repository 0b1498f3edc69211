"""The part file of a cube: sums of the bins, or pieces of bins, of one batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import h5py
import numpy as np

from smalldata_ana.cubes.bin_sums import BinSums

_PIECES = "pieces"
_SLOT = "slot"


class Piece(NamedTuple):
    """The sums of some events of one bin.

    Attributes
    ----------
    slot : the bin
    sums : by detector
    """

    slot: int
    sums: Mapping[str, BinSums]


def write_piece(file: h5py.File, piece: Piece) -> None:
    """Append a piece to a part."""
    pieces = file.require_group(_PIECES)
    group = pieces.create_group(f"{len(pieces):06d}")
    group.attrs[_SLOT] = piece.slot
    for name, sums in piece.sums.items():
        of_detector = group.create_group(name)
        of_detector["events"] = sums.events
        if not sums.events:
            continue
        of_detector["totals"] = sums.totals
        of_detector["squares"] = sums.squares
        if not sums.complete:
            of_detector["counts"] = sums.counts


def read_pieces(
    file: h5py.File, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[Piece]:
    """Yield the pieces of a part, in their order; one at a time is in memory.

    Parameters
    ----------
    file : the part
    shapes : of the frames, by detector
    """
    for group in file[_PIECES].values():
        sums = {name: _read(group[name], shape) for name, shape in shapes.items()}
        yield Piece(int(group.attrs[_SLOT]), sums)


def _read(group: h5py.Group, shape: tuple[int, ...]) -> BinSums:
    events = int(group["events"][()])
    if not events:
        return BinSums.empty(shape, squares=False)
    counts = (
        group["counts"][()] if "counts" in group else np.full(shape, events, np.int32)
    )
    return BinSums(events, group["totals"][()], group["squares"][()], counts)


def has_gaps(file: h5py.File, detector: str) -> bool:
    """Tell whether pixels lack values in some images of a part."""
    return any("counts" in group[detector] for group in file[_PIECES].values())
