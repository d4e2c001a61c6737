"""``OTLPRouter``: events handed to the engine, which sends them on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import coati
from coati import _native
from coati.compat.universal._trouble import tell
from coati.compat.universal.pii import PIIDetector

__all__ = ["OTLPRouter"]

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40}
_LEVELS |= {"critical": 50, "fatal": 50}
_OWN = frozenset({"message", "event", "level", "severity", "logger", "component", "timestamp"})


class OTLPRouter:
    """Records events; OTLP sinks of the engine send them on, and spool them in an outage.

    Args:
        config: the detector's configuration, or a detector; redaction is on unless it says no.
    """

    def __init__(self, config: Any = None) -> None:
        self.detector = config if isinstance(config, PIIDetector) else PIIDetector(config)

    def route_log_event(self, event: Any) -> bool:
        """Record an event, and tell whether it is sent on.

        An event is a mapping or an object with attributes; nothing in it is required, not even
        ``timestamp``. One that it has is kept as ``event_timestamp``.
        """
        try:
            fields = dict(event) if isinstance(event, Mapping) else dict(vars(event))
        except TypeError:
            fields = {"message": event}
        try:
            level = fields.get("level", fields.get("severity", "info"))
            text = str(getattr(level, "value", level)).lower()
            number = level if type(level) is int else _LEVELS.get(text, 20)
            message = fields.get("message", fields.get("event", ""))
            name = str(fields.get("component") or fields.get("logger") or "universal")
            rest = {key: value for key, value in fields.items() if key not in _OWN}
            if fields.get("timestamp") is not None:
                rest["event_timestamp"] = fields["timestamp"]
            detector = self.detector
            if detector.enabled:
                message, rest = detector.redact_pii(message), detector.redact_metadata(rest)
            texts = {str(key): value for key, value in rest.items()}
            coati.get_logger(name)._emit(
                number, message, {**texts, "pii_redacted": detector.enabled}
            )
        except Exception as error:
            tell("route an event", error)
            return False
        return self.is_enabled()

    def is_enabled(self) -> bool:
        """Whether the engine has a sink that sends log lines on."""
        return any("logs" in sink.get("signals", ()) for sink in _receivers())

    def get_backend_info(self) -> dict[str, Any]:
        """Where events are sent, and how that goes."""
        sinks = _receivers()
        first = sinks[0] if sinks else {}
        return {
            "backend": "otlp",
            "enabled": self.is_enabled(),
            "endpoint": first.get("endpoint"),
            "protocol": first.get("protocol"),
            "sinks": [one for one in coati.health()["sinks"] if "otlp" in str(one["name"])],
        }


def _receivers() -> list[dict[str, Any]]:
    """The engine's sinks of type ``otlp``."""
    sinks: dict[str, dict[str, Any]] = {}
    for key, value, _ in _native.configuration():
        place, _, name = key.partition("].")
        if place.startswith("sinks["):
            sinks.setdefault(place, {})[name] = value
    return [sink for sink in sinks.values() if sink.get("type") == "otlp"]
