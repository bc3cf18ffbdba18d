"""`python -m hyperws` is the command `hyperws`."""

import sys

from hyperws.cli import main

sys.exit(main())
