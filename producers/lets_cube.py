"""Cubes: full images of a run, summed in bins; see ``--help``."""

import sys

import environment

environment.enter()

from smalldata_ana.commands.cube import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
