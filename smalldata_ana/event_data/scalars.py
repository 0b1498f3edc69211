"""Scalars of beamline detectors, each as a dataset."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from smalldata_ana.detector.protocol import Field
from smalldata_ana.event_data.tables import (
    FIELDS,
    GROUPS,
    LEFT_OUT,
    NOT_DETECTORS,
    SCALARS,
    Name,
)
from smalldata_ana.event_data.topic import (
    LARGEST_ARRAY,
    Seen,
    field_of,
    filled,
    is_text,
    n_values,
)
from smalldata_ana.sources.base import Array, Run, ScalarInfo

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scalars:
    """Scalars of a run that are stored as they are, perhaps under another name.

    Attributes
    ----------
    sources : the scalar of each dataset
    fields : the datasets
    configured : what is stored once of them
    """

    sources: Mapping[str, str]
    fields: Mapping[str, Field]
    configured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def reads(self) -> tuple[str, ...]:
        """All of its scalars."""
        return tuple(self.sources.values())

    def values(self, seen: Seen) -> dict[str, Array]:
        """Return each scalar with the missing values of its dataset."""
        return {
            path: filled(seen.columns[name], self.fields[path])
            for path, name in self.sources.items()
        }

    def configuration(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what is stored once of them."""
        return self.configured


def beamline_scalars(
    run: Run, arrays: Collection[str] = (), taken: Collection[str] = ()
) -> Scalars:
    """Return the scalars of all detectors of a run.

    Parameters
    ----------
    run : the run
    arrays : scalars that are stored although they are large arrays
    taken : scalars that are stored elsewhere
    """
    sources: dict[str, str] = {}
    fields: dict[str, Field] = {}
    skipped = {*LEFT_OUT, *taken}
    for name in itertools.chain(*beamline_detectors(run).values()):
        info = run.scalars[name]
        if name in skipped or not _is_stored(info, arrays):
            continue
        path, told = _named(name)
        if path in fields:
            path = name
        sources[path] = name
        fields[path] = field_of(info, told.unit, told.meaning)
    return Scalars(sources, fields)


def beamline_detectors(run: Run) -> dict[str, list[str]]:
    """Return the scalars of each detector of a run."""
    found: dict[str, list[str]] = {}
    for name in run.scalars:
        detector = name.split("/")[0]
        if detector not in NOT_DETECTORS:
            found.setdefault(detector, []).append(name)
    return found


def _is_stored(info: ScalarInfo, arrays: Collection[str]) -> bool:
    """Tell whether a scalar becomes a dataset; note why if not."""
    if is_text(info):
        logger.info("%s is text and is not stored for each event", info.name)
        return False
    if n_values(info) > LARGEST_ARRAY and info.name not in arrays:
        logger.warning(
            "%s has %d values in an event and is not stored; to store it, write "
            "arrays = [%r] in [event] of the parameter file",
            info.name,
            n_values(info),
            info.name,
        )
        return False
    return True


def _named(name: str) -> tuple[str, Name]:
    """Return the path of a scalar's dataset, and what is known of it."""
    if name in SCALARS:
        return SCALARS[name]
    *group, field = name.split("/")
    told = FIELDS.get(field, Name(field))
    group[0] = GROUPS.get(group[0], group[0])
    return "/".join([*group, told.name]), told
