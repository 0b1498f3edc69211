"""The kinds of area detectors: a row for each.

Sizes in pixels and um are those of psana's ``SegGeometry*`` classes where it has one;
the rest is said at the row.  Detectors that share a type in the data acquisition are
rows with a number of panels; the row of that type without one is for all others, such
as a readout of some of the panels.
"""

from __future__ import annotations

from dataclasses import replace

from smalldata_ana.detector import gain_modes
from smalldata_ana.detector.common_mode_table import (
    CSPAD_PARAMETERS,
    EPIX10KA_PARAMETERS,
    EPIX100_PARAMETERS,
    ICARUS_PARAMETERS,
    JUNGFRAU_PARAMETERS,
    common_modes_of,
)
from smalldata_ana.detector.kind_model import RAW, Kind

# Names in small-data files of LCLS, in the groups <detector>_env.
_EPIX_CURRENTS = ("AnalogI", "DigitalI", "GuardI", "BiasI")
_EPIX_VOLTAGES = ("AnalogV", "DigitalV")
_EPIX100_ENV = ("temp0", "temp1", "humidity", *_EPIX_CURRENTS, *_EPIX_VOLTAGES)
_EPIX10KA_ENV = (
    *("temp1", "temp2", "temp3", "humidity"),
    *_EPIX_CURRENTS,
    *_EPIX_VOLTAGES,
    *("AnalogTemp", "DigitalTemp"),
)

_JUNGFRAU = Kind(
    "jungfrau",
    "Jungfrau",
    pixel_size=75.0,
    panel_shape=(512, 1024),
    chip_shape=(256, 256),
    wide_pixel_size=150.0,
    gain_stages=("G0", "G1", "G2"),
    data_mask=0x3FFF,
    gain_bits=0xC000,
    plane_of_bits=(0, 1, -1, 2),
    adds_offset=True,
    common_modes=common_modes_of("jungfrau"),
    suggested_common_mode=7,
    banks=(2, 16),
    parameter_modes=JUNGFRAU_PARAMETERS,
)
_EPIX10KA = Kind(
    "epix10ka",
    "ePix10ka",
    pixel_size=100.0,
    panel_shape=(352, 384),
    chip_shape=(176, 192),
    wide_pixel_size=225.0,
    gain_stages=gain_modes.STAGES,
    data_mask=0x3FFF,
    gain_bits=0x4000,
    plane_of_bits=(0, 1, 0, 1),
    configured_stages=gain_modes.epix10ka_stages,
    nominal_factors=gain_modes.NOMINAL_FACTORS,
    common_modes=common_modes_of("epix10ka"),
    default_common_mode=80,
    banks=(2, 8),
    common_mode_stages=gain_modes.UNSWITCHED,
    parameter_modes=EPIX10KA_PARAMETERS,
    env_values=_EPIX10KA_ENV,
)
_EPIX100 = Kind(
    "epix100",
    "ePix100",
    pixel_size=50.0,
    panel_shape=(704, 768),
    chip_shape=(352, 384),
    wide_pixel_size=175.0,
    common_modes=common_modes_of("epix100"),
    default_common_mode=46,
    banks=(2, 8),
    parameter_modes=EPIX100_PARAMETERS,
    env_values=_EPIX100_ENV,
)
# One ASIC is a panel of its own.  Bit 15 of a word chooses the second stage, as in
# psana's `epixm320.calib`; gains are not applied there.
_EPIXM320 = Kind(
    "epixm320",
    "ePixM320",
    pixel_size=50.0,
    panel_shape=(192, 384),
    gain_stages=("AHL", "SH", "SL"),
    data_mask=0x7FFF,
    gain_bits=0x8000,
    plane_of_bits=(0, 0, 1, 1),
    common_modes=common_modes_of("epixm320"),
)
# The chips of a panel are side by side.  The gain of its constants is relative: ADU.
_CSPAD = Kind(
    "cspad",
    "CsPad",
    pixel_size=109.92,
    panel_shape=(185, 388),
    chip_shape=(None, 194),
    wide_pixel_size=274.80,
    unbonded=tuple((i, i) for i in range(0, 185, 10)),
    common_modes=common_modes_of("cspad"),
    default_common_mode=1,
    parameter_modes=CSPAD_PARAMETERS,
)
# 16 banks of 264 columns, followed by 36 that the readout adds and no pixel stands
# for.  A pixel is 10 um wide and 20 um high.
_ARCHON = Kind(
    "archon",
    "Archon camera",
    pixel_size=10.0,
    panel_shape=(None, 4800),
    chip_shape=(None, 300),
    unbonded=((slice(None), slice(264, 300)),),
    common_modes=common_modes_of("archon"),
)
# A frame for each panel; smalldata_tools takes the common mode from these columns.
_ICARUS = Kind(
    "icarus",
    "Icarus",
    pixel_size=25.0,
    panel_shape=(1024, 512),
    unbonded=((slice(None), slice(255, 257)),),
    common_modes=common_modes_of("icarus"),
    parameter_modes=ICARUS_PARAMETERS,
)
# MX170-HS, 170 mm wide, read out with 3840 pixels or fewer.  The camera subtracts a
# background of its own.
_RAYONIX = Kind("rayonix", "Rayonix", sensor_width=170_000.0, default_common_mode=RAW)

# The pixels of these cameras depend on the model, and on the lens before it.
_OPAL = Kind("opal", "Opal camera")
_ALVIUM = Kind("alvium", "Alvium camera")
# A scientific CMOS camera, of which all models have the same pixels.
_ZYLA = Kind("zyla", "Zyla camera", pixel_size=6.5)
# A line camera: what is at the rim of its only row is all there is.
_PIRANHA4 = Kind("piranha4", "Piranha4 line camera", edges=(0, 0))

GENERIC = Kind("camera", "area camera")
"""The kind of a detector that is not in the table."""

TABLE = (
    _JUNGFRAU,
    replace(_JUNGFRAU, title="Jungfrau 0.5M", panels=1),
    replace(_JUNGFRAU, title="Jungfrau 1M", panels=2),
    replace(_JUNGFRAU, title="Jungfrau 4M", panels=8),
    replace(_JUNGFRAU, title="Jungfrau 16M", panels=32),
    _EPIX10KA,
    replace(_EPIX10KA, title="ePix10k135", panels=1),
    replace(_EPIX10KA, title="ePix10ka quad", panels=4),
    replace(_EPIX10KA, title="ePix10k2M", panels=16, default_common_mode=84),
    _EPIX100,
    _EPIXM320,
    _CSPAD,
    replace(_CSPAD, title="CsPad 2.3M", panels=32),
    replace(_CSPAD, title="CsPad140k", panels=2, panels_last=True),
    replace(_CSPAD, dettype="cspad140k", title="CsPad140k", panels_last=True),
    _ARCHON,
    _ICARUS,
    _RAYONIX,
    _OPAL,
    _ALVIUM,
    _ZYLA,
    _PIRANHA4,
)
"""All kinds; `smalldata_ana.detector.kinds` finds them."""
