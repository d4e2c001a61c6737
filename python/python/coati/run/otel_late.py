"""coati's providers as the API's stand-ins are: what they gave follows a provider set later."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from opentelemetry.metrics import _internal as _metrics_api

from coati.otel import logs, metrics, trace

__all__ = ["LoggerProvider", "MeterProvider", "TracerProvider"]


class TracerProvider(trace.TracerProvider):
    """Its tracers start the program's spans once the program has a provider."""

    _theirs: Any = None

    def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
        """The tracer of an instrumentation scope."""
        if self._theirs is not None:
            return self._theirs.get_tracer(*args, **kwargs)
        tracer = super().get_tracer(*args, **kwargs)
        if self._theirs is not None:
            # It was set meanwhile.
            self.follow(self._theirs)
        return tracer

    def follow(self, theirs: Any) -> None:
        """Have another provider start the spans from now on."""
        self._theirs = theirs
        with self._lock:
            tracers = list(self._tracers.values())
        for tracer in tracers:
            scope: Any = tracer.instrumentation_scope
            tracer._instead(_starts(theirs.get_tracer(*scope)))


def _starts(tracer: Any) -> Callable[..., Any]:
    def start(_: object, name: str, context: Any, kind: Any, attributes: Any, *more: Any) -> Any:
        links, *others = more
        return tracer.start_span(name, context, kind, attributes, links or (), *others)

    return start


class LoggerProvider(logs.LoggerProvider):
    """Its loggers emit by the program's once the program has a provider."""

    _theirs: Any = None
    _given: weakref.WeakSet[Any]

    def get_logger(self, *args: Any, **kwargs: Any) -> Any:
        """The logger of a scope."""
        if self._theirs is not None:
            return self._theirs.get_logger(*args, **kwargs)
        logger = super().get_logger(*args, **kwargs)
        if isinstance(logger, logs.Logger):
            self.__dict__.setdefault("_given", weakref.WeakSet()).add(logger)
        if self._theirs is not None:
            self.follow(self._theirs)
        return logger

    def follow(self, theirs: Any) -> None:
        """Have loggers of another provider emit from now on."""
        self._theirs = theirs
        for logger in list(self.__dict__.get("_given", ())):
            scope = logger._name, logger._version, logger._schema_url, logger._attributes
            logger._by = theirs.get_logger(*scope)
            logger.__class__ = _Following


class _Following(logs.Logger):
    """A logger that another one stands for."""

    _by: Any

    def emit(self, record: Any = None, **given: Any) -> None:
        """Have the other one emit it."""
        self._by.emit(*(() if record is None else (record,)), **given)


class MeterProvider(metrics.MeterProvider):
    """Its meters' instruments are those of the program's once the program has a provider."""

    _theirs: Any = None
    _late: dict[tuple[str, str, str], Any]

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> Any:
        """The meter of a scope."""
        if self._theirs is not None:
            return self._theirs.get_meter(name, version, schema_url, attributes)
        ours = super().get_meter(name, version, schema_url, attributes)
        if not isinstance(ours, metrics.Meter):
            return ours
        late = self.__dict__.setdefault("_late", {})
        key = ours._scope
        meter = late.get(key) or late.setdefault(key, _Meter(name, version, schema_url, ours))
        if self._theirs is not None:
            self.follow(self._theirs)
        return meter

    def follow(self, theirs: Any) -> None:
        """Have instruments of another provider count from now on."""
        self._theirs = theirs
        for meter in list(self.__dict__.get("_late", {}).values()):
            meter.follow(theirs)


class _Meter(_metrics_api._ProxyMeter):
    """Makes the API's stand-ins for instruments, which count by coati's meanwhile."""

    def __init__(
        self, name: str, version: str | None, schema_url: str | None, ours: metrics.Meter
    ) -> None:
        super().__init__(name, version, schema_url)
        self._ours = ours

    def follow(self, theirs: Any) -> None:
        """Have another provider's meter make what counts, unless it does."""
        if self._real_meter is None:
            self.on_set_meter_provider(theirs)
            self._ours._end()


def _creates(name: str) -> Any:
    create = getattr(_metrics_api._ProxyMeter, name)

    def creates(self: _Meter, *args: Any, **kwargs: Any) -> Any:
        made = create(self, *args, **kwargs)
        if self._real_meter is None:
            made.on_meter_set(self._ours)
            if self._real_meter is not None:
                # It was set meanwhile.
                made.on_meter_set(self._real_meter)
        return made

    creates.__name__, creates.__doc__ = name, create.__doc__
    return creates


for _name in [name for name in vars(_metrics_api._ProxyMeter) if name.startswith("create_")]:
    setattr(_Meter, _name, _creates(_name))
