"""The simulated runs, read back with psana, and held against what is true of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import good, opened

from smalldata_ana.errors import DetectorNotFound
from smalldata_ana.simulation import geometry, physics
from smalldata_ana.simulation.detectors import KINDS, kind
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import SimulatedRun, make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRun:
    spec = RunSpec(
        detectors=(
            DetectorSpec("jungfrau1M"),
            DetectorSpec("epix100"),
            DetectorSpec("epixquad"),
            DetectorSpec("opal", missing=(3,)),
        ),
        events=10,
        steps=2,
    )
    return make_run(tmp_path_factory.mktemp("simulated"), spec)


@dataclass
class Event:
    """What psana says of one event."""

    timestamp: int
    codes: set[int]
    values: dict[str, Any]
    jungfrau_raw: Any
    jungfrau: Any
    epix: Any
    quad: Any
    opal: Any


@pytest.fixture(scope="module")
def events(made: SimulatedRun) -> list[Event]:
    return list(_read(opened(made)))


def _read(run: Any) -> Iterator[Event]:
    jungfrau, epix, quad, opal, timing, gmd, ipm, encoder = (
        run.Detector(name)
        for name in (
            "jungfrau1M", "epix100", "epixquad", "opal", "timing", "gmd", "ipm2",
            "lxt_fast_enc",
        )
    )  # fmt: skip
    names = "lxt", "step_value", "step_docstring", "lxt_vitara", "sam_x", "shutter"
    slow = {name: run.Detector(name) for name in names}
    for event in run.events():
        values = {name: read(event) for name, read in slow.items()}
        values["gmd"] = gmd.raw.millijoulesperpulse(event)
        values["ipm"] = ipm.raw.totalIntensityJoules(event)
        values["encoder"] = encoder.raw.value(event)
        yield Event(
            event.timestamp,
            set(np.flatnonzero(timing.raw.eventcodes(event)).tolist()),
            values,
            np.array(jungfrau.raw.raw(event)),
            jungfrau.raw.calib(event).copy(),
            epix.raw.calib(event),
            quad.raw.calib(event),
            opal.raw.raw(event),
        )


class TestReadBackWithPsana:
    def test_run_and_detectors(self, made: SimulatedRun) -> None:
        run = opened(made)
        assert (run.expt, run.runnum) == ("xppsim01", 1)
        assert run.detnames >= {"jungfrau1M", "epix100", "opal", "timing", "feespec"}

    def test_every_event_once_in_order(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        stamps = [event.timestamp for event in events]
        np.testing.assert_array_equal(stamps, made.truth["timestamp"])

    def test_scan_encoder_and_epics(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        for event, lxt, step in zip(
            events, made.truth["lxt"], made.truth["step"], strict=True
        ):
            assert event.values["lxt"] == lxt == event.values["lxt_vitara"]
            assert event.values["step_value"] == step
            assert json.loads(event.values["step_docstring"])["step"] == step
            assert event.values["encoder"] == pytest.approx(lxt * 1e12)
            assert event.values["shutter"] == "OPEN"

    def test_event_codes_follow_the_light(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        for event, xrays, laser in zip(
            events, made.truth["xrays"], made.truth["laser"], strict=True
        ):
            assert (137 in event.codes) == xrays
            assert (162 in event.codes) == (not xrays)
            assert (90 in event.codes, 91 in event.codes) == (laser, not laser)

    def test_pulse_energy(self, made: SimulatedRun, events: list[Event]) -> None:
        gmd = [event.values["gmd"] for event in events]
        ipm = [1e6 * event.values["ipm"] for event in events]
        np.testing.assert_allclose(gmd, made.truth["pulse_energy"], atol=0.03)
        np.testing.assert_allclose(ipm, made.truth["pulse_energy"], atol=0.03)

    def test_opal_is_missing_where_it_should(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        absent = [n for n, event in enumerate(events) if event.opal is None]
        assert absent == made.truth["opal/missing"].tolist() == [3]

    def test_all_gain_stages_of_the_jungfrau_occur(self, events: list[Event]) -> None:
        bits = events[0].jungfrau_raw >> 14
        assert np.count_nonzero(bits == 1) > 1000
        assert np.count_nonzero(bits == 3) > 100
        assert not np.any(bits == 2)

    def test_jungfrau_counts_whole_photons(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        in_first = (events[0].jungfrau_raw >> 14 == 0) & good(made, "jungfrau1M")
        photons = events[0].jungfrau[in_first] / made.truth["energy"]
        assert photons.max() > 20
        # readout noise is 0.02 photons
        assert np.abs(photons - np.rint(photons)).max() < 0.25

    def test_gain_stages_agree_with_each_other(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        x, y, z = geometry.positions(kind("jungfrau1M"))
        seen = physics.view(x, y, z, made.spec.setup)
        for stage, low, high in ((1, 1900, 2900), (3, 1550, 1700)):
            area = (seen.radius > low) & (seen.radius < high)
            area &= (events[0].jungfrau_raw >> 14 == stage) & good(made, "jungfrau1M")
            pulse = made.truth["pulse_energy"][0] / 1.5
            expected = pulse * physics.halo_pattern(seen.radius[area], 3e4)
            found = events[0].jungfrau[area] / made.truth["energy"]
            assert found.sum() == pytest.approx(expected.sum(), rel=0.03)

    def test_dropped_shot_is_dark(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        assert not made.truth["xrays"][7]
        for image in (events[7].jungfrau, events[7].quad):
            assert abs(image.mean()) < 0.01

    def test_signal_follows_the_pulse_energy(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        alike = [n for n in range(5) if made.truth["xrays"][n]]
        ratio = [
            events[n].jungfrau.sum() / made.truth["pulse_energy"][n] for n in alike
        ]
        np.testing.assert_allclose(ratio, np.mean(ratio), rtol=0.01)
        ratio = [events[n].quad.sum() / made.truth["pulse_energy"][n] for n in alike]
        np.testing.assert_allclose(ratio, np.mean(ratio), rtol=0.01)

    def test_laser_changes_one_ring(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        x, y, z = geometry.positions(kind("jungfrau1M"))
        q = physics.view(x, y, z, made.spec.setup).q

        def ring(number: int, at: float) -> float:
            area = (np.abs(q - at) < 0.012) & good(made, "jungfrau1M")
            sides = (np.abs(q - at) > 0.05) & (np.abs(q - at) < 0.07)
            sides &= good(made, "jungfrau1M")
            image = events[number].jungfrau
            height = image[area].mean() - image[sides].mean()
            return float(height / made.truth["pulse_energy"][number])

        change = made.truth["change"]
        # steps at -1 ps and at 4 ps, the laser is off at event 9
        assert change[[0, 9]].tolist() == [0, 0]
        assert change[8] > 0.35
        assert ring(8, 1.15) / ring(0, 1.15) == pytest.approx(1 + change[8], abs=0.03)
        assert ring(9, 1.15) / ring(0, 1.15) == pytest.approx(1, abs=0.03)
        assert ring(8, 0.70) / ring(0, 0.70) == pytest.approx(1, abs=0.03)

    def test_epix100_shows_the_photons(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        counts = made.truth["epix100/photon_counts"]
        assert counts[7] == 0
        assert counts.sum() == len(made.truth["epix100/photons"])
        photons = made.truth["epix100/photons"][: counts[0]]
        lit = physics.share_charge(photons, (704, 768), 0.3) > 0
        use = good(made, "epix100")[0]
        image = np.where(use, events[0].epix[0], np.nan)
        for _ in range(3):
            dark = np.where(lit, np.nan, image)
            banks = np.nanmean(dark.reshape(704, 8, 96), axis=2)
            image -= np.repeat(banks, 96, axis=1)
            dark = np.where(lit, np.nan, image)
            halves = np.nanmean(dark.reshape(2, 352, 768), axis=1)
            image -= np.repeat(halves, 352, axis=0)
        seen = np.nansum(image) / made.truth["energy"]
        assert seen == pytest.approx(counts[0], rel=0.02)
        rows, columns = np.rint(photons).T
        at = image[rows.astype(int), columns.astype(int)]
        assert np.nanmedian(at) > 0.5 * made.truth["energy"]

    def test_edge_is_where_it_should_be(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        reference = events[7].opal.astype(float) - 100
        for number in (0, 6, 8):
            light = events[number].opal.astype(float) - 100
            ratio = light[200:312].sum(axis=0) / reference[200:312].sum(axis=0)
            slope = -np.diff(ratio)[150:360]
            slope[slope < 0.2 * slope.max()] = 0
            place = np.sum(slope * (np.arange(150, 360) + 0.5)) / slope.sum()
            assert place == pytest.approx(made.truth["opal/edge"][number], abs=3)

    def test_truth_holds_the_bad_pixels(
        self, made: SimulatedRun, events: list[Event]
    ) -> None:
        stack = np.array([event.epix.ravel() for event in events])
        raw = stack.std(axis=0)
        assert np.all(raw[made.truth["epix100/dead"]] == 0)  # psana masks by status
        kinds = [set(made.truth[f"epix100/{k}"]) for k in ("dead", "hot", "noisy")]
        assert len(set.union(*kinds)) == sum(map(len, kinds)) > 300


class TestKinds:
    @pytest.mark.parametrize("name", sorted(set(KINDS) - {"jungfrau16M"}))
    def test_is_read_by_psana(self, tmp_path: Path, name: str) -> None:
        what = kind(name)
        spec = RunSpec(detectors=(DetectorSpec("det", name),), events=1)
        made = make_run(tmp_path, spec)
        run = opened(made)
        known = {(det, kind_) for det, kind_, *_ in run.xtcinfo}
        assert ("det", what.dettype) in known
        if what.dettype in ("cspad", "rayonix"):
            assert "det" not in {name for name, _ in run.detinfo}
            return
        detector = run.Detector("det")
        event = next(run.events())
        assert detector.raw.raw(event).size == what.pixels
        calib = detector.raw.calib(event)
        pulse = made.truth["pulse_energy"][0] / 1.5
        assert calib.size == what.pixels
        if what.geometry is not None:
            assert detector.raw.image(event).ndim == 2
        if what.pattern == "scattering":
            photons = np.median(calib) / 9.5 / pulse
            assert -0.5 < photons < 2

    def test_panels_of_the_epix10ka2m_do_not_overlap(self) -> None:
        x, y, _ = geometry.positions(kind("epix10ka2M"))
        boxes = [
            (a.min() - 50, a.max() + 50, b.min() - 50, b.max() + 50)
            for a, b in zip(x, y, strict=True)
        ]
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                apart = a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
                assert apart
        assert np.hypot(x, y).min() > 4000
        assert abs(x.mean()) < 1
        assert abs(y.mean()) < 1

    def test_unknown_kind(self) -> None:
        with pytest.raises(DetectorNotFound, match="Did you mean 'jungfrau1M'"):
            RunSpec(detectors=(DetectorSpec("jungfrau1"),))


class TestDarkRun:
    def test_gain_stages_are_held_in_turn(self, tmp_path: Path) -> None:
        detectors = (DetectorSpec("jungfrau05M"), DetectorSpec("epix100"))
        spec = RunSpec(detectors=detectors, events=6, steps=3, dark=True)
        made = make_run(tmp_path, spec)
        run = opened(made)
        jungfrau = run.Detector("jungfrau05M")
        epix = run.Detector("epix100")
        pedestals = made.constants["jungfrau05M"]["pedestals"]
        use = good(made, "jungfrau05M")
        for number, event in enumerate(run.events()):
            raw = jungfrau.raw.raw(event).reshape(1, 512, 1024)
            stage = number // 2
            assert np.all(raw >> 14 == (0, 1, 3)[stage])
            off = (raw & 0x3FFF)[use] - pedestals[stage][use]
            assert abs(off.mean()) < 0.1
            assert off.std() == pytest.approx((9, 6, 5)[stage], rel=0.05)
            frame = epix.raw.raw(event) - made.constants["epix100"]["pedestals"]
            assert abs(np.median(frame)) < 2
        assert number == 5
        timing = made.truth["requested"] | made.truth["xrays"] | made.truth["laser"]
        assert not timing.any()
