"""``python -m coati``."""

import sys

from coati.cli import main

if __name__ == "__main__":
    sys.exit(main())
