"""What a session knows of the beam at a detector, from whichever entry says it."""

from __future__ import annotations

from typing import Any

from smalldata_ana.ana_funcs.beam_parameters import BeamParameters, completed
from smalldata_ana.parameters.model import model_of
from smalldata_ana.session.known_entries import written_entries
from smalldata_ana.session.known_geometry import KIND, geometry_in_numbers


def beam_in_numbers(session: Any, detector: str) -> dict[str, Any]:
    """Return centre, distance, energy and more of a detector, as far as they are known.

    The ``geometry`` entry wins; what it lacks is taken from the azimuthal integrations
    that were accepted or exported, the latest first, and then from those that the
    session has of the detector.

    Parameters
    ----------
    session : the session; what was accepted in it wins over the parameter file
    detector : its name

    Raises
    ------
    ParameterError
        if a process variable of the geometry is not in the run
    """
    known = geometry_in_numbers(session, detector)
    for entry in reversed([*written_entries(session), *session.pending]):
        if entry.detector != detector or entry.kind == KIND or not entry.enabled:
            continue
        if issubclass(model_of(entry.kind), BeamParameters):
            known = completed(known, entry.values)
    det = session.det_objects.get(detector)
    for func in reversed([] if det is None else det.funcs.values()):
        if isinstance(func, BeamParameters):
            values = {key: getattr(func, key) for key in BeamParameters.file_keys()}
            known = completed(known, values)
    return known
