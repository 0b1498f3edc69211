"""The parameter file: what a session hands to the producer, as data.

A TOML file for an experiment: entries by detector and kind with a range of runs.  It
is read strictly, and only ever appended to; nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import math
import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.parameters import checking, toml_text
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.resolved import Resolved, applying, by_detector
from smalldata_ana.parameters.tables import Table, readable_tables, table_problems
from smalldata_ana.parameters.toml_text import Located
from smalldata_ana.safe_files import reason


@dataclass(frozen=True)
class ParameterFile:
    """A parameter file that was read and found right; make it with `load`.

    Attributes
    ----------
    path : where it is
    experiment : the experiment that it is for
    entries : all entries, in the order of the file within a detector and kind
    text : the whole file
    tables : what it says beside the detectors
    """

    path: Path
    experiment: str
    entries: tuple[Entry, ...]
    text: str
    tables: tuple[Table, ...] = ()

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
            if an entry is wrong; the message names everything, with the lines.
            Files that entries name, and what entries have to do with each other, are
            checked for the runs where they matter, or by `problems_of_file`
        """
        path = Path(path)
        return cls.parse(read_text(path), path, experiment)

    @classmethod
    def parse(cls, text: str, path: Path, experiment: str | None = None) -> Self:
        """Check the text of a file; as `load`."""
        document = _document_of(text, path)
        lines = toml_text.Lines(text)
        problems = _in_order(_own_problems(document, lines, experiment))
        if problems:
            raise ParameterError("\n".join(f"{path}: {p}" for p in problems))
        entries = tuple(checking.readable_entries(document, lines))
        tables = tuple(readable_tables(document, lines))
        return cls(path, document["experiment"], entries, text, tables)

    @classmethod
    def right_part(
        cls, path: str | os.PathLike[str], experiment: str | None = None
    ) -> Self | None:
        """Return what of a file with errors can be checked against a run.

        Parameters
        ----------
        path, experiment : as `load` takes them

        Returns
        -------
        None if the file is for another experiment or version, or is no TOML.
        """
        path = Path(path)
        text = read_text(path)
        try:
            document = _document_of(text, path)
        except ParameterError:
            return None
        lines = toml_text.Lines(text)
        if any(checking.head_problems(document, lines, experiment)):
            return None
        entries = tuple(checking.checkable_entries(document, lines))
        right = not any(table_problems(document, lines))
        tables = tuple(readable_tables(document, lines)) if right else ()
        return cls(path, document["experiment"], entries, text, tables)

    def resolve(self, run: int) -> Resolved:
        """Return what applies to a run; entries as `resolved.applying` says."""
        chosen = applying(self.entries, run)
        tables = tuple(t for t in self.tables if t.applies_to(run))
        return Resolved(
            run=run,
            detectors=by_detector(chosen),
            path=self.path,
            sha256=hashlib.sha256(self.text.encode()).hexdigest(),
            text=file_text(self.experiment, chosen, tables),
            tables=tables,
        )


def read_text(path: Path) -> str:
    """Return the text of a parameter file.

    Raises
    ------
    FileError
        if it does not exist or cannot be read
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise FileError(
            f"there is no parameter file {path}; make it in a session with "
            "anaps.exportParams(), or name another with --params"
        ) from None
    except OSError as error:
        raise FileError(
            f"cannot read the parameters {path}: {reason(error)}; name a file .toml"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FileError(
            f"cannot read the parameters {path}: line {line} is no text in UTF-8; save "
            "it as such, or name another file, .toml"
        ) from error


def _document_of(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise ParameterError(f"{path} is not TOML: {error}") from error


def _document_in(path: Path) -> tuple[dict[str, Any], toml_text.Lines]:
    text = read_text(path)
    return _document_of(text, path), toml_text.Lines(text)


def _own_problems(
    document: dict[str, Any], lines: toml_text.Lines, experiment: str | None
) -> list[Located]:
    """Return what is wrong with the head and each entry."""
    newer = checking.newer_schema(document)
    if newer:
        return [Located(lines.of_head("schema"), newer)]
    return [
        *checking.head_problems(document, lines, experiment),
        *checking.entry_problems(document, lines),
        *table_problems(document, lines),
    ]


def right_entries(
    path: str | os.PathLike[str], experiment: str
) -> tuple[list[Entry], list[str]]:
    """Return the entries with which by themselves nothing is wrong, and what is wrong.

    Parameters
    ----------
    path : the file
    experiment : of another one, nothing is right; nor is it of a later version

    Raises
    ------
    FileError
        if it does not exist or cannot be read
    ParameterError
        if it is not TOML at all
    """
    document, lines = _document_in(Path(path))
    problems = _in_order(_own_problems(document, lines, experiment))
    of = document.get("experiment", experiment)
    if checking.newer_schema(document) or of != experiment:
        return [], problems
    return checking.right_entries(document, lines), problems


def problems_of_file(
    path: str | os.PathLike[str], experiment: str | None = None
) -> list[str]:
    """Return all that is wrong with a parameter file, for any run.

    Parameters
    ----------
    path : the file
    experiment : the experiment that it must be for, or None for any

    Returns
    -------
    A sentence for each problem, with its line, in their order.

    Raises
    ------
    FileError
        if the file does not exist or cannot be read
    ParameterError
        if it is not TOML at all
    """
    document, lines = _document_in(Path(path))
    folder = Path(path).parent
    problems = _own_problems(document, lines, experiment)
    if checking.newer_schema(document):
        return _in_order(problems)
    entries = tuple(checking.readable_entries(document, lines))
    doubtful = tuple(checking.doubtful_entries(document, lines))
    problems += [p.located() for p in checking.file_problems(entries, folder)]
    problems += checking.doubtful_problems(doubtful, entries, folder)
    problems += [
        problem.located(f" (from run {run} on)")
        for find in (checking.together_problems, checking.lacking_problems)
        for problem, run in checking.all_together_problems(entries, doubtful, find)
    ]
    return _in_order(problems)


def _in_order(problems: Iterable[Located]) -> list[str]:
    """Return problems as texts, in the order of the lines; those without one last."""
    return [str(p) for p in sorted(problems, key=lambda p: p.line or math.inf)]


def file_text(
    experiment: str, entries: Sequence[Entry], tables: Sequence[Table] = ()
) -> str:
    """Return the text of a parameter file with some entries and tables."""
    head = (
        f"schema = {toml_text.value_text(checking.SCHEMA)}\n"
        f"experiment = {toml_text.value_text(experiment)}\n"
    )
    texts = [*(table.text() for table in tables), *(entry.text() for entry in entries)]
    return head + "".join("\n" + text for text in texts)
