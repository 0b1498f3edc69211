"""Azimuthal integrations of the parameter file, in a session that did not make them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.ana_funcs.beam_parameters import completed
from smalldata_ana.errors import SmallDataError
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.model import model_of
from smalldata_ana.session.known_beam import beam_in_numbers
from smalldata_ana.session.known_entries import written_entries
from smalldata_ana.session.made_names import det_object


def attach_exported(session: Any) -> None:
    """Attach the integrations that the parameter file has for the session's run.

    A detector keeps what it has; of an integration that does not fit it is said once.

    Parameters
    ----------
    session : the session
    """
    for entry in written_entries(session):
        integrates = issubclass(model_of(entry.kind), azimuthalBinning)
        if not integrates or entry.of or entry.detector not in session.run.detectors:
            continue
        try:
            _attach(session, entry)
        except SmallDataError as error:
            session.warn_once(f"{entry} of the parameter file is left out: {error}")


def _attach(session: Any, entry: Entry) -> None:
    det = det_object(session, entry.detector)
    known = beam_in_numbers(session, entry.detector)
    values = completed(entry.values, known, model_of(entry.kind))
    func = replace(entry, values=values).make()
    if isinstance(func, azimuthalBinning) and func.name not in det.funcs:
        det.addFunc(func)
