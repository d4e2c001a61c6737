"""The guide's way to configure: a section each for logging, tracing, metrics and limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from coati.compat.langswarm._levels import LogLevel, level_of

_Section = TypeVar("_Section", bound="Section")


@dataclass
class Section:
    """A section; keys that it does not know are kept in ``extra``."""

    extra: dict[str, Any] = field(default_factory=dict, kw_only=True)

    @classmethod
    def of(cls: type[_Section], value: Any) -> _Section:
        """The section that ``value`` means: one already, a mapping, or nothing."""
        if isinstance(value, cls):
            return value
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.asdict(value)
        given = dict(value) if isinstance(value, Mapping) else {}
        names = {each.name for each in dataclasses.fields(cls)}
        known = {key: given.pop(key) for key in list(given) if key in names}
        known.setdefault("extra", {}).update(given)
        return cls(**known)

    def validate(self) -> list[str]:
        """What is wrong with it."""
        return []


@dataclass
class LoggingConfig(Section):
    """Where log lines go."""

    level: Any = LogLevel.INFO
    output: str = "console"
    format: str = "json"
    file_path: str = "logs/langswarm.log"
    rotation: dict[str, Any] | None = None
    correlation: bool = True
    color: bool = False
    filters: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.level = level_of(self.level)

    def validate(self) -> list[str]:
        """What is wrong with it."""
        wrong = []
        if self.output not in {"console", "file", "both"}:
            wrong.append(f"logging.output is {self.output!r}, not console, file or both")
        if self.format not in {"json", "detailed", "simple", "structured", "text"}:
            wrong.append(f"logging.format is {self.format!r}, not json, detailed or simple")
        return wrong


@dataclass
class TracingConfig(Section):
    """Which spans are kept, and where they go."""

    enabled: bool = True
    sampling_rate: float = 1.0
    exporter: str = "console"
    endpoint: str | None = None
    span_processor: str = "batch"
    max_spans_per_trace: int | None = None
    max_attributes_per_span: int | None = None
    max_events_per_span: int | None = None
    span_timeout_seconds: float | None = None
    max_export_batch_size: int | None = None
    sampling_rules: list[dict[str, Any]] = field(default_factory=list)

    def validate(self) -> list[str]:
        """What is wrong with it."""
        if isinstance(self.sampling_rate, (int, float)) and 0 <= self.sampling_rate <= 1:
            return []
        return [f"tracing.sampling_rate is {self.sampling_rate!r}, not a number from 0 to 1"]


@dataclass
class MetricsConfig(Section):
    """What is measured, and who may read it."""

    enabled: bool = True
    export_interval: int = 60
    prometheus_endpoint: str | None = None
    include_histograms: bool = True
    max_label_count: int | None = None
    exclude_labels: list[str] = field(default_factory=list)
    custom_buckets: dict[str, list[float]] = field(default_factory=dict)

    def validate(self) -> list[str]:
        """What is wrong with it."""
        if self.export_interval > 0:
            return []
        return [f"metrics.export_interval is {self.export_interval!r}, not above 0"]


@dataclass
class IntegrationsConfig(Section):
    """Which components are observed."""

    all_components: bool = True
    essential_components: bool = False
    detailed_spans: bool = False
    error_only_spans: bool = False
    parameter_logging: bool = False


@dataclass
class PerformanceConfig(Section):
    """Limits."""

    max_spans_per_trace: int | None = None
    max_attributes_per_span: int | None = None
    span_timeout_seconds: float | None = None
    max_log_entry_size: int | None = None
