"""Records that only the guide has."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from coati.compat.langswarm._levels import LogLevel, MetricType, level_of
from coati.compat.langswarm.interfaces import utc

_Record = TypeVar("_Record", bound="_Dicts")


class _Dicts:
    """A record that is made of a dict, and becomes one."""

    def to_dict(self) -> dict[str, Any]:
        """As a dict of plain values."""
        fields = [each.name for each in dataclasses.fields(self)]  # type: ignore[arg-type]
        return {name: _plain(getattr(self, name)) for name in fields}

    def to_json(self) -> str:
        """As a JSON object."""
        return json.dumps(self.to_dict(), default=str)

    @classmethod
    def from_dict(cls: type[_Record], data: Mapping[str, Any]) -> _Record:
        """From such a dict; what it does not know is left out."""
        names = {each.name for each in dataclasses.fields(cls)}  # type: ignore[arg-type]
        given = {name: value for name, value in data.items() if name in names}
        if isinstance(given.get("timestamp"), str):
            given["timestamp"] = datetime.fromisoformat(given["timestamp"])
        return cls(**given)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (LogLevel, MetricType)):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value


@dataclass
class LogEntry(_Dicts):
    """A log line."""

    timestamp: datetime
    level: Any
    component: str
    message: str
    context: dict[str, Any] = field(default_factory=dict)
    trace_id: str | None = None
    span_id: str | None = None
    correlation_id: str | None = None
    service: str = "langswarm_v2"
    version: str = "2.0.0"

    def __post_init__(self) -> None:
        self.level = level_of(self.level)


@dataclass
class SpanContext(_Dicts):
    """The ids of a span."""

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    trace_flags: int = 0
    trace_state: dict[str, str] = field(default_factory=dict)

    def is_valid(self) -> bool:
        """Whether both ids are there."""
        return bool(self.trace_id.strip("0") and self.span_id.strip("0"))

    def with_span_id(self, span_id: str) -> SpanContext:
        """The same with another span's id."""
        return dataclasses.replace(self, span_id=span_id)


@dataclass
class MetricValue(_Dicts):
    """A value of a metric."""

    name: str
    type: Any
    value: float
    labels: dict[str, str] = field(default_factory=dict)
    timestamp: datetime = field(default_factory=utc)
    unit: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        self.type = MetricType(getattr(self.type, "value", self.type))
