"""Entries of the parameter file for masks that users make, and their files.

The array is beside the parameter file, in ``masks/<detector>_r<run>_<n>.h5``, as
NeXus' ``pixel_mask``; the entry has its checksum, so that nobody takes another mask
for this one.  An array is written once and never changed: what is drawn later has
another file.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitlets import Dict, Int, List, TraitError, Unicode, validate

from smalldata_ana.detector.image_masks import MaskLike, checked_mask
from smalldata_ana.detector.mask_files import (
    PIXEL_MASK,
    Mask,
    read_nexus,
    write_nexus,
)
from smalldata_ana.detector.mask_layers import layers_of
from smalldata_ana.errors import FileError, ParameterError, did_you_mean
from smalldata_ana.file_rights import FILE_MODE, take_over_rights
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import read_text
from smalldata_ana.parameters.model import Parameters, register
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.safe_files import make_folder, reason, remove_asides, remove_old

FOLDER = "masks"
"""Where the files are, in the folder of the parameter file."""

_CHECKSUM = re.compile("[0-9a-f]{64}")


@register("mask")
class MaskParameters(Parameters):
    """A mask of a detector: pixels to leave out beside those of its `cmask`."""

    has_results = False

    name = Unicode("mask", help="what it is called")
    file = Unicode(
        help="HDF5 file with the mask, in the folder of the parameter file"
    ).tag(required=True, determines=False)
    path = Unicode(help="of the mask in the file, whole numbers with 0 = good").tag(
        required=True, determines=False
    )
    sha256 = Unicode(help="checksum of the file").tag(required=True)
    shape = List(Int(min=1), minlen=2, maxlen=3, help="of a frame").tag(required=True)
    shapes = List(Dict(), help="what was drawn, to be drawn again").tag(
        determines=False
    )

    @validate("sha256")
    def _is_checksum(self, proposal: Mapping[str, Any]) -> Any:
        if not _CHECKSUM.fullmatch(proposal["value"]):
            raise TraitError(
                f"sha256 = {proposal['value']!r} is not a checksum: 64 digits 0-9 a-f"
            )
        return proposal["value"]

    @validate("shapes")
    def _are_shapes(self, proposal: Mapping[str, Any]) -> Any:
        try:
            layers_of(proposal["value"])
        except ParameterError as error:
            raise TraitError(f"shapes: {error}") from error
        return proposal["value"]

    def problems_beside(self, folder: Path) -> Iterator[str]:
        """Say what is wrong with the file of the mask; see `Parameters`."""
        if not self.file:
            return
        try:
            if self.sha256 and self.path and self.trait_has_value("shape"):
                self.read(folder)
            elif self.sha256:
                self._check(folder)
            else:
                _checksum(folder / self.file)
        except (FileError, ParameterError) as error:
            yield str(error)

    def _check(self, folder: Path) -> None:
        """Check that the file is the one that the entry was made with."""
        path = folder / self.file
        checksum = _checksum(path)
        if checksum != self.sha256:
            raise ParameterError(
                f"{path} is not the mask that was exported: its sha256 is {checksum}, "
                f"not {self.sha256}; bring the right file back, or export the mask anew"
            )

    def read(self, folder: Path) -> Mask:
        """Return the mask: bool, True = good, shape of a frame.

        Parameters
        ----------
        folder : of the parameter file

        Raises
        ------
        FileError
            if the file is missing, cannot be read, or has no mask of this shape
        ParameterError
            if it is not the file that the entry was made with
        """
        self._check(folder)
        return read_nexus(folder / self.file, tuple(self.shape), self.path)


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        there = [p.name for p in path.parent.glob(f"*{path.suffix}")]
        raise FileError(
            f"there is no mask {path}; bring it back, or switch the entry off with a "
            f"later one.{did_you_mean(path.name, there)}"
        ) from None
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise FileError(f"the mask {str(path)!r} cannot be read: {why}") from error


def mask_entry(
    detector: str,
    good: MaskLike,
    runs: RunRange,
    *,
    name: str = "mask",
    shapes: Sequence[Mapping[str, Any]] = (),
    made: Mapping[str, Any] | None = None,
) -> Entry:
    """Return the entry of a mask; its array is written when it is exported.

    Parameters
    ----------
    detector : its name
    good : bool, True = good; or 0 and 1, 1 = good; shape of a frame
    runs : the runs that it is for
    name : what it is called
    shapes : what was drawn, as tables
    made : who made it, when and how

    Raises
    ------
    ParameterError
        if it is no mask
    """
    array = checked_mask(good)
    values: dict[str, Any] = {"shape": list(array.shape)}
    if shapes:
        values["shapes"] = [dict(shape) for shape in shapes]
    entry = Entry(detector, "mask", runs, values, name, made=made or {}, array=array)
    entry.make()
    return entry


def stored(entry: Entry, folder: Path) -> Entry:
    """Write the array of an entry into a file; others are returned as they are.

    Parameters
    ----------
    entry : of any kind
    folder : of the parameter file

    Raises
    ------
    FileError
        if the file cannot be written
    """
    if entry.array is None:
        return entry
    path = _new_file(folder, entry)
    write_nexus(path, entry.array, entry.detector)
    values = {
        "file": f"{FOLDER}/{path.name}",
        "path": f"/entry/instrument/{entry.detector}/{PIXEL_MASK}",
        "sha256": _checksum(path),
    }
    return replace(entry, values=values | dict(entry.values), array=None)


def unused_files(folder: Path) -> list[Path]:
    """Return the files of masks that no parameter file of a folder names.

    Parameters
    ----------
    folder : of the parameter files

    Raises
    ------
    FileError
        if a parameter file cannot be read
    """
    masks = sorted((folder / FOLDER).glob("*_r*_*.h5"))
    text = "".join(read_text(path) for path in folder.glob("*.toml")) if masks else ""
    return [path for path in masks if f"{FOLDER}/{path.name}" not in text]


def _new_file(folder: Path, entry: Entry) -> Path:
    """Make an empty file of a new name, which no other session can take then."""
    masks = make_folder(folder / FOLDER)
    _remove_left(masks)
    detector = re.sub(r"[^\w.-]", "_", entry.detector)
    run = entry.made.get("run", entry.runs.begin)
    paths = (masks / f"{detector}_r{run:04d}_{n}.h5" for n in itertools.count(1))
    return next(path for path in paths if _made_anew(path))


def _remove_left(masks: Path) -> None:
    """Remove what sessions left that were killed while they wrote a mask."""
    remove_asides(masks / "*.h5")
    remove_old(masks.glob("*_r*_*.h5"), only_empty=True)


def _made_anew(path: Path) -> bool:
    """Make an empty file, and tell whether there was none."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL, FILE_MODE)
    except FileExistsError:
        return False
    except OSError as error:
        raise FileError(f"cannot write {path}: {reason(error)}") from error
    try:
        take_over_rights(descriptor, path.parent)
    finally:
        os.close(descriptor)
    return True
