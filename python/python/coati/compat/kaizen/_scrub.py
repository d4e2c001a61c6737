"""Errors of others as texts, without the secrets that they may hold."""

from __future__ import annotations

import importlib

__all__ = ["scrub", "scrub_text"]


def scrub(error: BaseException) -> str:
    """The error's text as the framework shows it; only its kind where that is not installed."""
    try:
        module = importlib.import_module("kaizen.utils.credential_scrub")
        return str(module.scrub_remote_error(error))
    except Exception:
        return type(error).__name__


def scrub_text(text: str) -> str:
    """A text as the framework shows it; nothing of it where that is not installed."""
    try:
        module = importlib.import_module("kaizen.utils.credential_scrub")
        return str(module.scrub_credentials(text))
    except Exception:
        return "[REDACTED]"
