"""The parameter file: what a session hands to the producer, as data.

A TOML file for an experiment: entries by detector and kind with a range of runs.  It
is read strictly, and only ever appended to; nothing in it is executed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from smalldata_ana.errors import FileError, ParameterError, unknown
from smalldata_ana.parameters import provenance, toml_text
from smalldata_ana.parameters.entry import Entry, problems_of, read_entry
from smalldata_ana.parameters.model import kinds, model_of
from smalldata_ana.parameters.resolved import Resolved, applying
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.safe_files import FILE_MODE, make_folder, reason, replacing

SCHEMA = "smalldata-ana-params/1"

_TOP_KEYS = ("schema", "experiment", "detector")


@dataclass(frozen=True)
class ParameterFile:
    """A parameter file that was read and found right; make it with `load`.

    Attributes
    ----------
    path : where it is
    experiment : the experiment that it is for
    entries : all entries, in the order of the file within a detector and kind
    text : the whole file
    """

    path: Path
    experiment: str
    entries: tuple[Entry, ...]
    text: str

    @classmethod
    def load(cls, path: str | os.PathLike[str], experiment: str | None = None) -> Self:
        """Read and check a file.

        Parameters
        ----------
        path : the file
        experiment : the experiment that it must be for, or None for any

        Raises
        ------
        FileError
            if it does not exist or cannot be read
        ParameterError
            if anything in it is wrong; the message names everything, with the lines
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise FileError(
                f"there is no parameter file {path}; make it in a session with "
                "anaps.exportParams(), or name another with --params"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"cannot read the parameters: {error}: {path}") from error
        return cls.parse(text, path, experiment)

    @classmethod
    def parse(cls, text: str, path: Path, experiment: str | None = None) -> Self:
        """Check the text of a file; as `load`."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ParameterError(f"{path} is not TOML: {error}") from error
        problems = list(_head_problems(document, experiment))
        if not problems:
            problems = list(_entry_problems(document, toml_text.Lines(text)))
        if problems:
            raise ParameterError("\n".join(f"{path}: {p}" for p in problems))
        entries = tuple(_entries(document, toml_text.Lines(text)))
        return cls(path, document["experiment"], entries, text)

    def resolve(self, run: int) -> Resolved:
        """Return the entries that apply to a run, as `resolved.applying` says."""
        chosen = applying(self.entries, run)
        detectors: dict[str, tuple[Entry, ...]] = {}
        for entry in chosen:
            detectors[entry.detector] = (*detectors.get(entry.detector, ()), entry)
        return Resolved(
            run=run,
            detectors=detectors,
            path=self.path,
            sha256=hashlib.sha256(self.text.encode()).hexdigest(),
            text=_document(self.experiment, chosen),
        )


def _head_problems(document: dict[str, Any], experiment: str | None) -> Iterator[str]:
    schema = document.get("schema")
    if schema != SCHEMA:
        yield f"schema = {schema!r} is not {SCHEMA!r}, which this version reads"
    of = document.get("experiment")
    if not isinstance(of, str) or (experiment is not None and of != experiment):
        yield f"it is for experiment {of!r}, not for {experiment!r}"
    for key in document:
        if key not in _TOP_KEYS:
            yield unknown("key", key, _TOP_KEYS, "a parameter file")


def _arrays(document: dict[str, Any]) -> Iterator[tuple[tuple[str, str, str], Any]]:
    for detector, of_kinds in document.get("detector", {}).items():
        for kind, rows in of_kinds.items():
            yield ("detector", detector, kind), rows


def _shape_problem(document: dict[str, Any]) -> str:
    """Say where detectors and kinds are not tables, so that they can be walked."""
    detectors = document.get("detector", {})
    if not isinstance(detectors, dict):
        return "'detector' is not a table; write [[detector.<name>.<kind>]]"
    for name, of_kinds in detectors.items():
        if not isinstance(of_kinds, dict):
            return f"'detector.{name}' is not a table; write [[detector.{name}.<kind>]]"
    return ""


def _entry_problems(document: dict[str, Any], lines: toml_text.Lines) -> Iterator[str]:
    misshapen = _shape_problem(document)
    if misshapen:
        yield misshapen
        return
    for path, rows in _arrays(document):
        header = toml_text.key_text(*path)
        line = lines.of(path, 0)
        if path[2] not in kinds():
            yield _at(line) + unknown("kind of entry", path[2], kinds(), header)
        elif not isinstance(rows, list):
            yield f"{header} is not an array of tables; write [[{header}]]"
        else:
            for index, row in enumerate(rows):
                for key, problem in problems_of(path[2], row):
                    yield f"{_at(lines.of(path, index, key))}{header}: {problem}"


def _at(line: int | None) -> str:
    return "" if line is None else f"line {line}: "


def _entries(document: dict[str, Any], lines: toml_text.Lines) -> Iterator[Entry]:
    for path, rows in _arrays(document):
        names = _names(path[2], rows)
        for index, row in enumerate(rows):
            yield read_entry(path, row, names[index], lines.of(path, index))


def _names(kind: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the name of each entry.

    Entries without one are numbered among those that begin with the same run: two
    regions are ``ROI_0`` and ``ROI_1``, and the same two from a later run on are
    ``ROI_0`` and ``ROI_1`` again.
    """
    model = model_of(kind)
    if not model.is_named():
        return [""] * len(rows)
    default = model().trait_values()["name"]
    counted: Counter[int] = Counter()
    names = []
    for row in rows:
        if "name" in row:
            names.append(row["name"])
            continue
        begin = RunRange.parse(row["runs"]).begin
        names.append(f"{default}_{counted[begin]}")
        counted[begin] += 1
    return names


def _document(experiment: str, entries: Sequence[Entry]) -> str:
    head = (
        f"schema = {toml_text.value_text(SCHEMA)}\n"
        f"experiment = {toml_text.value_text(experiment)}\n"
    )
    return head + "".join("\n" + entry.text() for entry in entries)


def append(
    path: str | os.PathLike[str], entries: Sequence[Entry], experiment: str
) -> ParameterFile:
    """Add entries at the end of a file, which is made if there is none.

    What stands in the file is kept to the letter.  The file is read again under a
    lock, so that two sessions can append at once, and the result is checked before
    it takes the file's place.

    Parameters
    ----------
    path : the file
    entries : what to add, in this order
    experiment : the experiment that the file is for

    Returns
    -------
    The file as it is now; the new entries are its last ones of their detector and
    kind.

    Raises
    ------
    ParameterError
        if the file or one of the entries is wrong; nothing is changed then
    FileError
        if the file cannot be read or written
    """
    path = Path(path)
    with _locked(path):
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = _document(experiment, ())
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"cannot read the parameters: {error}: {path}") from error
        ParameterFile.parse(text, path, experiment)
        stamp = f"# exported {provenance.now().isoformat()} by {provenance.author()}\n"
        text += "" if text.endswith("\n") else "\n"
        text += "".join(f"\n{stamp}{entry.text()}" for entry in entries)
        result = ParameterFile.parse(text, path, experiment)
        with replacing(path) as aside:
            aside.write_text(text, encoding="utf-8")
    return result


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file that may be replaced: on a hidden file beside it."""
    lock = make_folder(path.parent) / f".{path.name}.lock"
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, FILE_MODE)
    except OSError as error:
        raise FileError(f"cannot write {lock}: {reason(error)}") from error
    try:
        with contextlib.suppress(PermissionError):  # it is another user's, and open
            os.fchmod(descriptor, FILE_MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
