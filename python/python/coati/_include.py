"""Where the headers are."""

from __future__ import annotations

import os


def get_include() -> str:
    """The folder of `coati_python.h`, for the compiler of an extension module."""
    return os.path.join(os.path.dirname(__file__), "include")
