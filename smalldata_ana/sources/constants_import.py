"""Bring constants that were made elsewhere into the constants store.

Two kinds of folders are known: the calib directory of an LCLS-I experiment,
``<calib>/<Group::CalibV1>/<source>/<constant>/<begin>-<end>.data``, and what the
LCLS-II dark tools and ``cdb`` write: ``<repo>/<type>/merge_tmp/`` with
``<source>-<time>-<experiment>-r<run>-<constant>.txt``, and files
``clb-<experiment>-<source>-r<run>-<constant>.npy``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ConstantsError, listing, unknown
from smalldata_ana.sources.constants import NAMES, validity
from smalldata_ana.sources.constants_files import read_constant
from smalldata_ana.sources.constants_store import ConstantsStore

Array = npt.NDArray[Any]

_LCLS1_FILE = re.compile(r"(\d+)-(\d+|end)\.data")
_DARK_FILES = (
    re.compile(
        r"(?P<source>[^-]+)-(?P<time>\d{14})-(?P<exp>[^-]+)-r(?P<run>\d+)"
        r"-(?P<name>\w+)\.txt"
    ),
    re.compile(
        r"clb-(?P<exp>[^-]+)-(?P<source>.+)-r(?P<run>\d+)"
        r"-(?P<name>\w+)(?P<time>)\.(?:data|txt|npy)"
    ),
)

_SHAPES = {(704, 768): (1, 704, 768)}
"""Shapes of LCLS-I that are others in psana (epix100a), and what they are there."""

_BY_STAGE = ("pedestals", "pixel_rms", "pixel_status")
"""What a dark measures in each gain stage, ``(stage, panel, row, column)``."""

_STAGE_AXES = 4


@dataclasses.dataclass(frozen=True)
class Imported:
    """A constant that was put into the store.

    Attributes
    ----------
    detector, name : which one
    validity : the runs that it is valid for
    source : the file that it comes from
    path : its file in the store
    note : what was done to it, or an empty string
    """

    detector: str
    name: str
    validity: str
    source: Path
    path: Path
    note: str = ""


@dataclasses.dataclass(frozen=True)
class _Found:
    """A file with a constant, found in a foreign folder."""

    source: str
    name: str
    begin: int
    end: int | None
    path: Path
    time: str = ""

    @property
    def rank(self) -> tuple[str, bool]:
        """The later is better; of equal ones, binary is more exact than text."""
        return self.time, self.path.suffix == ".npy"


def import_lcls1(
    folder: Path,
    store: ConstantsStore,
    detectors: str | Mapping[str, str],
    *,
    replace: bool = False,
    serial: str = "",
) -> list[Imported]:
    """Import an LCLS-I calib directory, or the folder of one group or source in it.

    Parameters
    ----------
    folder : the directory
    store : where to put the constants
    detectors : name of the detector, if the folder is of a single source; else the
        names by source, e.g. ``{"XppEndstation.0:Jungfrau.0": "jungfrau1M"}``: other
        sources are left out
    replace : replace constants that are valid for the same runs
    serial : serial number of the detector, where it is known

    Returns
    -------
    What was put, with its ranges of runs as in the directory.

    Raises
    ------
    ConstantsError
        if there is nothing to import, a file cannot be read, or, without ``replace``,
        a constant is there already; in the last case nothing was put
    FileError
        if the store cannot be written
    """
    chosen = _choose(_lcls1_files(_folder(folder)), detectors, folder)
    return _put(store, chosen, replace, serial, gaps={})


def import_dark(
    folder: Path,
    store: ConstantsStore,
    detectors: str | Mapping[str, str],
    begin: int | None = None,
    end: int | None = None,
    *,
    run: int | None = None,
    replace: bool = False,
    serial: str = "",
) -> list[Imported]:
    """Import the constants that the dark tools of LCLS-II made of a dark run.

    A dark fills only the gain stages and panels that it took: where its pedestals are
    zero in all pixels, what was valid before at that run stays.

    Parameters
    ----------
    folder : repository of the dark tools, a folder in it, or one with ``clb-*`` files
    store : where to put the constants
    detectors : name of the detector, if the folder is of a single one; else the names
        by the short names of the tools, e.g. ``{"jungfrau_000003": "jungfrau1M"}``
    begin, end : first and last run that they are valid for; None: the dark run itself,
        and until further notice
    run : take this dark run, if the folder has several
    replace : replace constants that are valid for the same runs
    serial : serial number of the detector, where it is known

    Returns
    -------
    What was put.

    Raises
    ------
    ConstantsError
        as `import_lcls1`, or if there are several dark runs to choose from
    FileError
        if the store cannot be written
    """
    found = _dark_files(_folder(folder))
    runs = sorted({file.begin for file in found})
    if run is not None and run not in runs:
        raise ConstantsError(unknown("dark run", str(run), map(str, runs), str(folder)))
    if run is None and len(runs) > 1:
        raise ConstantsError(
            f"{folder} has dark runs {', '.join(map(str, runs))}; say which one to take"
        )
    chosen = [
        (
            detector,
            dataclasses.replace(f, begin=f.begin if begin is None else begin, end=end),
        )
        for detector, f in _choose(found, detectors, folder)
        if run in (None, f.begin)
    ]
    return _put(store, chosen, replace, serial, _gaps(chosen))


def _folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise ConstantsError(f"there is no folder {folder}")
    return folder


def _lcls1_files(folder: Path) -> list[_Found]:
    found = []
    for depth in range(4):
        for path in sorted(folder.glob("*/" * depth + "*.data")):
            runs = _LCLS1_FILE.fullmatch(path.name)
            name, source = path.parent.name, path.resolve().parent.parent.name
            if runs and name in NAMES:
                end = None if runs[2] == "end" else int(runs[2])
                found.append(_Found(source, name, int(runs[1]), end, path))
    return found


def _dark_files(folder: Path) -> list[_Found]:
    """Return the best file of each source, run and constant."""
    newest: dict[tuple[str, int, str], _Found] = {}
    for path in sorted(_candidates(folder)):
        match = next((m for p in _DARK_FILES if (m := p.fullmatch(path.name))), None)
        if match is None or match["name"] not in NAMES:
            continue
        key = match["source"], int(match["run"]), match["name"]
        file = _Found(key[0], key[2], key[1], None, path, match["time"])
        if key not in newest or file.rank > newest[key].rank:
            newest[key] = file
    return list(newest.values())


def _candidates(folder: Path) -> Iterator[Path]:
    for pattern in ("*", "merge_tmp/*", "*/merge_tmp/*"):
        yield from (path for path in folder.glob(pattern) if path.is_file())


def _choose(
    found: Iterable[_Found], detectors: str | Mapping[str, str], folder: Path
) -> list[tuple[str, _Found]]:
    """Return the files of the wanted sources, each with its detector's name."""
    files = sorted(found, key=lambda f: (f.source, NAMES.index(f.name), f.begin))
    sources = sorted({file.source for file in files})
    if not sources:
        raise ConstantsError(
            f"{folder} has no constants to import; known are {listing(NAMES)}"
        )
    if isinstance(detectors, str):
        if len(sources) > 1:
            raise ConstantsError(
                f"{folder} has constants of {listing(sources)}; say which is "
                f"{detectors!r}: SOURCE={detectors}"
            )
        return [(detectors, file) for file in files]
    for source in detectors:
        if source not in sources:
            raise ConstantsError(unknown("source", source, sources, str(folder)))
    return [(detectors[f.source], f) for f in files if f.source in detectors]


