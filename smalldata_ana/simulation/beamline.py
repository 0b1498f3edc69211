"""What stands beside the area detectors: timing, pulse energy, encoders, EPICS, scan.

All of it is in the run's first stream.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.simulation.xtc2 import Fields, Key, Values, XtcStream

XRAYS_REQUESTED, XRAYS_DROPPED, LASER_ON, LASER_OFF, ALWAYS = 137, 162, 90, 91, 40
"""Event codes, as at the hutch xpp with the LCLS-II data acquisition."""

_TIMING: Mapping[str, Any] = {
    "pulseId": np.uint64(0),
    "timeStamp": np.uint64(0),
    "fixedRates": np.zeros(10, np.uint8),
    "acRates": np.zeros(6, np.uint8),
    "timeSlot": np.uint8(1),
    "timeSlotPhase": np.uint16(0),
    "ebeamPresent": np.uint8(1),
    "ebeamDestn": np.uint8(3),
    "ebeamCharge": np.uint16(100),
    "ebeamEnergy": np.zeros(4, np.uint16),
    "xWavelength": np.zeros(2, np.uint16),
    "dmod5": np.uint16(0),
    "mpsLimits": np.zeros(16, np.uint8),
    "mpsPowerClass": np.zeros(16, np.uint8),
    "sequenceValues": np.zeros(18, np.uint16),
    "inhibitCounts": np.zeros(8, np.uint32),
}
_GASDET = ("f11ENRC", "f12ENRC", "f21ENRC", "f22ENRC", "f63ENRC", "f64ENRC")
_PVS = {
    "lxt_vitara": "LAS:FS14:VIT:FS_TGT_TIME",
    "sam_x": "XPP:USR:MMS:01.RBV",
    "shutter": "XPP:LAS:SHT",
}
_ENVIRONMENT = {
    "temp0": 24.0,
    "temp1": 22.0,
    "temp2": 22.5,
    "temp3": 23.0,
    "humidity": 12.0,
    "AnalogI": 1.6,
    "DigitalI": 0.9,
    "GuardI": 0.02,
    "BiasI": 0.4,
    "AnalogV": 5.1,
    "DigitalV": 4.9,
    "AnalogTemp": 31.0,
    "DigitalTemp": 33.0,
}
"""What sensors at a detector say in the first step, by `Kind.env_values`."""
_DRIFT = 0.002
"""By which part of it they grow from step to step."""
_FLOAT = (np.float64, 0)
_ENCODER_COUNTS = 1e15
_ENCODER_SCALE = 1000


@dataclass(frozen=True)
class Step:
    """One step of a scan.

    Attributes
    ----------
    number : from 0
    lxt : laser delay [s]
    document : what the data acquisition notes of the step
    held : which of their settings the detectors are held in, or None if pixels switch
    """

    number: int
    lxt: float
    document: Mapping[str, Any]
    held: int | None = None


@dataclass(frozen=True)
class Shot:
    """What was so at one event.

    Attributes
    ----------
    number : of the event in the run, from 0
    timestamp : as psana has it
    step : the scan step it belongs to
    pulse : pulse energy, relative to the mean; 0 for a dropped shot
    requested : True if an X-ray pulse was asked for
    xrays, laser : True if X-rays and laser were there
    jitter : arrival of the X-rays after the nominal delay [ps]
    """

    number: int
    timestamp: int
    step: Step
    pulse: float
    requested: bool
    xrays: bool
    laser: bool
    jitter: float

    @property
    def delay(self) -> float:
        """True delay of the X-rays after the laser [ps]."""
        return self.step.lxt * 1e12 + self.jitter

    @property
    def codes(self) -> tuple[int, ...]:
        """Event codes of the shot."""
        light = LASER_ON if self.laser else LASER_OFF
        if not self.requested:
            return ALWAYS, light
        return ALWAYS, light, XRAYS_REQUESTED if self.xrays else XRAYS_DROPPED


def sequence_values(codes: tuple[int, ...]) -> npt.NDArray[np.uint16]:
    """Return the event codes as the timing system sends them: code k is bit k."""
    words = np.zeros(18, np.uint16)
    for code in codes:
        words[code // 16] |= np.uint16(1 << code % 16)
    return words


class Beamline:
    """The scalars of a run, declared in a stream.

    Parameters
    ----------
    stream : where they are written
    energy : photon energy [keV]
    pulse_energy : mean pulse energy [mJ]
    environment : names of what is measured at each detector (`Kind.env_values`), which
        become EPICS values ``<detector>_<name>``
    """

    def __init__(
        self,
        stream: XtcStream,
        energy: float,
        pulse_energy: float,
        environment: Mapping[str, Sequence[str]],
    ) -> None:
        self._energy, self._millijoules = energy, pulse_energy
        self._environment = {
            f"{detector}_{name}": _ENVIRONMENT[name]
            for detector, names in environment.items()
            for name in names
        }
        self._pvs = _PVS | {
            name: f"XPP:{name.upper().replace('_', ':')}" for name in self._environment
        }
        self._stream = stream
        raw = self._raw
        self._timing = raw(
            "timing", "ts", (2, 1, 0),
            {k: (v.dtype.type, v.ndim) for k, v in _TIMING.items()},
        )  # fmt: skip
        self._gmd = raw(
            "gmd", "gmd", (2, 1, 0),
            {"millijoulesperpulse": _FLOAT, "RMS_E": (np.float32, 0)},
        )  # fmt: skip
        self._gasdet = raw(
            "gasdet", "gasdet", (1, 0, 0), dict.fromkeys(_GASDET, _FLOAT)
        )
        self._ebeam = raw(
            "ebeam", "ebeam", (2, 0, 0),
            {"ebeamPhotonEnergy": _FLOAT, "ebeamCharge": _FLOAT},
        )  # fmt: skip
        self._ipm = raw(
            "ipm2", "bmmon", (1, 0, 0),
            {
                "totalIntensityJoules": _FLOAT,
                "xPositionMeters": _FLOAT,
                "yPositionMeters": _FLOAT,
                "peakA": (np.float32, 1),
            },
        )  # fmt: skip
        self._encoder = raw(
            "lxt_fast_enc", "encoder", (3, 0, 0),
            {
                "encoderValue": (np.int64, 0),
                "scale": (np.uint32, 0),
                "scaleDenom": (np.uint32, 0),
                "mode": (str, 1),
            },
        )  # fmt: skip
        self._spectrum = raw("feespec", "feespec", (1, 0, 0), {"hproj": (np.int32, 1)})
        self._epics = raw(
            "epics", "epics", (2, 0, 0),
            {
                "lxt_vitara": _FLOAT,
                "sam_x": _FLOAT,
                "shutter": (str, 1),
                **dict.fromkeys(self._environment, _FLOAT),
            },
        )  # fmt: skip
        self._epicsinfo = stream.declare(
            "epicsinfo", "epicsinfo", "epics-sim", "epicsinfo", (1, 0, 0),
            dict.fromkeys(("keys", *self._pvs), (str, 1)),
        )  # fmt: skip
        self._scan = raw(
            "scan", "scan", (2, 0, 0),
            {"lxt": _FLOAT, "step_value": _FLOAT, "step_docstring": (str, 1)},
        )  # fmt: skip

    def _raw(
        self, name: str, dettype: str, version: tuple[int, int, int], fields: Fields
    ) -> Key:
        return self._stream.declare(
            name, dettype, f"{name}-sim", "raw", version, fields
        )

    def configuration(self) -> Values:
        """Return what stays for the whole run: the names behind the EPICS values."""
        return {self._epicsinfo: {"keys": "epicsname", **self._pvs}}

    def step(self, step: Step) -> Values:
        """Return what a step begins with."""
        return {
            self._scan: {
                "lxt": step.lxt,
                "step_value": float(step.number),
                "step_docstring": json.dumps(step.document),
            }
        }

    def slow(self, step: Step, laser_used: bool) -> Values:
        """Return the EPICS values that hold from now on."""
        return {
            self._epics: {
                "lxt_vitara": step.lxt,
                "sam_x": 1.0 + 0.5 * step.number,
                "shutter": "OPEN" if laser_used else "CLOSED",
                **{
                    name: first * (1 + _DRIFT * step.number)
                    for name, first in self._environment.items()
                },
            }
        }

    def shot(self, shot: Shot, rng: np.random.Generator) -> Values:
        """Return the data of one event."""
        millijoules = self._millijoules * shot.pulse
        return {
            self._timing: {
                **_TIMING,
                "pulseId": 1_000_000 + shot.number,
                "timeStamp": shot.timestamp,
                "sequenceValues": sequence_values(shot.codes),
            },
            self._gmd: {
                "millijoulesperpulse": millijoules + rng.normal(0, 0.005),
                "RMS_E": 0.005,
            },
            self._gasdet: {name: millijoules + rng.normal(0, 0.02) for name in _GASDET},
            self._ebeam: {
                "ebeamPhotonEnergy": 1e3 * self._energy + rng.normal(0, 2.0),
                "ebeamCharge": 180.0,
            },
            self._ipm: {
                "totalIntensityJoules": 1e-6 * (millijoules + rng.normal(0, 0.005)),
                "xPositionMeters": rng.normal(0, 1e-5),
                "yPositionMeters": rng.normal(0, 1e-5),
                "peakA": np.full(16, millijoules, np.float32),
            },
            self._encoder: {
                "encoderValue": round(shot.step.lxt * _ENCODER_COUNTS),
                "scale": 1,
                "scaleDenom": _ENCODER_SCALE,
                "mode": "position",
            },
            self._spectrum: {"hproj": self._photon_spectrum(shot.pulse, rng)},
        }

    @staticmethod
    def _photon_spectrum(
        pulse: float, rng: np.random.Generator
    ) -> npt.NDArray[np.int32]:
        bins = np.arange(256)
        mean = 20 + 500 * pulse * np.exp(-0.5 * ((bins - rng.normal(128, 4)) / 15) ** 2)
        return rng.poisson(mean).astype(np.int32)
