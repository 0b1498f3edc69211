"""Make simulated runs: ``python -m smalldata_ana.simulation --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smalldata_ana.errors import SmallDataError, UsageError
from smalldata_ana.simulation import experiment
from smalldata_ana.simulation.detectors import KINDS
from smalldata_ana.simulation.frames import Sample
from smalldata_ana.simulation.physics import Setup
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import Progress, make_run

_ABOUT = f"""\
Write a simulated run as xtc2 files: OUT/xtc, offset files in OUT/xtc/smalldata,
constants in OUT/calib.  Without OUT, the three runs of the experiment xppsim01 are
made in the user's cache, if they are not there, and no other option has an effect.

Kinds of detectors: {", ".join(KINDS)}.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    spec, setup = RunSpec(), Setup()
    made = argparse.ArgumentParser(
        "python -m smalldata_ana.simulation",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = made.add_argument
    option("out", nargs="?", type=Path, metavar="OUT", help="folder to write to")
    option("-e", "--exp", default=spec.experiment, help="experiment [%(default)s]")
    option("-r", "--run", type=int, default=spec.run, help="run [%(default)s]")
    option("-n", "--events", type=int, default=spec.events, help="[%(default)s]")
    option("--steps", type=int, help="scan steps [1; 3 of a dark run]")
    option(
        "--delays",
        nargs=2,
        type=float,
        default=spec.delays,
        metavar=("FIRST", "LAST"),
        help="laser delay of the first and the last step [s] %(default)s",
    )
    option(
        "-d",
        "--detector",
        action="append",
        type=_detector,
        metavar="NAME[=KIND][:STREAMS]",
        help="a detector, and over how many streams its panels are dealt; may be "
        "repeated [those of xppsim01]; a kind alone is a name too",
    )
    option(
        "--missing",
        action="append",
        default=[],
        type=_missing,
        metavar="NAME=EVENT,…",
        help="events to which a detector contributes nothing (of several streams: "
        "its last)",
    )
    option("--dark", action="store_true", help="dark run, one step per gain stage")
    option("--calibrant", action="store_true", help="LaB6 instead of the sample")
    option("--energy", type=float, default=setup.energy, help="[%(default)s keV]")
    option("--distance", type=float, default=setup.distance, help="[%(default)s mm]")
    option(
        "--center", nargs=2, type=float, default=setup.center, metavar=("X", "Y"),
        help="of the beam, psana frame, from the middle of a detector [um] %(default)s",
    )  # fmt: skip
    option(
        "--tilt", nargs=2, type=float, default=setup.tilt, metavar=("TX", "TY"),
        help="of the detector [deg] %(default)s",
    )  # fmt: skip
    option(
        "--chunk-after", type=int, default=0, metavar="N",
        help="begin a new chunk file after every N events",
    )  # fmt: skip
    option(
        "--truncate-at", type=int, metavar="EVENT",
        help="end the first detector's file in the middle of an event",
    )  # fmt: skip
    option(
        "--rate", type=float,
        help="let the files grow at so many events per second, as a run does that "
        "is being taken (….inprogress)",
    )  # fmt: skip
    option("--no-smd", action="store_true", help="write no offset files")
    option("--no-constants", action="store_true", help="write no constants")
    option("--seed", type=int, default=spec.seed, help="[%(default)s]")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit code."""
    given = parser().parse_args(arguments)
    try:
        if given.out is None:
            print(experiment.ensure(progress=_bar()))
            return 0
        spec = _spec(given)
        made = make_run(given.out, spec, _bar())
    except SmallDataError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{spec.experiment} run {spec.run}: {spec.events} events in {made.xtc_dir}")
    return 0


def _spec(given: argparse.Namespace) -> RunSpec:
    missing = dict(given.missing)
    detectors = tuple(given.detector or RunSpec().detectors)
    names = [d.name for d in detectors]
    for name in missing:
        if name not in names:
            raise UsageError(f"--missing {name}: the detectors are {', '.join(names)}")
    return RunSpec(
        experiment=given.exp,
        run=given.run,
        detectors=tuple(
            DetectorSpec(d.name, d.kind, d.streams, missing.get(d.name, ()))
            for d in detectors
        ),
        events=given.events,
        steps=given.steps or (3 if given.dark else 1),
        delays=tuple(given.delays),
        dark=given.dark,
        setup=Setup(
            given.energy, given.distance, tuple(given.center), tuple(given.tilt)
        ),
        sample=experiment.calibrant() if given.calibrant else Sample(),
        seed=given.seed,
        chunk_after=given.chunk_after,
        truncate_at=given.truncate_at,
        rate=given.rate,
        with_smd=not given.no_smd,
        with_constants=not given.no_constants,
    )


def _detector(text: str) -> DetectorSpec:
    rest, _, streams = text.partition(":")
    name, _, kind = rest.partition("=")
    return DetectorSpec(name, kind, int(streams or 1))


def _missing(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, events = text.partition("=")
    return name, tuple(int(event) for event in events.split(","))


def _bar() -> Progress:
    """Return a progress bar on stderr that appears when it takes more than a moment."""
    from tqdm import tqdm

    bar: tqdm[None] | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, desc="simulating", unit="event", delay=0.2)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return show


if __name__ == "__main__":
    sys.exit(main())
