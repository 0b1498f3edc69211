"""Run the benchmarks and write what they found to ``benchmarks/RESULTS.md``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    autocorrelation,
    average_image,
    azimuthal,
    beam_center,
    calibration,
    common_mode,
    drawing,
    droplets,
    event_index,
    geometry,
    producer,
    report,
    roi,
    scale,
    start_up,
    sums,
    writing,
)
from benchmarks.report import Topic

RESULTS = Path(__file__).with_name("RESULTS.md")

TOPICS: dict[str, Callable[[], Topic]] = {
    "average_image": average_image.run,
    "start_up": start_up.run,
    "event_index": event_index.run,
    "geometry": geometry.run,
    "sums": sums.run,
    "calibration": calibration.run,
    "common_mode": common_mode.run,
    "azimuthal": azimuthal.run,
    "droplets": droplets.run,
    "roi": roi.run,
    "autocorrelation": autocorrelation.run,
    "beam_center": beam_center.run,
    "drawing": drawing.run,
    "writing": writing.run,
    "producer": producer.run,
    "scale": scale.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the topics that were asked for; return 0 if all targets were reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "topics",
        nargs="*",
        metavar="topic",
        help=f"{', '.join(TOPICS)}; default: all. Those that are left out keep their "
        "section in the report",
    )
    topics = parser.parse_args(arguments).topics or list(TOPICS)
    if wrong := [name for name in topics if name not in TOPICS]:
        parser.error(f"no topic {wrong[0]!r}; there are {', '.join(TOPICS)}")
    reached = True
    for name in topics:
        print(f"{name} ...", file=sys.stderr)
        topic = TOPICS[name]()
        section = report.section(name, topic)
        print(section)
        report.write(RESULTS, name, section, order=list(TOPICS))
        reached &= all(row.reached is not False for row in topic.rows)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
