"""The configuration, in the package's flat form and in the guide's sections."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coati.compat.langswarm._levels import LogLevel, level_of
from coati.compat.langswarm._sections import (
    IntegrationsConfig,
    LoggingConfig,
    MetricsConfig,
    PerformanceConfig,
    Section,
    TracingConfig,
)

_SECTIONS: dict[str, type[Section]] = {
    "logging": LoggingConfig,
    "tracing": TracingConfig,
    "metrics": MetricsConfig,
    "integrations": IntegrationsConfig,
    "performance": PerformanceConfig,
}


@dataclass
class ObservabilityConfig:
    """How to observe.

    The fields down to ``flush_interval`` are the package's. The guide's sections may be given
    instead, as mappings or as objects; what they say is then in the package's fields, too.
    """

    enabled: bool = True
    log_level: Any = LogLevel.INFO
    log_format: str = "structured"
    log_output: str = "console"
    log_file_path: str | None = None
    tracing_enabled: bool = True
    trace_sampling_rate: float = 1.0
    trace_export_url: str | None = None
    metrics_enabled: bool = True
    metrics_export_interval: int = 60
    metrics_export_url: str | None = None
    opentelemetry_enabled: bool = False
    opentelemetry_service_name: str = "langswarm"
    opentelemetry_service_version: str = "2.0.0"
    opentelemetry_otlp_endpoint: str | None = None
    opentelemetry_otlp_headers: dict[str, str] = field(default_factory=dict)
    opentelemetry_jaeger_endpoint: str | None = None
    opentelemetry_prometheus_enabled: bool = False
    opentelemetry_prometheus_port: int = 8000
    enabled_components: list[str] | None = None
    disabled_components: list[str] | None = None
    async_processing: bool = True
    buffer_size: int = 1000
    flush_interval: int = 5
    logging: Any = field(default=None, kw_only=True)
    tracing: Any = field(default=None, kw_only=True)
    metrics: Any = field(default=None, kw_only=True)
    integrations: Any = field(default=None, kw_only=True)
    performance: Any = field(default=None, kw_only=True)
    #: Whether it came in sections: such programs never expect a span to be None.
    sectioned: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.log_level = level_of(self.log_level)
        self.sectioned = any(getattr(self, name) is not None for name in _SECTIONS)
        given = {name: getattr(self, name) is not None for name in _SECTIONS}
        for name, section in _SECTIONS.items():
            setattr(self, name, section.of(getattr(self, name)))
        if given["logging"]:
            self._take_logging(self.logging)
        if given["tracing"]:
            self.tracing_enabled = self.tracing.enabled
            self.trace_sampling_rate = self.tracing.sampling_rate
            self.trace_export_url = self.tracing.endpoint
        if given["metrics"]:
            self.metrics_enabled = self.metrics.enabled
            self.metrics_export_interval = self.metrics.export_interval

    def _take_logging(self, section: LoggingConfig) -> None:
        self.log_level = section.level
        self.log_output = section.output
        self.log_format = (
            "text" if section.format in {"detailed", "simple", "text"} else "structured"
        )
        if section.output in {"file", "both"}:
            self.log_file_path = section.file_path
        filters = {**section.extra, **(section.filters or {})}
        if filters.get("exclude_components"):
            self.disabled_components = list(filters["exclude_components"])
        if filters.get("include_components"):
            self.enabled_components = list(filters["include_components"])

    @classmethod
    def development(cls) -> ObservabilityConfig:
        """Everything, as text on the console."""
        return cls(
            log_level=LogLevel.DEBUG, log_format="text", async_processing=False, buffer_size=100
        )

    @classmethod
    def production(cls) -> ObservabilityConfig:
        """Log lines in a file, and a tenth of all traces."""
        return cls(
            log_output="both",
            log_file_path="logs/langswarm.log",
            trace_sampling_rate=0.1,
            buffer_size=10000,
            flush_interval=10,
        )

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> ObservabilityConfig:
        """From the package's fields, the guide's sections, or both."""
        return cls(**config)

    @classmethod
    def of(cls, config: Any) -> ObservabilityConfig:
        """The configuration that ``config`` means: one already, a mapping, or another class's."""
        if isinstance(config, cls):
            return config
        if isinstance(config, Section):
            name = next(name for name, kind in _SECTIONS.items() if isinstance(config, kind))
            return cls.from_dict({name: config})
        if config is None or isinstance(config, Mapping):
            return cls(**(config or {}))
        names = [each.name for each in dataclasses.fields(cls) if each.init]
        return cls(**{name: getattr(config, name) for name in names if hasattr(config, name)})

    def to_dict(self) -> dict[str, Any]:
        """As a dict that :meth:`from_dict` takes."""
        fields = [each for each in dataclasses.fields(self) if each.init]
        plain = {each.name: getattr(self, each.name) for each in fields}
        for name in _SECTIONS:
            section = plain.pop(name)
            if self.sectioned:
                plain[name] = dataclasses.asdict(section)
        return plain

    def validate(self) -> list[str]:
        """What is wrong with it, empty if nothing."""
        wrong = [text for name in _SECTIONS for text in getattr(self, name).validate()]
        rate = self.trace_sampling_rate
        if not (isinstance(rate, (int, float)) and 0 <= rate <= 1) and not wrong:
            wrong.append(f"trace_sampling_rate is {rate!r}, not a number from 0 to 1")
        return wrong
