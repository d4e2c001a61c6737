"""`python -m coati.demo`."""

import sys

from .command import main

sys.exit(main())