def _put(
    store: ConstantsStore,
    chosen: list[tuple[str, _Found]],
    replace: bool,
    serial: str,
    gaps: Mapping[str, Array],
) -> list[Imported]:
    targets = [store.file(det, f.name, f.begin, f.end) for det, f in chosen]
    there = [str(path) for path in targets if path.exists()]
    if there and not replace:
        raise ConstantsError(
            f"constants are there already: {', '.join(there)}; nothing was imported"
        )
    done = []
    for detector, file in chosen:
        value, note = _read(file), ""
        if detector in gaps and file.name in _BY_STAGE:
            assert not isinstance(value, str)
            value, note = _filled(value, gaps[detector], store, detector, file)
        made = {"origin": str(file.path), "serial": serial, "note": note}
        path = store.put(detector, file.name, value, file.begin, file.end, made=made)
        runs = validity(file.begin, file.end)
        done.append(Imported(detector, file.name, runs, file.path, path, note))
    return done


def _read(file: _Found) -> Array | str:
    value = read_constant(file.name, file.path)
    return value if isinstance(value, str) else _in_psana_shape(value)


def _in_psana_shape(array: Array) -> Array:
    return array.reshape(_SHAPES.get(array.shape, array.shape))


def _gaps(chosen: list[tuple[str, _Found]]) -> dict[str, Array]:
    """Return by detector which panels were not taken in which gain stages.

    The dark tools leave their pedestals at zero.
    """
    gaps: dict[str, Array] = {}
    for detector, file in chosen:
        if file.name == "pedestals":
            pedestals = np.asarray(_read(file))
            if pedestals.ndim == _STAGE_AXES:
                gaps[detector] = np.asarray(~pedestals.any(axis=(-2, -1)))
    return {detector: gap for detector, gap in gaps.items() if gap.any()}


def _filled(
    value: Array, gap: Array, store: ConstantsStore, detector: str, file: _Found
) -> tuple[Array, str]:
    """Return a constant with what was not taken as it was valid before, and a note."""
    missing = f"{gap.sum()} of {gap.size} panels and gain stages were not taken"
    record = store.valid(detector, file.begin).get(file.name)
    before = np.empty(0) if record is None else np.asarray(record.read().value)
    if record is None or before.shape != value.shape:
        return value, f"{missing}, and nothing was valid for them before"
    mixed = np.where(gap[:, :, None, None], before, value)
    return mixed, f"{missing}; they are as in {record.path}"
