"""``python -m coati``."""

import sys

from coati.cli import main

sys.exit(main())
