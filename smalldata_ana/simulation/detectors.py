"""The area detectors that can be simulated: one table.

How each is declared in xtc2, how its pixels answer, and what constants it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector import kinds
from smalldata_ana.errors import DetectorNotFound, unknown
from smalldata_ana.simulation.xtc2 import Fields, Key, XtcStream

Array = npt.NDArray[Any]
Pattern = Literal["scattering", "photons", "edge"]
Offsets = Literal["none", "lines", "panels"]

TOP = 0x3FFF
"""The largest number of a pixel with 14 bits."""


@dataclass(frozen=True)
class Stage:
    """One gain stage of a pixel.

    Attributes
    ----------
    pedestal, spread : mean over the pixels, and their standard deviation [ADU]
    gain : signal per energy [ADU/keV]; of a camera, 1
    noise : of the readout [ADU]
    bits : what marks the stage in the raw number
    reach : largest energy that it takes before the pixel switches [keV]
    """

    pedestal: float
    spread: float
    gain: float
    noise: float
    bits: int = 0
    reach: float = np.inf


@dataclass(frozen=True)
class Block:
    """A block of data of each panel beside its image; all of its values are fixed."""

    algorithm: str
    version: tuple[int, int, int]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """What the pixels are set to in one step of a dark run.

    Attributes
    ----------
    stage : the gain stage that they are in
    values : of the configuration block
    """

    stage: int
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """One kind of detector.

    Attributes
    ----------
    dettype, version : what psana chooses its class by; a psana that does not know
        them lists the detector and cannot read it
    panels : how many; 0 for a detector whose images have no panels
    shape : rows and columns of a panel
    pixel : edge of a pixel [um]
    stages : gain stages, in the order of psana's constants
    auto : the stages that a pixel goes through as it sees more, in this order
    image : field that holds the raw numbers
    leading : True if that field has an axis of length 1 before rows and columns
    fields : further fields and their (fixed) values
    config : a block that is written in the first datagram, and again where the steps
        of a dark run change it
    settings : what the steps of a dark run set in turn; empty: the stages of `auto`
    geometry : name in `smalldata_ana.simulation.geometry`, or None if there is none
    gain_unit : of its gain constants, ADU/keV, or 1 where they are relative to
        `Stage.gain`; empty for a camera, which has none
    pattern : what it sees
    offsets : what has an offset of its own in each shot: rows and columns, or panels
    """

    dettype: str
    version: tuple[int, int, int]
    panels: int
    shape: tuple[int, int]
    pixel: float
    stages: tuple[Stage, ...]
    auto: tuple[int, ...] = (0,)
    image: str = "raw"
    leading: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    config: Block | None = None
    settings: tuple[Setting, ...] = ()
    geometry: str | None = None
    gain_unit: str = "ADU/keV"
    pattern: Pattern = "scattering"
    offsets: Offsets = "none"

    @property
    def frame(self) -> tuple[int, int, int]:
        """Shape of a frame, always with an axis of panels."""
        return (max(self.panels, 1), *self.shape)

    def setting(self, step: int) -> Setting:
        """Return what a step of a dark run sets."""
        settings = self.settings or tuple(map(Setting, self.auto))
        return settings[step % len(settings)]

    @property
    def constants(self) -> tuple[int, ...]:
        """Shape of its constants, as psana has them."""
        stages = (len(self.stages),) if len(self.stages) > 1 else ()
        panels = (self.panels,) if self.panels else ()
        return stages + panels + self.shape

    @property
    def known(self) -> kinds.Kind:
        """What the package knows of the kind."""
        return kinds.kind_of(self.dettype, self.frame)

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int(np.prod(self.frame))


def _jungfrau(panels: int, size: str) -> Kind:
    return Kind(
        dettype="jungfrau",
        version=(0, 2, 0),
        panels=panels,
        shape=(512, 1024),
        pixel=75.0,
        stages=(
            Stage(2900, 120, 41.5, 9.0, 0, 310.0),
            Stage(14500, 150, -1.39, 6.0, 1 << 14, 9000.0),
            Stage(14200, 150, -0.11, 5.0, 3 << 14),
        ),
        auto=(0, 1, 2),
        leading=True,
        fields={
            "frame_cnt": np.uint64(0),
            "timestamp": np.uint64(0),
            "hotPixelThresh": np.uint16(0),
            "numHotPixels": np.uint32(0),
            "maxHotPixels": np.uint32(0),
        },
        geometry=f"jungfrau{size}",
    )


_EPIX10KA_MODES: Mapping[str, tuple[int, int, tuple[int, ...]]] = {
    "AML": (0, 0, (4, 6)),
    "AHL": (1, 0, (3, 5)),
    "FH": (1, 12, (0,)),
    "FM": (0, 12, (1,)),
    "FL": (0, 8, (2,)),
}
"""Gain modes: trim bit, gain bits of each pixel, and the stages that result."""


def _epix10ka(panels: int, geometry: str, mode: str = "AML") -> Kind:
    switched = 1 << 14
    return Kind(
        dettype="epix10ka",
        version=(2, 0, 1),
        panels=panels,
        shape=(352, 384),
        pixel=100.0,
        stages=(
            Stage(3000, 100, 16.4, 10.0),
            Stage(3100, 100, 5.466, 7.0),
            Stage(3200, 100, 0.164, 6.0, switched),
            Stage(3000, 100, 16.4, 10.0, 0, 700.0),
            Stage(3100, 100, 5.466, 7.0, 0, 2200.0),
            Stage(3400, 100, 0.164, 6.0, switched),
            Stage(3500, 100, 0.164, 6.0, switched),
        ),
        auto=_EPIX10KA_MODES[mode][2],
        fields={"aux": np.zeros((4, 384), np.uint16)},
        config=Block("config", (2, 0, 0), _epix10ka_bits(mode)),
        settings=tuple(
            Setting(auto[0], _epix10ka_bits(name))
            for name, (_, _, auto) in _EPIX10KA_MODES.items()
        ),
        geometry=geometry,
    )


def _epix10ka_bits(mode: str) -> Mapping[str, Array]:
    trim, bits, _ = _EPIX10KA_MODES[mode]
    return {
        "asicPixelConfig": np.full((4, 176, 192), bits, np.uint8),
        "trbit": np.full(4, trim, np.uint8),
    }


# psana does not know the version
def _cspad(panels: int, geometry: str) -> Kind:
    return Kind(
        dettype="cspad",
        version=(9, 0, 0),
        panels=panels,
        shape=(185, 388),
        pixel=109.92,
        stages=(Stage(1000, 20, 3.5, 4.0),),
        geometry=geometry,
        gain_unit="1",
        offsets="panels",
    )


KINDS: Mapping[str, Kind] = {
    "jungfrau05M": _jungfrau(1, "05M"),
    "jungfrau1M": _jungfrau(2, "1M"),
    "jungfrau4M": _jungfrau(8, "4M"),
    "jungfrau16M": _jungfrau(32, "16M"),
    "epixquad": _epix10ka(4, "epix10kaquad"),
    "epix10ka2M": _epix10ka(16, "epix10ka2M"),
    **{
        f"epixquad_{mode}": _epix10ka(4, "epix10kaquad", mode)
        for mode in _EPIX10KA_MODES
    },
    "epix100": Kind(
        dettype="epix100",
        version=(2, 0, 1),
        panels=1,
        shape=(704, 768),
        pixel=50.0,
        stages=(Stage(2500, 60, 17.0, 5.0),),
        fields={"aux": np.zeros((4, 768), np.uint16)},
        geometry="epix100a",
        pattern="photons",
        offsets="lines",
    ),
    "opal": Kind(
        dettype="opal",
        version=(2, 0, 0),
        panels=0,
        shape=(512, 512),
        pixel=5.5,
        stages=(Stage(100, 3, 1.0, 3.0),),
        image="image",
        gain_unit="",
        pattern="edge",
    ),
    "cspad": _cspad(32, "cspad"),
    "cspad140k": _cspad(2, "cspad2x2"),
    "rayonix": Kind(
        dettype="rayonix",
        version=(9, 0, 0),
        panels=0,
        shape=(960, 960),
        pixel=170_000 / 960,
        stages=(Stage(1000, 20, 3.5, 4.0),),
        image="image",
    ),
}
"""The kinds by name; a detector is called like its kind unless it is given a name."""


def kind(name: str) -> Kind:
    """Return a kind of detector by name.

    Raises
    ------
    DetectorNotFound
        if it cannot be simulated
    """
    if name not in KINDS:
        raise DetectorNotFound(unknown("kind of simulated detector", name, KINDS))
    return KINDS[name]


@dataclass
class Declared:
    """A detector's panels in one stream."""

    kind: Kind
    images: dict[int, Key]
    configs: dict[int, Key]

    def configuration(self) -> dict[Key, Mapping[str, Any]]:
        """Return what stays for the whole run."""
        block = self.kind.config
        return dict.fromkeys(self.configs.values(), block.values if block else {})

    def step(self, held: int | None) -> dict[Key, Mapping[str, Any]]:
        """Return what a step changes of it.

        Parameters
        ----------
        held : number of the step in a dark run, or None
        """
        if held is None:
            return {}
        return dict.fromkeys(self.configs.values(), self.kind.setting(held).values)

    def values(self, frame: Array) -> dict[Key, Mapping[str, Any]]:
        """Return the data of one event.

        Parameters
        ----------
        frame : uint16, ``(panels, rows, columns)`` of the whole detector
        """
        lead = (np.newaxis,) if self.kind.leading else ()
        return {
            key: {self.kind.image: frame[panel][lead], **self.kind.fields}
            for panel, key in self.images.items()
        }


def declare(
    stream: XtcStream, name: str, what: Kind, panels: range | list[int]
) -> Declared:
    """Announce some panels of a detector in a stream.

    Parameters
    ----------
    stream : where its data will be written
    name : of the detector
    what : its kind
    panels : numbers of the panels in this stream
    """
    fields: Fields = {
        what.image: (np.uint16, 3 if what.leading else 2),
        **{k: (v.dtype.type, v.ndim) for k, v in what.fields.items()},
    }
    images, configs = {}, {}
    for panel in panels:
        serial = f"{what.dettype}-sim-{panel:03d}"
        if what.config is not None:
            values = what.config.values
            configs[panel] = stream.declare(
                name,
                what.dettype,
                serial,
                what.config.algorithm,
                what.config.version,
                {k: (v.dtype.type, v.ndim) for k, v in values.items()},
                panel,
            )
        images[panel] = stream.declare(
            name, what.dettype, serial, "raw", what.version, fields, panel
        )
    return Declared(what, images, configs)
