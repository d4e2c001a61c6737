"""The provider that is installed for the whole program: one, whichever function installed it."""

from __future__ import annotations

from typing import Any

provider: Any = None


def install(given: Any) -> None:
    """Install a provider, or None."""
    global provider  # noqa: PLW0603 - a program has one
    provider = given
