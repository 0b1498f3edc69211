"""From parameters and a run to detectors."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import smalldata_ana.cube_parameters
import smalldata_ana.event_data.parameters  # noqa: F401 (registers its table)
from smalldata_ana.ana_funcs import DetObjectFunc
from smalldata_ana.ana_funcs.beam_parameters import GeometryParameters, completed
from smalldata_ana.ana_funcs.droplets import check_one_photon
from smalldata_ana.ana_funcs.followed_values import followed
from smalldata_ana.detector.defined import defined_detectors
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.entry_fitness import doubts
from smalldata_ana.detector.function_results import Fields
from smalldata_ana.detector.mask_entries import MaskParameters
from smalldata_ana.detector.sum_entries import SumsParameters
from smalldata_ana.detector.sums import Sums
from smalldata_ana.detector.user_data import checkDet
from smalldata_ana.errors import ParameterError, SmallDataError, UserCodeError
from smalldata_ana.own_functions import load_functions, own_traceback
from smalldata_ana.parameters.checking import together_problems
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.model import Parameters
from smalldata_ana.parameters.record import is_used
from smalldata_ana.parameters.resolved import Definition, Resolved
from smalldata_ana.parameters.tables import EVENT
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.photon_energy import measured_energy
from smalldata_ana.units import HIGHEST_PHOTON_ENERGY

logger = logging.getLogger(__name__)

Made = Sequence[tuple[Entry, Parameters]]
"""Entries with the objects that they describe."""


def build_detectors(
    run: Run, resolved: Resolved, described: Mapping[str, Fields] | None = None
) -> list[DetObject]:
    """Return the detectors of a run with the functions that the parameters say.

    Parameters
    ----------
    run : the run
    resolved : what the parameters say for it
    described : by detector, the results of its functions, where they are known

    Raises
    ------
    ParameterError
        if the parameters do not fit the run: all problems at once, one a line
    UserCodeError
        if a file of the user's own fails
    """
    problems: list[str] = []
    detectors = _detectors(run, resolved, described or {}, problems)
    if problems:
        raise ParameterError("\n".join(f"{resolved.path}: {p}" for p in problems))
    return detectors


def _detectors(
    run: Run,
    resolved: Resolved,
    described: Mapping[str, Fields],
    problems: list[str],
) -> list[DetObject]:
    """Return the detectors; tell what is wrong, also that there are none."""
    if resolved.functions is not None:
        load_functions(resolved.functions.path, resolved.functions.sha256)
    definition = resolved.define_dets
    detectors = [] if definition is None else _defined(run, definition, problems)
    defined = {detector.name for detector in detectors}
    used = {n: e for n, e in resolved.detectors.items() if is_used(e)}
    for name, entries in used.items():
        may_lack = resolved.may_lack and bool(entries)
        if name in defined or (may_lack and not checkDet(run, name)):
            continue
        if not entries:
            logger.warning(
                "nothing is computed of the images of %r: %s has no entries for it in "
                "run %d, beside those that options leave out",
                name,
                resolved.path,
                run.number,
            )
        fields = described.get(name)
        detectors += _checked_detector(run, name, entries, resolved, fields, problems)
    for_events = any(table.kind == EVENT for table in resolved.tables)
    if not (detectors or problems or for_events):
        problems.append(
            f"nothing is to be done for run {run.number}; add entries whose range "
            f'holds it, for instance runs = "{run.number}-", or have the data beside '
            "the detectors alone with --default"
        )
    return detectors


def _defined(run: Run, definition: Definition, problems: list[str]) -> list[DetObject]:
    """Return the detectors that the user's code makes, with what options change."""
    found = [
        d for d in defined_detectors(definition.code, run) if definition.has(d.name)
    ]
    for detector in found:
        _change(detector, definition, problems)
    return found


def _change(detector: DetObject, definition: Definition, problems: list[str]) -> None:
    if not definition.sums:
        detector.sums = Sums(detector.shape, lambda: detector.geometry)
    added = definition.added.get(detector.detname, ())
    _add_functions(detector, [(entry, entry.make()) for entry in added], problems)


def _checked_detector(
    run: Run,
    name: str,
    entries: Sequence[Entry],
    resolved: Resolved,
    fields: Fields | None,
    problems: list[str],
) -> list[DetObject]:
    """Return a detector, if it can be made."""
    wrong = list(together_problems(entries))
    problems += map(str, wrong)
    # The others are tried all the same, so that all problems are told at once.
    others = [e for e in entries if all(p.entry is not e for p in wrong)]
    detector = _detector(run, name, others, resolved.path.parent, fields, problems)
    return [] if detector is None else [detector]


