"""The command line of the session, made from the traits of its application."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from traitlets import TraitType

DESCRIPTION = """\
Interactive analysis of the area detectors of a run, at an IPython prompt."""

EPILOG = """\
other commands, each with its own -h:
  smalldata-ana setup -e EXP     make the folders of an experiment
  smalldata-ana calib ...        list, import, put and show calibration constants
  smalldata-ana detnames ...     list the detectors of a run

<root> is the folder of the experiment, <results> is <root>/results/smalldata_ana.
Preferences are read from smalldata_ana_config.py in the working directory, then in
~/.smalldata_ana/; what the command line gives wins.  Any of them can be given as
--Class.name=value, e.g. --Display.limits="(1, 99)".

examples:
  smalldata-ana -r 1 -e xppsim01          the simulated experiment, needs no data
  smalldata-ana --files data.xtc2         the files of a run, one by one
  smalldata-ana -r 12 -e xppl1001021 -c "print(anaps.AvImage('epix100').data.mean())"
"""


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True)
class Option:
    """One option of the command line, which sets the trait of the same name.

    Attributes
    ----------
    trait : name of the trait; its help text is shown
    flags : how it is spelled
    default : the default in words, where it is not simply the trait's
    settings : further arguments of `argparse.ArgumentParser.add_argument`
    """

    trait: str
    flags: tuple[str, ...]
    default: str
    settings: Mapping[str, Any]


OPTIONS = (
    Option("run", ("-r", "--run"), "$RUN_NUM", {"type": int, "metavar": "RUN"}),
    Option(
        "experiment",
        ("-e", "--experiment"),
        "$EXPERIMENT, else the one in the path of the working directory",
        {"metavar": "EXP"},
    ),
    Option("directory", ("-d", "--directory"), "<results>", {"metavar": "DIR"}),
    Option(
        "file",
        ("-f", "--file"),
        "<root>/hdf5/smalldata/<exp>_Run<run>.h5",
        {"metavar": "FILE"},
    ),
    Option("xtc_dir", ("--xtc-dir",), "<root>/xtc, then the FFB", {"metavar": "DIR"}),
    Option("files", ("--files",), "none", {"nargs": "+", "metavar": "F"}),
    Option(
        "calib_dir",
        ("--calib-dir",),
        "$SMALLDATA_ANA_CALIB, else <results>/calib",
        {"metavar": "DIR"},
    ),
    Option("live", ("--live",), "off", {"action": "store_true"}),
    Option("params", ("--params",), "<results>/params/<exp>.toml", {"metavar": "FILE"}),
    Option("code", ("-c", "--code"), "none", {"metavar": "CODE"}),
    Option("script", ("--script",), "none", {"metavar": "FILE"}),
    Option("no_gui", ("--no-gui",), "off", {"action": "store_true"}),
    Option("simple_prompt", ("--simple-prompt",), "off", {"action": "store_true"}),
    Option(
        "log_level",
        ("--log-level",),
        "warning; others: debug, info, error",
        {"type": str.upper, "choices": LOG_LEVELS, "metavar": "L"},
    ),
)

_EXCLUSIVE = frozenset({"code", "script"})


def parser(traits: Mapping[str, TraitType[Any, Any]]) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    An option that was not given is absent from its result, so that it does not
    override the configuration file.

    Parameters
    ----------
    traits : the traits of the application by name, for the help texts
    """
    made = argparse.ArgumentParser(
        prog="smalldata-ana",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    exclusive = made.add_mutually_exclusive_group()
    for option in OPTIONS:
        group = exclusive if option.trait in _EXCLUSIVE else made
        text = f"{traits[option.trait].help} (default: {option.default})"
        group.add_argument(
            *option.flags, dest=option.trait, help=text, **option.settings
        )
    return made
