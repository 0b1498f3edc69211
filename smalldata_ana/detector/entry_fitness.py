"""Does what was chosen in one run fit another: constants, energy, runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from smalldata_ana.parameters.entry import Entry
from smalldata_ana.sources.base import Run
from smalldata_ana.sources.constants import Constants
from smalldata_ana.sources.photon_energy import measured_energy

ENERGY_DIFFERS = 0.02
"""Relative difference between two photon energies that is told."""


def doubts(run: Run, constants: Constants, entries: Sequence[Entry]) -> Iterator[str]:
    """Say where entries of a detector may not be meant for a run.

    Parameters
    ----------
    run : the run
    constants : those of the detector in it
    entries : those that apply, with numbers for what follows a variable

    Yields
    ------
    A sentence each; none of them is an error.
    """
    for entry in entries:
        for text in (*_of_origin(entry), *_of_constants(entry, constants)):
            yield f"{entry}: {text}"
    yield from _of_energy(run, entries)


def _of_origin(entry: Entry) -> Iterator[str]:
    made_in = entry.made.get("run")
    if isinstance(made_in, int) and made_in not in entry.runs:
        yield f"it was made in run {made_in}, which is not one of its runs"


def _of_constants(entry: Entry, constants: Constants) -> Iterator[str]:
    then = entry.made.get("calibration")
    if not isinstance(then, Mapping):
        return
    for name, validity in then.items():
        now = constants.items.get(name)
        if now is None or now.validity != validity:
            used = "has none" if now is None else f"uses those of {now.validity}"
            yield f"it was made with the {name} of runs {validity}; this run {used}"


def _of_energy(run: Run, entries: Sequence[Entry]) -> Iterator[str]:
    given = {
        str(entry): entry.values["eBeam"]
        for entry in entries
        if isinstance(entry.values.get("eBeam"), int | float)
    }
    measured = measured_energy(run) if given else None
    if measured is None:
        return
    energy, name = measured
    for entry, value in given.items():
        if abs(value / energy - 1) > ENERGY_DIFFERS:
            yield f"{entry}: eBeam = {value:g} keV, but {name} says {energy:.4g} keV"
