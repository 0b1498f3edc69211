"""The constants store: calibration constants as files that people can look at.

``<store>/<detector>/<constant>/<begin>-<end>.npy``, where ``<end>`` is a run or the
word ``end``; instead of ``.npy`` there can be psana's text format (``.data``,
``.txt``), and ``geometry`` is always text.  The file ``names.toml`` in the store gives
detectors folders of other names (``jungfrau = "jungfrau1M"``).  Beside a constant
``<begin>-<end>.json`` tells who put it there, when, and from where.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ConstantsError, unknown
from smalldata_ana.parameters.provenance import author, now
from smalldata_ana.safe_files import make_folder, replacing
from smalldata_ana.sources.constants import (
    NAMES,
    Constant,
    Constants,
    Value,
    age,
    validity,
)
from smalldata_ana.sources.constants_files import (
    TEXT,
    as_constant,
    check_numbers,
    read_constant,
    stored_shape,
)

logger = logging.getLogger(__name__)

_RANGE = re.compile(r"(\d+)-(\d+|end)")
_SUFFIXES = (".npy", ".data", ".txt")
"""Of several files for the same runs, the first of these is read."""


@dataclass(frozen=True)
class Record:
    """A constant in the store, without its value.

    Attributes
    ----------
    detector : name of the detector, or of its folder if no detector is mapped to it
    name : one of `smalldata_ana.sources.constants.NAMES`
    begin, end : first and last run that it is valid for; ``end`` None: until further
        notice
    path : its file
    """

    detector: str
    name: str
    begin: int
    end: int | None
    path: Path

    @cached_property
    def made(self) -> Mapping[str, str]:
        """What is known of its making: ``by``, ``at``, ``origin``, ``serial``."""
        return _read_record(self.path.with_suffix(".json"))

    @property
    def validity(self) -> str:
        """The range of runs as text, e.g. ``10-end``."""
        return validity(self.begin, self.end)

    @property
    def time(self) -> str:
        """When it was put into the store, ISO 8601."""
        return self.made.get("at") or _iso(self.path.stat().st_mtime)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of its array, None for text or where the file does not tell it.

        Raises
        ------
        ConstantsError
            if the file cannot be read
        """
        return None if self.name in TEXT else stored_shape(self.path)

    def holds(self, run: int) -> bool:
        """Tell whether the constant may be used for a run."""
        return self.begin <= run and (self.end is None or run <= self.end)

    def read(self) -> Constant:
        """Read the constant; of an ``.npy`` file, the array only when it is used.

        Raises
        ------
        ConstantsError
            if the file cannot be read, or does not hold numbers
        """
        content: Value | Callable[[], Value]
        if self.path.suffix == ".npy" and self.name not in TEXT:
            check_numbers(self.path)
            changed = self.path.stat().st_mtime_ns
            content = functools.partial(_read_unchanged, self, changed)
        else:
            content = read_constant(self.name, self.path)
        origin = str(self.path)
        return Constant(self.name, content, self.begin, self.end, origin, self.time)


