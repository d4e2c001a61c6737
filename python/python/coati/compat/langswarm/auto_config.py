"""Langfuse's callbacks in LiteLLM, where the environment has Langfuse's keys."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

from coati.compat.langswarm._trouble import tell

__all__ = ["auto_configure_langfuse"]


def auto_configure_langfuse() -> None:
    """Register Langfuse with LiteLLM, if both are installed and the keys are set."""
    if not (os.getenv("LANGFUSE_PUBLIC_KEY") and os.getenv("LANGFUSE_SECRET_KEY")):
        return
    try:
        if (
            importlib.util.find_spec("litellm") is None
            or importlib.util.find_spec("langfuse") is None
        ):
            return
        litellm: Any = importlib.import_module("litellm")
        for name in ("success_callback", "failure_callback"):
            callbacks = getattr(litellm, name, None)
            if not isinstance(callbacks, list):
                callbacks = []
                setattr(litellm, name, callbacks)
            if "langfuse" not in callbacks:
                callbacks.append("langfuse")
        host = os.getenv("LANGFUSE_HOST") or os.getenv("LANGFUSE_BASE_URL")
        if host:
            os.environ["LANGFUSE_HOST"] = host
    except Exception as error:  # theirs, on import
        tell("configure Langfuse", error)
