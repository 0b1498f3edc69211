"""Find the Python that this checkout runs in, or make it: the one bootstrap.

``make env``, the launcher and the producers come here.  In this order:

1. the running Python, if it imports `smalldata_ana` already, from elsewhere than the
   working directory;
2. ``.venv`` in the checkout, if it is complete;
3. a new ``.venv``.  Where the running Python has psana (SLAC's environment) it is laid
   over that Python, and nothing that is there is installed again or changed; elsewhere
   it is made from a Python that psana has wheels for.

It runs under any Python from 3.6 on, whatever ``python`` is, and needs nothing beside
the standard library.
"""

import argparse
import contextlib
import os
import sys

from bootstrap.checkout import (
    ASKED,
    CHECKOUT,
    NEEDED,
    NEEDED_BY_TESTS,
    PYTHON,
    READY,
    VENV,
    SetupError,
    in_own_venv,
    newer_than_project,
    of_its_owner,
    origin,
    read,
    tell,
    up_to_date,
    usable_here,
)


def enter():
    """Go on in the right Python: return if this is it, else start over in it.

    Under ``mpirun`` with MPI already started a process cannot be replaced.
    """
    if usable_here():
        return
    with ending_in_one_line():
        python = find_or_make()
        if in_own_venv():
            raise SetupError(f"{VENV} is damaged; type: make clean-env env")
        if "mpi4py.MPI" in sys.modules:
            raise SetupError("smalldata_ana is not in this Python; use " + python)
        sys.stdout.flush()
        os.execv(python, [python, *sys.argv])


def find_or_make(modules=NEEDED, dry_run=False):
    """Return the path of the Python to use.

    Raises
    ------
    SetupError
        if there is none and none can be made; the text says what to type
    """
    if usable_here(modules) and not in_own_venv():
        place = os.path.dirname(origin("smalldata_ana"))
        if not os.path.samefile(os.path.dirname(place), CHECKOUT):
            tell("using the installed " + place)
        return sys.executable
    if up_to_date():
        if not newer_than_project():
            with contextlib.suppress(OSError):  # another user's: compared each time
                os.utime(READY)
        return PYTHON
    if not os.access(CHECKOUT, os.W_OK):
        return of_its_owner()
    from bootstrap.install import Steps, alone, make

    with alone():
        if not up_to_date():
            make(Steps(dry_run))
    return PYTHON


@contextlib.contextmanager
def ending_in_one_line():
    """Turn the errors of the set-up into a line on stderr and an exit code."""
    try:
        yield
    except (SetupError, OSError) as error:
        tell(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        tell("interrupted; the next start begins again")
        sys.exit(130)


def remember(name):
    """Note that the Python of this name was asked, so that the launcher need not."""
    if name in read(ASKED).splitlines():
        return
    # Where another user's cannot be changed, the next start asks again.
    with contextlib.suppress(OSError), open(ASKED, "a") as file:
        file.write(name + "\n")


def main():
    """Print the path of the Python to use; where there is none, make it first."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    add = parser.add_argument
    add("--test", action="store_true", help="one that has the tools for tests")
    add("--called", metavar="NAME", help="the name by which this Python was started")
    add("--dry-run", action="store_true", help="say what would be done, do nothing")
    add("--remove", action="store_true", help="remove the .venv that was made here")
    add("--write-lists", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with ending_in_one_line():
        if options.remove or options.write_lists:
            from bootstrap import install

            (install.remove if options.remove else install.write_lists)()
            return
        modules = NEEDED + NEEDED_BY_TESTS * options.test
        python = find_or_make(modules, options.dry_run)
        if options.called and python == PYTHON and not options.dry_run:
            remember(options.called)
        print(python)


if __name__ == "__main__":
    main()
