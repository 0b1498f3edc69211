"""The command lines, and what they share: options, exit codes, tables."""

from __future__ import annotations

import argparse
import functools
import logging
import os
import select
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from smalldata_ana.errors import SmallDataError

EXIT_INTERRUPTED = 130
EXIT_NOT_READ = 141
"""Nobody reads the output any more: 128 + SIGPIPE, as of other programs."""

LOG_LEVELS = ("debug", "info", "warning", "error")

logger = logging.getLogger(__name__)


class Command(Protocol):
    """A command line: takes its arguments or the process's, gives an exit code."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run the command."""


def run_command(main: Callable[[list[str]], int]) -> Command:
    """Turn a command's errors into one line and an exit code.

    Parameters
    ----------
    main : takes the arguments, does the work, and returns the exit code

    Returns
    -------
    The same for the outside.  A `SmallDataError` is printed on stderr, with a traceback
    only with ``--log-level debug``, and gives its exit code; Ctrl-C gives 130, and a
    reader of the output that goes away, as in ``| head``, 141.
    """

    @functools.wraps(main)
    def command(argv: Sequence[str] | None = None) -> int:
        arguments = sys.argv[1:] if argv is None else list(argv)
        try:
            code = main(arguments)
            sys.stdout.flush()
            return code
        except SmallDataError as error:
            return tell_error(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED
        except BrokenPipeError:
            if not _output_is_lost():
                raise
            return EXIT_NOT_READ

    return command


def tell_error(error: SmallDataError, where: str = "") -> int:
    """Tell an error on stderr, and return its exit code.

    Parameters
    ----------
    error : the error, which is being handled
    where : to what it happened, as the begin of the sentence
    """
    logger.debug("the error, with its traceback", exc_info=True)
    print(f"error: {where}{error}", file=sys.stderr)
    return error.exit_code


def say(text: str) -> None:
    """Print a text beside the work, which goes on also when nobody reads it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        if not _output_is_lost():
            raise


def _output_is_lost() -> bool:
    """Tell whether nobody reads the output; from then on it is thrown away."""
    lost = False
    for stream in (sys.stdout, sys.stderr):
        state = select.poll()
        state.register(stream, select.POLLOUT)
        if any(event & select.POLLERR for _, event in state.poll(0)):
            lost = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return lost


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--log-level``, which `set_log_level` obeys."""
    parser.add_argument(
        "--log-level",
        choices=LOG_LEVELS,
        default="warning",
        help="how much to tell on stderr; debug also shows tracebacks [%(default)s]",
    )


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--experiment``."""
    parser.add_argument(
        "-e",
        "--experiment",
        metavar="EXP",
        help="experiment [$EXPERIMENT, else from the working directory]",
    )


def add_action(
    actions: Any, name: str, act: Callable[..., None], text: str
) -> argparse.ArgumentParser:
    """Add an action to a command, with the options that all of them have.

    Parameters
    ----------
    actions : as `argparse.ArgumentParser.add_subparsers` returned them
    name : of the action
    act : what does it, the option ``act``
    text : its help
    """
    action: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    action.set_defaults(act=act)
    add_experiment(action)
    add_log_level(action)
    return action


def set_log_level(level: str) -> None:
    """Let the log tell what a user asked for, on stderr."""
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("smalldata_ana").setLevel(level.upper())


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as text in aligned columns below a header."""
    lines = [tuple(header), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )
