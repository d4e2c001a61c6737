"""What may be told of a payload: its keys, and its values only on request."""

from __future__ import annotations

import logging
from typing import Any

from coati.compat.kaizen._scrub import scrub_text

__all__ = ["render_scrubbed_payload", "should_log_full_payload", "summarize_payload"]

_LONGEST = 2000


def summarize_payload(payload: Any) -> dict[str, Any]:
    """Keys and their number, no values."""
    if isinstance(payload, dict):
        return {"count": len(payload), "keys": sorted(map(str, payload))}
    return {"count": int(payload is not None), "keys": []}


def render_scrubbed_payload(payload: Any) -> str:
    """The payload as a text without the secrets that the framework finds, cut."""
    text = repr(payload)
    # Before it is cut: of a secret at the end no pattern would know the rest.
    scrubbed = scrub_text(text)
    if len(scrubbed) > _LONGEST:
        return f"{scrubbed[:_LONGEST]}...[truncated {len(text)} chars]"
    return scrubbed


def should_log_full_payload(enabled: bool, logger: logging.Logger) -> bool:
    """Whether values may be shown: asked for, and at level debug."""
    return enabled and logger.isEnabledFor(logging.DEBUG)
