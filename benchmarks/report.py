"""What a benchmark found, and the report that it is written to."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "numba", "psana", "ipython", "matplotlib")

_HEAD = """\
# Results of the benchmarks

Written by `python -m benchmarks` (`make bench`). What is compared was run in turn, in
the same process where that is possible, and the numbers are medians over the rounds.
Times hold for the machine that is named; ratios should hold elsewhere.
"""
_BEGIN = "<!-- {} -->"


@dataclass(frozen=True)
class Row:
    """One line of a table of results.

    Attributes
    ----------
    what : what was measured
    value : with its unit
    target : what is to be reached, or an empty string
    reached : whether it was, or None where there is no target
    """

    what: str
    value: str
    target: str = ""
    reached: bool | None = None


@dataclass(frozen=True)
class Topic:
    """The results of one benchmark.

    Attributes
    ----------
    title : of its section
    how : what was run, in sentences
    rows : what came out
    """

    title: str
    how: str
    rows: Sequence[Row]


def at_most(what: str, value: float, limit: float, unit: str = "") -> Row:
    """Return a row whose value is to be at most `limit`."""
    return Row(
        what, f"{value:.2f}{unit}", f"at most {limit:g}{unit}", bool(value <= limit)
    )


def at_least(what: str, value: float, limit: float, unit: str = "") -> Row:
    """Return a row whose value is to be at least `limit`."""
    return Row(
        what, f"{value:.2f}{unit}", f"at least {limit:g}{unit}", bool(value >= limit)
    )


def in_turn(
    things: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Run each thing once per round, in turn; return their times [s] by name."""
    times: dict[str, list[float]] = {name: [] for name in things}
    for _ in range(rounds):
        for name, thing in things.items():
            begin = time.perf_counter()
            thing()
            times[name].append(time.perf_counter() - begin)
    return times


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median over the rounds of the ratio of two times."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def section(name: str, topic: Topic) -> str:
    """Return the text of a topic, with the date, the machine and its load."""
    lines = [
        f"| {row.what} | {row.value} | {row.target} | {_answer(row.reached)} |"
        for row in topic.rows
    ]
    return "\n".join(
        [
            _BEGIN.format(name),
            f"## {topic.title}",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}; {machine()}; {versions(PACKAGES)}; "
            f"load at the end {os.getloadavg()[0]:.1f}.",
            "",
            topic.how,
            "",
            "| measured | value | target | reached |",
            "|---|---|---|---|",
            *lines,
            "",
        ]
    )


def write(path: Path, name: str, text: str, order: Sequence[str]) -> None:
    """Put a section into the report; the other sections stay."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    marks = re.finditer(r"^<!-- (\w+) -->\n(?:(?!<!-- ).*\n?)*", before, re.MULTILINE)
    sections = {mark[1]: mark[0].rstrip() + "\n" for mark in marks} | {name: text}
    parts = [_HEAD, *(sections[key] for key in order if key in sections)]
    path.write_text("\n".join(parts), encoding="utf-8")


def machine() -> str:
    """Return the number of cores and the model of the processor."""
    model = platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"^model name\s*:\s*(.*)$", information.read_text(), re.M)
        model = found[1].strip() if found else model
    return f"{os.cpu_count()} cores, {model}"


def versions(packages: Iterable[str]) -> str:
    """Return the versions of Python and of some packages."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _answer(reached: bool | None) -> str:
    return "" if reached is None else ("yes" if reached else "**no**")
