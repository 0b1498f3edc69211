"""``python -m smalldata_ana`` is ``smalldata-ana``."""

import sys

from smalldata_ana.session.app import main

if __name__ == "__main__":
    sys.exit(main())
