"""`python -m tfmp` is the command line."""

import sys

from tfmp.cli import main

sys.exit(main())
