"""The files of simulated runs: bytes, chunks, offsets, faults; and the command line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import opened

from smalldata_ana.errors import FileError, ParameterError
from smalldata_ana.simulation.__main__ import main
from smalldata_ana.simulation.beamline import sequence_values
from smalldata_ana.simulation.offset_files import write_offsets
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec, shots_of
from smalldata_ana.simulation.run_writer import make_run
from smalldata_ana.sources.datagrams import Service, whole_datagrams

REAL = Path(__file__).parents[2] / "shared/data/lcls2_xtc2"
SMALL = (DetectorSpec("cspad140k"),)


def where(offsets: Path) -> list[tuple[int, int, int]]:
    """Return what psana reads of each event: timestamp, offset and size."""
    from psana.dgram import Dgram

    content = memoryview(bytearray(offsets.read_bytes()))
    found, config = [], None
    with open(offsets, "rb") as file:
        for item in whole_datagrams(file):
            view = content[item.offset : item.offset + item.size]
            if config is None:
                config = Dgram(view=view, offset=0)
            elif item.service.is_event:
                dgram = Dgram(config=config, view=view, offset=0)
                place = dgram.smdinfo[0].offsetAlg
                found.append((dgram.timestamp(), place.intOffset, place.intDgramSize))
    return found


class TestFiles:
    def test_same_bytes_when_made_twice(self, tmp_path: Path) -> None:
        sums = []
        for name, dirt in (("a", "90"), ("b", "165")):
            # memory that is not cleared would show in the files
            subprocess.run(
                [
                    sys.executable, "-m", "smalldata_ana.simulation", tmp_path / name,
                    "--events", "4", "--steps", "2", "--chunk-after", "3",
                    "--detector", "jungfrau05M", "--detector", "epix100",
                    "--detector", "opal", "--detector", "epixquad:2",
                ],
                env={**os.environ, "MALLOC_PERTURB_": dirt},
                check=True,
            )  # fmt: skip
            files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
            sums.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in files])
        assert len(sums[0]) > 30
        assert sums[0] == sums[1]

    def test_another_run_is_another_run(self) -> None:
        one, two = (shots_of(RunSpec(run=run, events=5)) for run in (1, 2))
        assert one[0].pulse != two[0].pulse
        assert one[-1].timestamp < two[0].timestamp

    def test_chunks(self, tmp_path: Path) -> None:
        spec = RunSpec(detectors=SMALL, events=7, steps=2, chunk_after=3)
        made = make_run(tmp_path, spec)
        names = sorted(path.name for path in made.xtc_dir.glob("*-s001-*"))
        assert [name[-9:-5] for name in names] == ["c000", "c001", "c002"]
        with open(made.files[1], "rb") as file:
            services = [item.service for item in whole_datagrams(file)]
        assert services[-2:] == [Service.DISABLE, Service.ENABLE]
        run = opened(made)
        gmd = run.Detector("gmd")
        found = [(e.timestamp, gmd.raw.millijoulesperpulse(e)) for e in run.events()]
        np.testing.assert_array_equal([f[0] for f in found], made.truth["timestamp"])
        np.testing.assert_allclose(
            [f[1] for f in found], made.truth["pulse_energy"], atol=0.03
        )

    def test_offsets_of_chunks_as_in_the_real_run(self, tmp_path: Path) -> None:
        folder = REAL / "chunking"
        if not folder.is_dir():
            pytest.skip(f"no real data in {folder}")
        stem = "xpptut15-r0014-s000-c000"
        new = tmp_path / "new.smd.xtc2"
        files = [folder / f"{stem}.xtc2", folder / "data-r0001-s000-c001.xtc2"]
        assert write_offsets(files, new) == 15
        assert where(new) == where(folder / f"smalldata/{stem}.smd.xtc2")

    def test_offsets_made_afterwards_are_the_same(self, tmp_path: Path) -> None:
        made = make_run(
            tmp_path, RunSpec(detectors=SMALL, events=5, steps=2, chunk_after=2)
        )
        for first in made.files:
            smd = made.xtc_dir / "smalldata" / f"{first.stem}.smd.xtc2"
            chunks = sorted(made.xtc_dir.glob(first.name.replace("c000", "c*")))
            assert write_offsets(chunks, tmp_path / "new") == 5
            assert (tmp_path / "new").read_bytes() == smd.read_bytes()

    def test_offsets_of_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "empty.xtc2").write_bytes(b"")
        with pytest.raises(FileError, match="does not begin with a configuration"):
            write_offsets([tmp_path / "empty.xtc2"], tmp_path / "new")

    def test_without_offset_files_and_constants(self, tmp_path: Path) -> None:
        spec = RunSpec(
            detectors=(DetectorSpec("opal"),),
            with_smd=False,
            with_constants=False,
        )
        made = make_run(tmp_path, spec)
        assert not (made.xtc_dir / "smalldata").exists()
        assert not made.calib_dir.exists()
        assert made.constants["opal"]["pedestals"].shape == (512, 512)

    def test_truncated(self, tmp_path: Path) -> None:
        made = make_run(tmp_path, RunSpec(detectors=SMALL, events=6, truncate_at=4))
        with open(made.files[1], "rb") as file:
            events = [item for item in whole_datagrams(file) if item.service.is_event]
        assert len(events) == 4
        last = events[-1]
        left = made.files[1].stat().st_size - (last.offset + last.size)
        assert 0 < left < last.size
        with open(made.files[0], "rb") as file:
            assert sum(i.service.is_event for i in whole_datagrams(file)) == 6

    def test_missing_panel_makes_the_detector_incomplete(self, tmp_path: Path) -> None:
        detector = DetectorSpec("jungfrau1M", streams=2, missing=(1,))
        made = make_run(tmp_path, RunSpec(detectors=(detector,), events=3))
        run = opened(made)
        jungfrau = run.Detector("jungfrau1M")
        present = [jungfrau.raw.raw(event) is not None for event in run.events()]
        assert present == [True, False, True]

    def test_growing(self, tmp_path: Path) -> None:
        spec = RunSpec(detectors=SMALL, events=6, rate=10.0)
        writer = threading.Thread(target=make_run, args=(tmp_path, spec))
        writer.start()
        path = tmp_path / "xtc/xppsim01-r0001-s001-c000.xtc2"
        growing = path.with_name(path.name + ".inprogress")
        smd = tmp_path / f"xtc/smalldata/{path.stem}.smd.xtc2.inprogress"
        seen = set()
        while writer.is_alive():
            if growing.exists() and smd.exists():
                with open(smd, "rb") as file:
                    known = sum(i.service.is_event for i in whole_datagrams(file))
                with open(growing, "rb") as file:
                    there = sum(i.service.is_event for i in whole_datagrams(file))
                assert known <= there
                seen.add(known)
            time.sleep(0.02)
        writer.join()
        assert len(seen) > 2
        assert path.exists()
        assert not growing.exists()
        assert not smd.exists()

    def test_event_codes_are_bits(self) -> None:
        words = sequence_values((0, 17, 287))
        assert (words[0], words[1], words[17]) == (1, 2, 1 << 15)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"events": 0},
            {"events": 2, "steps": 3},
            {"detectors": (DetectorSpec("opal"), DetectorSpec("opal"))},
            {"detectors": (DetectorSpec("opal", streams=2),)},
            {"truncate_at": 10},
        ],
    )
    def test_impossible_runs(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ParameterError):
            RunSpec(**wrong)


class TestCommandLine:
    def test_run(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        options = (
            "--exp xpptest1 --run 5 --events 4 --steps 2 --detector cam=opal "
            "--detector cspad140k:2 --missing cam=1,2"
        )
        assert main([str(tmp_path), *options.split()]) == 0
        assert "xpptest1 run 5: 4 events" in capsys.readouterr().out
        names = {path.name for path in (tmp_path / "xtc").glob("*.xtc2")}
        assert len(names) == 4
        assert "xpptest1-r0005-s003-c000.xtc2" in names
        with open(tmp_path / "xtc/xpptest1-r0005-s001-c000.xtc2", "rb") as file:
            assert sum(i.service.is_event for i in whole_datagrams(file)) == 2

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--detector", "jungfrau"], "Did you mean"),
            (["--missing", "opal2=1"], "the detectors are"),
            (["--events", "1", "--steps", "2"], "cannot have 2 steps"),
        ],
    )
    def test_wrong_input(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        says: str,
    ) -> None:
        assert main([str(tmp_path), *arguments]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1

    def test_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(["--help"])
        assert stopped.value.code == 0
        assert "--chunk-after" in capsys.readouterr().out
