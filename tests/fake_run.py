"""A run with one detector and made-up constants, for tests of the calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalldata_ana.detector.calibration import Calibration
from smalldata_ana.sources.base import DetectorInfo
from smalldata_ana.sources.constants import Constant, Constants

ROWS, COLS = 24, 40
N_STAGES = {"jungfrau": 3, "epix10ka": 7, "epix100": 1, "opal": 1, "camera": 1}
GAIN = {"jungfrau": 41.0, "epix10ka": 16.4, "epix100": 16.4, "opal": 2.0}


class FakeRun:
    """As much of a run as a calibration asks for, with one detector ``det``."""

    experiment = "xpptut15"
    number = 7
    begin = 0

    def __init__(
        self,
        dettype: str,
        words: np.ndarray,
        constants: dict[str, Any],
        panels: tuple[int, ...] = (0,),
        control: np.ndarray | None = None,
    ) -> None:
        info = DetectorInfo("det", dettype, words.shape, words.dtype, panels)
        self.detectors = {"det": info}
        self.items = {
            name: Constant(name, value, 1, None, f"store/{name}.npy")
            for name, value in constants.items()
        }
        self.control = control

    def constants(self, detector: str) -> Constants:
        return Constants(detector, self.items, ("a note of the store",))

    def gain_configuration(self, detector: str, event: int = 0) -> np.ndarray | None:
        return self.control


def made_up(rng, dettype: str, panels: int = 1) -> dict[str, np.ndarray]:
    """Return constants of all gain stages, for all panels."""
    shape = (panels, ROWS, COLS)
    if N_STAGES[dettype] > 1:
        shape = (N_STAGES[dettype], *shape)
    status = rng.random(shape) < 0.02
    return {
        "pedestals": rng.normal(2900, 300, shape).astype(np.float32),
        "pixel_rms": rng.normal(3, 0.1, shape).astype(np.float32),
        "pixel_gain": (GAIN[dettype] * rng.normal(1, 0.02, shape)).astype(np.float32),
        "pixel_status": status.astype(np.uint64) << np.uint64(17),
    }


def any_words(rng, panels: int = 1, blocks: bool = False) -> np.ndarray:
    """Return raw words: all bits at random, or gain bits by blocks of pixels."""
    words = rng.integers(0, 1 << 16, (panels, ROWS, COLS)).astype(np.uint16)
    if blocks:
        bits = rng.integers(0, 4, words.size // 320).repeat(320)
        words = (words & 0x3FFF) | (bits << 14).astype(np.uint16).reshape(words.shape)
    return words


def assert_calibrated(image: np.ndarray, reference: np.ndarray) -> None:
    assert image.dtype == np.float32
    error = np.abs(image - reference) / np.maximum(1, np.abs(reference))
    assert error.max() <= 1e-6


def calibrate(words, run: FakeRun, common_mode: int | None = None) -> np.ndarray:
    return Calibration.for_run(run, "det", common_mode)(words)