class ConstantsStore:
    """A folder of calibration constants; it need not exist until something is put.

    Parameters
    ----------
    folder : the store

    Raises
    ------
    ConstantsError
        if the folder is none, or its ``names.toml`` is damaged
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ConstantsError(f"the constants store {folder} is not a folder")
        self._folders = _read_names(self.folder / "names.toml")

    def __repr__(self) -> str:
        """Tell where the store is."""
        return f"ConstantsStore({str(self.folder)!r})"

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the detectors that there are constants for."""
        if not self.folder.is_dir():
            return ()
        mapped = {folder: name for name, folder in self._folders.items()}
        found = (f.name for f in self.folder.iterdir() if (f.is_dir() and _plain(f)))
        return tuple(sorted(mapped.get(name, name) for name in found))

    def list(self, detector: str | None = None) -> list[Record]:
        """Return what there is, for one detector or all, without reading values."""
        names = self.detectors if detector is None else (detector,)
        return [record for name in names for record in self._records(name)]

    def valid(self, detector: str, run: int) -> dict[str, Record]:
        """Return which constants are valid for a run, by name.

        Among those whose range holds the run, the largest begin wins; of equal begins
        the narrower range, as in psana.
        """
        best: dict[str, Record] = {}
        for record in self._records(detector):
            rival = best.get(record.name)
            if record.holds(run) and (rival is None or _rank(record) > _rank(rival)):
                best[record.name] = record
        return best

    def get(self, detector: str, run: int, *, serial: str = "") -> Constants:
        """Read the constants of a detector that are valid for a run.

        Parameters
        ----------
        detector : its name in the data acquisition
        run : number of the run
        serial : serial number of the detector in this run; constants that were made
            with another one are used, with a note

        Raises
        ------
        ConstantsError
            if a file cannot be read
        """
        valid = self.valid(detector, run)
        items = {name: record.read() for name, record in valid.items()}
        notes = tuple(_other_hardware(r, serial) for r in valid.values())
        said = tuple(note for note in notes if note)
        return Constants(detector, items, said, (str(self._folder(detector)),))

    def put(
        self,
        detector: str,
        name: str,
        value: npt.NDArray[Any] | str,
        begin: int,
        end: int | None = None,
        *,
        serial: str = "",
        made: Mapping[str, str] | None = None,
    ) -> Path:
        """Put a constant into the store; one for the same runs is replaced.

        Parameters
        ----------
        detector : its name in the data acquisition
        name : one of `smalldata_ana.sources.constants.NAMES`
        value : an array of numbers, which gets the constant's dtype, or text
        begin, end : first and last run that it is valid for; ``end`` None: until
            further notice
        serial : serial number of the detector, where it is known
        made : what else to record of its making, e.g. its ``origin``

        Returns
        -------
        The file that was written.

        Raises
        ------
        ConstantsError
            if the name is unknown, the value does not fit it, or the range is empty
        FileError
            if the file cannot be written
        """
        checked = as_constant(name, value, f"{detector} {name}")
        path = self.file(detector, name, begin, end)
        make_folder(path.parent)
        record = path.with_suffix(".json")
        record.unlink(missing_ok=True)
        with replacing(path) as aside:
            if isinstance(checked, str):
                aside.write_text(checked, encoding="utf-8")
            else:
                np.save(aside, checked, allow_pickle=False)
        _write_record(record, {"serial": serial, **(made or {})})
        return path

    def file(self, detector: str, name: str, begin: int, end: int | None) -> Path:
        """Return the file of a constant, whether it exists or not.

        Raises
        ------
        ConstantsError
            if the name is unknown, or the range is empty
        """
        if name not in NAMES:
            raise ConstantsError(unknown("constant", name, NAMES))
        if begin < 0 or (end is not None and end < begin):
            raise ConstantsError(f"{validity(begin, end)} is not a range of runs")
        suffix = ".data" if name in TEXT else ".npy"
        folder = self._folder(detector) / name
        return folder / f"{validity(begin, end)}{suffix}"

    def _folder(self, detector: str) -> Path:
        folder = self.folder / self._folders.get(detector, detector)
        if folder.parent != self.folder or not _plain(folder):
            raise ConstantsError(
                f"{detector!r} cannot be the name of a folder; give it one in "
                f"{self.folder / 'names.toml'}"
            )
        return folder

    def _records(self, detector: str) -> Iterator[Record]:
        """Give the records of a detector, by constant and in the order of runs."""
        folder = self._folder(detector)
        for name in NAMES:
            files: dict[str, Path] = {}
            for suffix in _SUFFIXES:
                for path in (folder / name).glob(f"*{suffix}"):
                    files.setdefault(path.stem, path)
            ranges = ((_RANGE.fullmatch(stem), path) for stem, path in files.items())
            records = [
                Record(detector, name, int(runs[1]), _number(runs[2]), path)
                for runs, path in ranges
                if runs is not None
            ]
            yield from sorted(records, key=_rank)


def _read_unchanged(record: Record, changed: int) -> Value:
    """Read a value, if the file is still the one of that time [ns]."""
    value = read_constant(record.name, record.path)
    if record.path.stat().st_mtime_ns != changed:
        raise ConstantsError(
            f"{record.path} has changed since the run was opened; open the run again"
        )
    return value


def _rank(record: Record) -> tuple[int, float]:
    return age(record.begin, record.end)


def _number(text: str) -> int | None:
    return None if text == "end" else int(text)


def _plain(folder: Path) -> bool:
    return bool(folder.name) and not folder.name.startswith(".")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _other_hardware(record: Record, serial: str) -> str:
    recorded = record.made.get("serial", "")
    if not serial or not recorded or recorded == serial:
        return ""
    return (
        f"{record.detector}: the {record.name} ({record.validity}) are of the hardware "
        f"with serial number {recorded}, and this run has {serial}"
    )


def _read_names(path: Path) -> dict[str, str]:
    try:
        names = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConstantsError(f"{path} cannot be read: {error}") from error
    wrong = [name for name, folder in names.items() if not isinstance(folder, str)]
    if wrong:
        raise ConstantsError(
            f"{path}: {wrong[0]} = {names[wrong[0]]!r} is not the name of a folder; "
            'a line looks like  detector = "folder"'
        )
    return names


def _write_record(path: Path, made: Mapping[str, str]) -> None:
    known = {key: value for key, value in made.items() if value}
    record = {"by": author(), "at": now().isoformat(), **known}
    with replacing(path) as aside:
        aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _read_record(path: Path) -> dict[str, str]:
    """Read what is known of a constant's making; it is not needed for its use."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read: %s", path, error)
        return {}
    if not isinstance(record, dict):
        logger.warning("%s is not a record of a constant", path)
        return {}
    return {str(key): str(value) for key, value in record.items()}
