"""The producer: reduces the events of a run to small data; see ``--help``."""

import sys

import environment

environment.enter()

from smalldata_ana.commands.producer import main  # noqa: E402
from smalldata_ana.producing.executors import end_mpi_in_order  # noqa: E402

if __name__ == "__main__":
    end_mpi_in_order()
    sys.exit(main())
