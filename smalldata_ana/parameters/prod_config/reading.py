"""Entries made of what a ``prod_config`` of smalldata_tools says."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.entry import Entry, problems_of
from smalldata_ana.parameters.model import model_of
from smalldata_ana.parameters.prod_config.evaluating import Evaluated, no_data
from smalldata_ana.parameters.prod_config.event_lists import integrating_of
from smalldata_ana.parameters.prod_config.forms import (
    DETECTOR_LISTS,
    DROPLET,
    EVENT_LISTS,
    FUNCTIONS,
    INTEGRATING,
    INTEGRATING_LIST,
    N_DATA,
    OLD_AZAV,
    OLD_AZAV_KEYS,
    OLD_AZAV_VALUES,
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

_IMAGE = "get_photon_img"
"""In ``get_droplet2photon`` of LCLS-II: True to store images of the photons."""


@dataclass
class _Detector:
    """The entries of one detector for one run.

    Attributes
    ----------
    name : of the detector
    run : the run
    entries : what was found, by name
    notes : a sentence for each thing that is not read as it stands there
    """

    name: str
    run: int
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        kind: str,
        values: Any,
        of: str | None = None,
        name: str = "",
        made: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Add an entry, under a name that no other one has."""
        if not isinstance(values, Mapping):
            raise ParameterError(
                f"{self.name}: {values!r} are no parameters of {kind!r}"
            )
        given, ignored = in_our_words(kind, values)
        self.notes += [
            f"{key} of {kind!r} of {self.name} changes no result: it is ignored"
            for key in ignored
        ]
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
        entry = Entry(
            self.name, kind, runs, given, self._free(title), of=of, made=made or {}
        )
        self.entries.append(entry)
        return entry

    def _free(self, name: str) -> str:
        taken = {entry.name for entry in self.entries}
        names = (name, *(f"{name}_{n}" for n in range(1, len(taken) + 1)))
        return next(n for n in names if not n or n not in taken)


def entries_of(
    evaluated: Evaluated, runs: RunRange, present: Collection[str] | None = None
) -> tuple[list[Entry], list[str]]:
    """Return the entries that say the same as a module does.

    Parameters
    ----------
    evaluated : what its functions return
    runs : the runs that they were called for
    present : the detectors that there are, if that is known; what is wrong for others
        is left out

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
    notes: dict[str, None] = dict.fromkeys(_notes(evaluated))
    detectors = listed(evaluated)
    by_detector = _by_detector(evaluated)
    for index in range(len(range(runs.begin, (runs.end or 0) + 1))):
        values = {name: rows[index] for name, rows in by_detector.items()}
        found = _of_run(values, runs.begin + index, detectors, present)
        by_run.append(found.entries)
        notes |= dict.fromkeys(found.notes)
        for problem in found.problems:
            problems.setdefault(problem, runs.begin + index)
    if problems:
        raise ParameterError(
            "\n".join(
                f"{evaluated.path}, run {run}: {problem}"
                for problem, run in problems.items()
            )
        )
    how = made("from-prod-config", file=str(evaluated.path))
    merged = [dataclasses.replace(e, made=how | dict(e.made)) for e in _merged(by_run)]
    return merged, list(notes)


def _by_detector(evaluated: Evaluated) -> dict[str, list[Any]]:
    """Return what the functions say whose values belong to detectors."""
    return {k: rows for k, rows in evaluated.functions.items() if k in FUNCTIONS}


def listed(evaluated: Evaluated) -> set[str] | None:
    """Return the detectors that the module names, or None if it does not.

    Those that integrate over several events are among them.
    """
    lists = [evaluated.lists[n] for n in DETECTOR_LISTS if n in evaluated.lists]
    lists += integrating_of(evaluated) if lists else []
    return {str(name) for names in lists for name in names} if lists else None


def _notes(evaluated: Evaluated) -> Iterator[str]:
    """Yield what is not read."""
    detectors = listed(evaluated)
    known = {*DETECTOR_LISTS, *EVENT_LISTS}
    known |= set() if INTEGRATING in evaluated.functions else {INTEGRATING_LIST}
    if evaluated.lacks:
        yield evaluated.lacks
    unread = {name for name, value in evaluated.lists.items() if value} - known
    for name in sorted(unread | ({DEFINE_DETS} & evaluated.defined)):
        yield f"{name} is not read"
    for name, rows in _by_detector(evaluated).items():
        told = {d for row in rows if isinstance(row, Mapping) for d in row} - {_ALL}
        for detector in sorted(told - detectors if detectors is not None else ()):
            yield f"{detector} of {name} is not in the list of detectors: left out"


@dataclass(frozen=True)
class _Found:
    """What is said for one run, what is wrong with it, and what is not read."""

    entries: list[Entry]
    problems: list[str]
    notes: list[str]


def _of_run(
    values: Mapping[str, Any],
    run: int,
    listed: set[str] | None,
    present: Collection[str] | None,
) -> _Found:
    problems = []
    notes = []
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
                if present is None or name in present:
                    problems.append(f"{function}: {error}")
                else:
                    notes.append(
                        f"left out, as the run has no {name}: {function}: {error}"
                    )
    entries = [e for d in detectors.values() for e in d.entries]
    notes += [note for d in detectors.values() for note in d.notes]
    return _Found(entries, problems, notes)


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
    """Add what a function says for a detector.

    Raises
    ------
    ParameterError
        if it is no data, or a parameter is unknown or has a value that is not allowed
    """
    if strange := no_data(value):
        raise ParameterError(
            f"{detector.name}: {strange} is no parameter; write numbers, texts, or "
            "lists of them"
        )
    if function == ROIS:
        _read_regions(value, detector)
    elif function in SUMS.values():
        keys = [value] if isinstance(value, str) else value
        detector.add("sums", {"sums": keys})
    elif function == OLD_AZAV and isinstance(value, Mapping):
        _read_azav(value, detector)
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


def _read_azav(value: Mapping[str, Any], detector: _Detector) -> None:
    """Read one azimuthal average, which may have but what old producers asked for."""
    if value.keys() != OLD_AZAV_KEYS:
        detector.add(PLAIN[OLD_AZAV], value)
        return
    taken = ", ".join(f"{key} = {known}" for key, known in OLD_AZAV_VALUES.items())
    assumed = f"{taken}, as the producer of this form took: vertical polarization"
    detector.add(
        PLAIN[OLD_AZAV], {**value, **OLD_AZAV_VALUES}, made={"assumed": assumed}
    )
    detector.notes.append(
        f"{OLD_AZAV}: {detector.name}: {assumed}; for others, write them beside "
        f"{', '.join(sorted(OLD_AZAV_KEYS))}"
    )


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
    if chain.pop(_IMAGE, False):
        raise ParameterError(
            f"{detector.name}: {_IMAGE}: images of the photons are not stored; "
            f"{N_DATA} stores where each photon is"
        )
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
