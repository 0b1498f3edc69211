"""`SmallDataAna_psana`: the `anaps` object of the session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from smalldata_ana.errors import did_you_mean
from smalldata_ana.session.azint_commands import AzIntCommands
from smalldata_ana.session.calibration_commands import CalibrationCommands
from smalldata_ana.session.center_commands import CenterCommands
from smalldata_ana.session.listing_commands import ListingCommands
from smalldata_ana.session.made_names import made_names
from smalldata_ana.session.mask_commands import MaskCommands
from smalldata_ana.session.parameter_commands import ParameterCommands
from smalldata_ana.session.producer_commands import ProducerCommands
from smalldata_ana.session.record_commands import RecordCommands
from smalldata_ana.session.refinement_commands import RefinementCommands
from smalldata_ana.session.region_commands import RegionCommands


class SmallDataAna_psana(  # noqa: N801
    ListingCommands,
    CalibrationCommands,
    RegionCommands,
    MaskCommands,
    CenterCommands,
    RefinementCommands,
    AzIntCommands,
    ParameterCommands,
    ProducerCommands,
    RecordCommands,
):
    """One run at the prompt: its events, detectors, average images, and the tools.

    The first commands of a session::

        anaps.AvImage()            # average of 100 events
        anaps.plotAvImage()        # show it
        anaps.SelectRegion()       # choose a region
        anaps.exportParams()       # hand it to the producer
        anaps.info()               # what the run holds

    ``anaps.AvImg_<name>`` is the average image of this name, ``anaps.<detector>`` a
    detector, with its functions (``anaps.<detector>.azav`` after `addAzInt`), and
    ``anaps.<detector>_pedestals``, ``_rms``, ``_x``, ``_y``, ``_ix``, ``_iy`` are its
    constants and places of pixels.
    ``anaps._mask_AvImg_<name>`` is the last accepted mask that was made on this image,
    1 = good, and ``anaps._azint_<name>`` the last result of `AzInt`.
    """

    def __getattr__(self, name: str) -> Any:
        # Only names that cannot be part of the class reach this; for a private one,
        # as Python and IPython try them, nobody is to wait for the run.
        if not name.startswith("_"):
            self.wait()
        made = {} if name.startswith("__") else made_names(self)
        if name in made:
            return made[name]()
        hint = did_you_mean(name, [n for n in dir(self) if not n.startswith("_")])
        raise AttributeError(f"anaps has no {name!r}.{hint}")

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *made_names(self)]

    def __repr__(self) -> str:
        return f"<anaps: {self.title()}, {len(self.run)} events>"
