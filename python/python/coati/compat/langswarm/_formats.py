"""A log event as the framework writes it: for whoever needs its text instead of coati's lines."""

from __future__ import annotations

import json

from coati.compat.langswarm.interfaces import LogEvent

_OPTIONAL = ("operation", "trace_id", "span_id", "user_id", "session_id", "metadata")
#: How much of an id stands in a text line.
_SHORT = 8


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def structured(event: LogEvent) -> str:
    """One JSON object."""
    line = {
        "timestamp": event.timestamp.isoformat(),
        "level": event.level.value,
        "message": event.message,
        "component": event.component,
    }
    for name in _OPTIONAL:
        value = getattr(event, name)
        if value:
            line[name] = value
    return _compact(line)


def text(event: LogEvent) -> str:
    """One line for people."""
    moment = event.timestamp.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    parts = [f"{moment} [{event.level.value.upper()}] {event.component}: {event.message}"]
    ids = {"trace": event.trace_id, "span": event.span_id}
    trace = [f"{name}={value[:_SHORT]}" for name, value in ids.items() if value]
    if trace:
        parts.append(f"[{', '.join(trace)}]")
    who = [f"user={event.user_id}"] if event.user_id else []
    if event.session_id:
        who.append(f"session={event.session_id[:_SHORT]}")
    if who:
        parts.append(f"({', '.join(who)})")
    if event.metadata:
        parts.append(_compact(event.metadata))
    return " ".join(parts)
