"""Entries made of what a ``prod_config`` of smalldata_tools says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.entry import Entry, problems_of
from smalldata_ana.parameters.model import model_of
from smalldata_ana.parameters.prod_config.evaluating import Evaluated
from smalldata_ana.parameters.prod_config.forms import (
    DETECTOR_LISTS,
    DROPLET,
    EVENT_LISTS,
    FUNCTIONS,
    N_DATA,
    OLD_DROPLET,
    OLD_PHOTONS,
    OLD_PROJECTIONS,
    PHOTONS,
    PLAIN,
    PROJECTIONS,
    ROIS,
    SUMS,
)
from smalldata_ana.parameters.prod_config.vocabulary import in_our_words
from smalldata_ana.parameters.provenance import made
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.user_code import DEFINE_DETS

_ALL = "all"
"""In ``get_sum_algos``: for detectors that are not named."""


@dataclass
class _Detector:
    """The entries of one detector for one run.

    Attributes
    ----------
    name : of the detector
    run : the run
    entries : what was found, by name
    """

    name: str
    run: int
    entries: list[Entry] = field(default_factory=list)

    def add(
        self, kind: str, values: Any, of: str | None = None, name: str = ""
    ) -> Entry:
        """Add an entry, under a name that no other one has."""
        if not isinstance(values, Mapping):
            raise ParameterError(
                f"{self.name}: {values!r} are no parameters of {kind!r}"
            )
        given = in_our_words(kind, values)
        wanted = given.pop("name", name)
        table = {"runs": str(self.run), **({"name": wanted} if wanted else {})}
        problems = problems_of(kind, table | given)
        if found := [problem for _, problem in problems]:
            raise ParameterError(
                "; ".join(f"{self.name}: {problem}" for problem in found)
            )
        named = model_of(kind).is_named()
        title = wanted or (model_of(kind).default_name(given) if named else "")
        runs = RunRange(self.run, self.run)
        entry = Entry(self.name, kind, runs, given, self._free(title), of=of)
        self.entries.append(entry)
        return entry

    def _free(self, name: str) -> str:
        taken = {entry.name for entry in self.entries}
        names = (name, *(f"{name}_{n}" for n in range(1, len(taken) + 1)))
        return next(n for n in names if not n or n not in taken)


def entries_of(evaluated: Evaluated, runs: RunRange) -> tuple[list[Entry], list[str]]:
    """Return the entries that say the same as a module does.

    Parameters
    ----------
    evaluated : what its functions return
    runs : the runs that they were called for

    Returns
    -------
    The entries, for the longest ranges of runs with the same values, and a sentence
    for each thing of the module that is not in them.

    Raises
    ------
    ParameterError
        if a parameter is unknown or has a value that is not allowed: everything, with
        the first run where it is so
    """
    by_run: list[list[Entry]] = []
    problems: dict[str, int] = {}
    detectors = listed(evaluated)
    by_detector = _by_detector(evaluated)
    for index in range(len(range(runs.begin, (runs.end or 0) + 1))):
        values = {name: rows[index] for name, rows in by_detector.items()}
        found, wrong = _of_run(values, runs.begin + index, detectors)
        by_run.append(found)
        for problem in wrong:
            problems.setdefault(problem, runs.begin + index)
    if problems:
        raise ParameterError(
            "\n".join(
                f"{evaluated.path}, run {run}: {problem}"
                for problem, run in problems.items()
            )
        )
    how = made("from-prod-config", file=str(evaluated.path))
    merged = [dataclasses.replace(e, made=how) for e in _merged(by_run)]
    return merged, list(_notes(evaluated, detectors))


def _by_detector(evaluated: Evaluated) -> dict[str, list[Any]]:
    """Return what the functions say whose values belong to detectors."""
    return {k: rows for k, rows in evaluated.functions.items() if k in FUNCTIONS}


def listed(evaluated: Evaluated) -> set[str] | None:
    """Return the detectors that the module names, or None if it does not."""
    lists = [evaluated.lists[n] for n in DETECTOR_LISTS if n in evaluated.lists]
    return {str(name) for names in lists for name in names} if lists else None


def _notes(evaluated: Evaluated, detectors: set[str] | None) -> Iterator[str]:
    known = {*DETECTOR_LISTS, *EVENT_LISTS}
    unread = {name for name, value in evaluated.lists.items() if value} - known
    for name in sorted(unread | ({DEFINE_DETS} & evaluated.defined)):
        yield f"{name} is not read"
    for name, rows in _by_detector(evaluated).items():
        told = {d for row in rows if isinstance(row, Mapping) for d in row} - {_ALL}
        for detector in sorted(told - detectors if detectors is not None else ()):
            yield f"{detector} of {name} is not in the list of detectors: left out"


def _of_run(
    values: Mapping[str, Any], run: int, listed: set[str] | None
) -> tuple[list[Entry], list[str]]:
    """Return the entries for one run, and what is wrong."""
    problems = []
    detectors: dict[str, _Detector] = {}
    for function, by_detector in values.items():
        if not isinstance(by_detector, Mapping):
            problems.append(f"{function} returns {by_detector!r}, not a dict")
            continue
        for name, value in _named(by_detector, listed):
            detector = detectors.setdefault(name, _Detector(name, run))
            try:
                _read(function, value, detector)
            except ParameterError as error:
                problems.append(f"{function}: {error}")
    return [e for d in detectors.values() for e in d.entries], problems


def _named(
    by_detector: Mapping[str, Any], listed: set[str] | None
) -> Iterator[tuple[str, Any]]:
    """Return the values by detector, for each that takes part."""
    for_all = by_detector.get(_ALL)
    rest = (listed or set()) - set(by_detector) if for_all is not None else set()
    for name in sorted(rest):
        yield name, for_all
    for name, value in by_detector.items():
        if name != _ALL and (listed is None or name in listed):
            yield name, value


def _read(function: str, value: Any, detector: _Detector) -> None:
    if function == ROIS:
        _read_regions(value, detector)
    elif function in SUMS.values():
        keys = [value] if isinstance(value, str) else value
        detector.add("sums", {"sums": keys})
    elif function in OLD_PROJECTIONS:
        _read_projections(value, OLD_PROJECTIONS[function], detector)
    elif function in {PHOTONS, OLD_PHOTONS}:
        for one in _several(value):
            _read_photons(one, detector)
    elif function in {DROPLET, OLD_DROPLET}:
        for one in _several(value):
            _read_droplet(one, detector)
    else:
        for one in _several(value):
            detector.add(PLAIN[function], one)


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _read_regions(value: Any, detector: _Detector) -> None:
    """Read regions: a list of dicts or of boxes, or a dict with ``ROIs``."""
    if isinstance(value, Mapping) and "ROIs" in value:
        shared = {k: v for k, v in value.items() if k != "ROIs"}
        value = [{"ROI": box, **shared} for box in value["ROIs"]]
    for number, one in enumerate(_several(value)):
        region = dict(one) if isinstance(one, Mapping) else {"ROI": one}
        lines = [p for key in PROJECTIONS for p in _several(region.pop(key, []))]
        entry = detector.add("roi", region, name=f"ROI_{number}")
        for line in lines:
            detector.add("projection", line, of=entry.name)


def _read_projections(value: Any, axis: int, detector: _Detector) -> None:
    """Read the projection of an older template: it is of every region."""
    for region in [e for e in detector.entries if e.kind == "roi"]:
        detector.add("projection", {"axis": axis, **value}, of=region.name)


def _read_droplet(value: Any, detector: _Detector) -> None:
    droplet, length = _without_length(value)
    entry = detector.add("droplet", droplet)
    _add_list(length, entry, detector)


def _read_photons(value: Any, detector: _Detector) -> None:
    chain, length = _without_length(value)
    droplet = detector.add("droplet", chain.get("droplet"))
    photons = detector.add("photons", chain.get("d2p"), of=droplet.name)
    _add_list(length, photons, detector)
    for key in sorted(set(chain) - {"droplet", "d2p"}):
        raise ParameterError(f"{detector.name}: {key!r} is unknown")


def _without_length(value: Any) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the parameters without the number of entries to store, and that."""
    if not isinstance(value, Mapping):
        raise ParameterError(f"{value!r} is not a dict")
    rest = dict(value)
    if N_DATA not in rest:
        return rest, {}
    number = rest.pop(N_DATA)
    whole = isinstance(number, float) and number.is_integer()
    return rest, {N_DATA: int(number) if whole else number}


def _add_list(length: Mapping[str, Any], above: Entry, detector: _Detector) -> None:
    if N_DATA in length:
        detector.add("sparsify", length, of=above.name)


def _merged(by_run: Iterable[list[Entry]]) -> list[Entry]:
    """Return the entries, with one for all neighbouring runs where it is the same."""
    done: list[Entry] = []
    open_: list[Entry] = []
    for entries in by_run:
        now = []
        for entry in entries:
            same = next((e for e in open_ if _says_the_same(e, entry)), None)
            if same is None:
                now.append(entry)
            else:
                open_.remove(same)
                runs = RunRange(same.runs.begin, entry.runs.begin)
                now.append(dataclasses.replace(same, runs=runs))
        done += open_
        open_ = now
    return sorted(done + open_, key=lambda e: (e.detector, e.runs.begin))


def _says_the_same(one: Entry, other: Entry) -> bool:
    return dataclasses.replace(one, runs=other.runs) == other