def _detector(
    run: Run,
    name: str,
    entries: Sequence[Entry],
    folder: Path,
    fields: Fields | None,
    problems: list[str],
) -> DetObject | None:
    """Make a detector with its masks, functions and sums; tell what is wrong."""
    modes = [e.values["common_mode"] for e in entries if e.kind == "common_mode"]
    try:
        detector = DetObject(name, run, common_mode=modes[0] if modes else None)
    except SmallDataError as error:
        problems.append(str(error))
        return None
    if fields is not None:
        detector.freeze(fields)
    complete = _with_beam(run, entries, problems)
    for doubt in doubts(run, detector.calibration.constants, complete):
        logger.warning("%s", doubt)
    made = []
    for entry in complete:
        with _problems_of(entry, problems):
            made.append((entry, entry.make()))
    _apply_masks(detector, made, folder, problems)
    for entry, parameters in made:
        if isinstance(parameters, SumsParameters):
            with _problems_of(entry, problems):
                for key in parameters.sums:
                    detector.storeSum(key)
    _add_functions(detector, made, problems)
    return detector


def _apply_masks(
    detector: DetObject, made: Made, folder: Path, problems: list[str]
) -> None:
    """Leave out what any mask leaves out: before the functions see the detector."""
    for entry, parameters in made:
        if isinstance(parameters, MaskParameters):
            with _problems_of(entry, problems):
                detector.addMask(parameters.read(folder))


@contextmanager
def _problems_of(entry: Entry, problems: list[str]) -> Iterator[None]:
    """Collect what goes wrong with an entry."""
    try:
        yield
    except SmallDataError as error:
        problems.append(f"{_place(entry)}: {error}")
    except Exception as error:
        if not entry.is_own:
            raise
        raise UserCodeError(
            f"{_place(entry)} failed\n{own_traceback(error, entry.model)}"
        ) from error


def _with_beam(run: Run, entries: Sequence[Entry], problems: list[str]) -> list[Entry]:
    """Return the entries with what they lack of the geometry, in numbers."""
    numbers = []
    for entry in entries:
        if entry.kind == "geometry":
            with _problems_of(entry, problems):
                numbers.append(_in_numbers(entry, run))
        else:
            numbers.append(entry)
    return with_geometry(numbers)


def _in_numbers(entry: Entry, run: Run) -> Entry:
    """Return a geometry with the values that its variables have in the run."""
    known = replace(entry, values=followed(entry.values, run))
    known.make()
    for key, value in known.values.items():
        if value != entry.values[key]:
            logger.info("%s: %s = %g in run %d", entry, key, value, run.number)
    return known


def with_geometry(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries of one detector, with what they lack of the beam's geometry.

    Parameters
    ----------
    entries : those that apply to a run; the ``geometry`` among them completes others
    """
    geometry = next((e.values for e in entries if e.kind == "geometry"), {})
    return [
        entry
        if entry.kind == "geometry"
        else replace(entry, values=completed(entry.values, geometry, entry.model))
        for entry in entries
    ]


def _add_functions(detector: DetObject, made: Made, problems: list[str]) -> None:
    """Attach the functions, each after the one that it is chained to."""
    functions = [(e, func) for e, func in made if isinstance(func, DetObjectFunc)]
    energy = _photon_energy(detector.run, made)

    def add_to(above: DetObject | DetObjectFunc, of: str | None) -> None:
        for entry, func in functions:
            if entry.of == of:
                with _problems_of(entry, problems):
                    above.addFunc(func)
                    if above is not detector:
                        func.describe()
                    if energy is not None and getattr(func, "eBeam", None) is None:
                        check_one_photon(func, *energy)
                add_to(func, entry.name)

    told = len(problems)
    add_to(detector, None)
    if len(problems) == told:
        problems += _same_names(detector)


def _photon_energy(run: Run, made: Made) -> tuple[float, str] | None:
    """Return the energy that the geometry says, or else the run, and what tells it.

    It is for the functions that say what one photon is, and no energy.
    """
    for _, parameters in made:
        if isinstance(parameters, GeometryParameters) and parameters.eBeam is not None:
            return parameters.eBeam, "eBeam"
    asked = any(isinstance(p, DetObjectFunc) and p.one_photon() for _, p in made)
    measured = measured_energy(run) if asked else None
    plausible = measured is not None and measured[0] < HIGHEST_PHOTON_ENERGY
    return measured if plausible else None


def _same_names(detector: DetObject) -> Iterator[str]:
    """Say which results of chained functions are called like those of others."""
    owners: dict[str, str] = {}
    for name, fields in detector.fields_of.items():
        taken = sorted(owners.keys() & fields.keys())
        if taken:
            yield (
                f"{name!r} of {detector.name!r} gives {taken}, which "
                f"{owners[taken[0]]!r} gives already; give another name"
            )
        owners |= dict.fromkeys(fields, name)


def _place(entry: Entry) -> str:
    return f"line {entry.line}: {entry}" if entry.line else str(entry)
