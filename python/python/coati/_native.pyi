"""The native half of coati. Import these names from ``coati`` and ``coati.metrics``."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from os import PathLike
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, final, overload

from typing_extensions import Self

_P = ParamSpec("_P")
_R = TypeVar("_R")
_F = TypeVar("_F", bound=Callable[..., Any])

__version__: str

_C_API: object

class ConfigError(Exception):
    """A configuration was refused; nothing of it took effect.

    The message names the key, the value, where it was given and what is accepted.
    """

class MetricError(Exception):
    """There is no such instrument: its name is bad or belongs to another one."""

@final
class Engine:
    """The running engine, as ``init`` returns it. There is one for each process."""

    def configure(self, **sections: Any) -> None:
        """Change settings while running, as ``coati.configure``."""
    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what has been recorded is in its sinks, as ``coati.flush``."""
    def shutdown(self, timeout: float = 5.0) -> dict[str, Any]:
        """Flush, stop, and return the final ledger, as ``coati.shutdown``."""
    def ledger(self) -> dict[str, Any]:
        """What was recorded, delivered and dropped, as ``coati.ledger``."""
    def health(self) -> dict[str, Any]:
        """What is wrong, and what the engine uses, as ``coati.health``."""
    @property
    def config(self) -> dict[str, Any]:
        """The configuration in force, as a dict that ``init`` takes."""
    @property
    def prometheus_address(self) -> str | None:
        """Where metrics are served, as ``host:port``; None where they are not."""

def init(
    service: str | None = None,
    *,
    preset: str | None = None,
    config: Mapping[str, Any] | None = None,
    config_file: str | PathLike[str] | None = None,
) -> Engine:
    """Start the engine.

    ``service`` beats ``config``, that beats ``config_file`` (TOML, else ``COATI_CONFIG_FILE``),
    that beats the environment (``COATI_*``, ``OTEL_*``), that beats the preset: ``"development"``
    or ``"production"``, else ``COATI_PRESET``, else ``"development"``. A second call with the same
    configuration does nothing.

    Raises:
        ConfigError: a key is unknown or a value bad, or the engine runs with another configuration.
    """

def configure(**sections: Any) -> None:
    """Change settings while running: ``configure(logs={"level": "debug"})``.

    Raises:
        ConfigError: a key is unknown, a value bad, or a restart needed; nothing is changed then.
    """

def flush(timeout: float = 5.0) -> bool:
    """Wait until everything recorded before the call, by any thread, is in its sinks.

    Waits at most ``timeout`` seconds, without the interpreter's lock, and tells whether it is.
    Tail sampling decides with what is known by then. False in an at-fork handler, and in a forked
    child that has recorded nothing yet.
    """

def shutdown(timeout: float = 5.0) -> dict[str, Any]:
    """Flush for at most ``timeout`` seconds, stop, and return the final ledger.

    Later calls record nothing and never raise.
    """

def ledger() -> dict[str, Any]:
    """What was recorded, delivered and dropped, in records.

    For ``logs``, ``spans`` and, under ``internal``, the engine's own notices. ``spans`` tells
    besides how many ended spans have no parent (``roots``) and how many the status error
    (``errors``): each once, as the drain takes it, whatever sinks and tail sampling do with it.
    """

def health() -> dict[str, Any]:
    """``ok``, ``problems`` (each with ``component``, ``reason``, ``since``, ``lost``), ``sinks``,
    ``uptime_s`` in seconds, ``memory_bytes`` in bytes, ``ignored`` metric values, ``tail_sampling``
    where that is on (what it has decided, and what waits), and more.
    """

def memory_records() -> list[dict[str, Any]]:
    """Take what sinks of type ``memory`` have kept, oldest first: for tests."""

def configuration() -> list[tuple[str, Any, str]]:
    """Every key of the configuration in force, its value and where that came from; secrets are
    masked."""

def warnings() -> list[str]:
    """What of the environment was ignored, and why."""

def check_endpoints() -> list[tuple[str, str, str | None, float]]:
    """Ask every receiver of OTLP: signal, URL, what is wrong or None, seconds it took."""

@final
class Logger:
    """A named source of log lines, made by ``coati.get_logger``.

    A field may be a str, int of any size, float, bool, None, bytes, datetime, UUID, Enum, Path, a
    list, tuple or dict of those, or anything else as its ``str()``. Recording never raises on a
    value. ``exc_info`` tells of an exception, as in the standard library.
    """

    @property
    def name(self) -> str:
        """The name."""
    def debug(self, message: object, /, **fields: Any) -> None:
        """Record a line at level debug."""
    def info(self, message: object, /, **fields: Any) -> None:
        """Record a line at level info."""
    def warning(self, message: object, /, **fields: Any) -> None:
        """Record a line at level warning."""
    def error(self, message: object, /, **fields: Any) -> None:
        """Record a line at level error."""
    def critical(self, message: object, /, **fields: Any) -> None:
        """Record a line at level critical."""
    def exception(self, message: object, /, **fields: Any) -> None:
        """Record a line at level error with the exception being handled."""
    def log(self, level: str, message: object, /, **fields: Any) -> None:
        """Record a line at ``level``: debug, info, warning, error or critical.

        Raises:
            ValueError: there is no such level.
        """
    def bind(self, /, **fields: Any) -> Logger:
        """A logger of the same name whose lines carry these fields too."""
    def is_enabled(self, level: str, /) -> bool:
        """Whether lines at ``level`` are recorded now.

        Raises:
            ValueError: there is no such level.
        """
    def _emit(
        self,
        levelno: int,
        message: object,
        fields: dict[str, Any] | None = None,
        exc_info: object = None,
        site: tuple[str, int] | None = None,
        /,
    ) -> None: ...

def get_logger(name: str = "", /) -> Logger:
    """The logger called ``name``, the same one each time."""

@final
class context:
    """Fields on every record made inside, over ``await`` and into child tasks."""

    def __new__(cls, **fields: Any) -> Self: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, /, *exc_info: object) -> None: ...
    def __aenter__(self) -> Awaitable[Self]: ...
    def __aexit__(self, /, *exc_info: object) -> Awaitable[None]: ...

@final
class SpanContext:
    """The ids of a span, as they cross process boundaries, and the baggage that goes with them.

    Without both ids it stands for no span. ``baggage`` is a mapping, or the text of a header.

    Raises:
        ValueError: an id is not lower-case hexadecimal of its length, or all zero; ``trace_state``
            or a name of ``baggage`` is malformed.
    """

    def __new__(
        cls,
        trace_id: str | None = None,
        span_id: str | None = None,
        trace_flags: int = 1,
        trace_state: str | None = None,
        is_remote: bool = True,
        baggage: Mapping[str, Any] | str | None = None,
    ) -> Self: ...
    @property
    def trace_id(self) -> str:
        """32 lower-case hexadecimal digits, all zero for none."""
    @property
    def span_id(self) -> str:
        """16 lower-case hexadecimal digits, all zero for none."""
    @property
    def trace_flags(self) -> int:
        """W3C trace flags: 1 is sampled, 2 a random trace id."""
    @property
    def is_valid(self) -> bool:
        """Whether both ids are real."""
    @property
    def is_remote(self) -> bool:
        """Whether it came from another process."""
    @property
    def trace_state(self) -> str | None:
        """The W3C ``tracestate``, None where there is none."""
    @property
    def baggage(self) -> dict[str, str]:
        """The baggage that came along, by name."""
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Span:
    """A unit of work, made by a tracer. Current inside a ``with`` statement, which ends it."""

    @property
    def trace_id(self) -> str:
        """32 lower-case hexadecimal digits."""
    @property
    def span_id(self) -> str:
        """16 lower-case hexadecimal digits."""
    @property
    def context(self) -> SpanContext:
        """Its ids, as they cross process boundaries."""
    @property
    def trace_state(self) -> str | None:
        """The W3C ``tracestate``, None where there is none."""
    def get_span_context(self) -> SpanContext:
        """As ``context``, by OpenTelemetry's name."""
    def set_attribute(self, key: str, value: Any, /) -> None:
        """Set one attribute; one of the same name is replaced."""
    def set_attributes(self, attributes: Mapping[str, Any], /) -> None:
        """Set each attribute of a mapping."""
    def add_event(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        /,
        **fields: Any,
    ) -> None:
        """Add an event that happens now, or at ``timestamp`` in nanoseconds since the epoch."""
    def add_link(
        self,
        context: Span | SpanContext,
        attributes: Mapping[str, Any] | None = None,
        /,
        **fields: Any,
    ) -> None:
        """Link another span."""
    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        /,
        **fields: Any,
    ) -> None:
        """Add an event that tells of an exception; the status stays as it is."""
    def set_status(
        self, status: Literal["ok", "error", "unset"], description: str | None = None
    ) -> None:
        """Set the status. ``ok`` is final; only an error has a description.

        Raises:
            ValueError: there is no such status.
        """
    def update_name(self, name: str, /) -> None:
        """Replace the name."""
    def is_recording(self) -> bool:
        """Whether what is set on it will be kept."""
    def end(self, end_time: int | None = None) -> None:
        """End it, now or at ``end_time`` in nanoseconds since the epoch; later calls do nothing."""
    def __enter__(self) -> Self: ...
    def __exit__(self, /, *exc_info: object) -> None: ...
    def __aenter__(self) -> Awaitable[Self]: ...
    def __aexit__(self, /, *exc_info: object) -> Awaitable[None]: ...

@final
class StreamSpan:
    """A span over what an iterator gives bit by bit, made by ``Tracer.stream_span``.

    Current inside a ``with`` or ``async with`` statement. It ends when the statement and all
    wrapped iterators have: a wrapped iterator may outlive the statement, and needs none. At its end
    it tells ``coati.stream.chunks``, ``coati.stream.end`` (``exhausted``, ``closed``,
    ``cancelled``, ``error`` or ``collected``), ``gen_ai.response.time_to_first_chunk``,
    ``coati.stream.gap.max`` and ``.mean`` (seconds between chunks), and what was gathered.
    """

    @property
    def span(self) -> Span:
        """The span itself."""
    @property
    def trace_id(self) -> str:
        """32 lower-case hexadecimal digits."""
    @property
    def span_id(self) -> str:
        """16 lower-case hexadecimal digits."""
    @property
    def context(self) -> SpanContext:
        """Its ids, as they cross process boundaries."""
    @property
    def trace_state(self) -> str | None:
        """The W3C ``tracestate``, None where there is none."""
    def wrap(self, iterator: Any, /) -> Any:
        """An iterator over the same, synchronous or asynchronous, whose chunks the span tells of.

        It has the attributes and methods of the one inside.
        """
    def gather(self, function: _F, /, *, total: bool = False) -> _F:
        """Call ``function`` with each chunk; a mapping that it gives becomes attributes at the end.

        Of equal names the last value counts, or with ``total`` the sum.
        """
    def end(self) -> None:
        """End it now; later calls do nothing."""
    def get_span_context(self) -> SpanContext:
        """As ``Span.get_span_context``."""
    def set_attribute(self, key: str, value: Any, /) -> None:
        """As ``Span.set_attribute``."""
    def set_attributes(self, attributes: Mapping[str, Any], /) -> None:
        """As ``Span.set_attributes``."""
    def add_event(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        /,
        **fields: Any,
    ) -> None:
        """As ``Span.add_event``."""
    def add_link(
        self,
        context: Span | SpanContext,
        attributes: Mapping[str, Any] | None = None,
        /,
        **fields: Any,
    ) -> None:
        """As ``Span.add_link``."""
    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        /,
        **fields: Any,
    ) -> None:
        """As ``Span.record_exception``."""
    def set_status(
        self, status: Literal["ok", "error", "unset"], description: str | None = None
    ) -> None:
        """As ``Span.set_status``."""
    def update_name(self, name: str, /) -> None:
        """As ``Span.update_name``."""
    def is_recording(self) -> bool:
        """As ``Span.is_recording``."""
    def __enter__(self) -> Self: ...
    def __exit__(self, /, *exc_info: object) -> None: ...
    def __aenter__(self) -> Awaitable[Self]: ...
    def __aexit__(self, /, *exc_info: object) -> Awaitable[None]: ...

_Kind = Literal["internal", "server", "client", "producer", "consumer"]
_Link = Span | SpanContext | tuple[Span | SpanContext, Mapping[str, Any]]

@final
class Tracer:
    """A named source of spans, made by ``coati.get_tracer``.

    ``parent`` is the current span unless given, ``start_time`` in nanoseconds since the epoch. A
    span that is open for longer than ``timeout`` seconds is told of at once (``span.timeout``) and
    fails with "timed out" when it ends, unless it has a status of its own.
    """

    @property
    def name(self) -> str:
        """The name."""
    def span(
        self,
        name: str,
        /,
        *,
        parent: Span | SpanContext | None = None,
        kind: _Kind = "internal",
        links: Iterable[_Link] = (),
        start_time: int | None = None,
        timeout: float | None = None,
        attributes: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Span:
        """Start a span, to be used in a ``with`` or ``async with`` statement.

        An exception that leaves the statement sets the status and is recorded.
        """
    def start_span(
        self,
        name: str,
        /,
        *,
        parent: Span | SpanContext | None = None,
        kind: _Kind = "internal",
        links: Iterable[_Link] = (),
        start_time: int | None = None,
        timeout: float | None = None,
        attributes: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Span:
        """Start a span that ``end()`` ends."""
    def start_as_current_span(
        self,
        name: str,
        /,
        *,
        parent: Span | SpanContext | None = None,
        kind: _Kind = "internal",
        links: Iterable[_Link] = (),
        start_time: int | None = None,
        timeout: float | None = None,
        attributes: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Span:
        """OpenTelemetry's name for ``span``."""
    def stream_span(
        self,
        name: str,
        /,
        *,
        parent: Span | SpanContext | None = None,
        kind: _Kind = "internal",
        links: Iterable[_Link] = (),
        start_time: int | None = None,
        timeout: float | None = None,
        attributes: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> StreamSpan:
        """Start a span over a stream: ``for chunk in s.wrap(iterator)`` tells it of each chunk."""

def get_tracer(name: str = "", /) -> Tracer:
    """The tracer called ``name``, the same one each time."""

def current_span() -> Span:
    """The current span; outside any, one that records nothing."""

@overload
def trace(function_or_name: str | None = None, /, **attributes: Any) -> Callable[[_F], _F]: ...
@overload
def trace(function_or_name: _F, /, **attributes: Any) -> _F:
    """Decorate a function: a span around each call, called ``module.qualname`` or as given.

    Works on functions, methods, coroutines, generators and asynchronous generators; of the latter
    three the span is current only while their body runs.
    """

@final
class Token:
    """What has been made current, until it is detached or its ``with`` statement ends."""

    def detach(self) -> None:
        """Make current what was so before; later calls do nothing."""
    def __enter__(self) -> Self: ...
    def __exit__(self, /, *exc_info: object) -> None: ...
    def __aenter__(self) -> Awaitable[Self]: ...
    def __aexit__(self, /, *exc_info: object) -> Awaitable[None]: ...

def attach(context: Span | SpanContext, /) -> Token:
    """Make a context current: spans started inside are its children, and its baggage is sent on."""

def baggage_set(name: str, value: object, metadata: str | None = None, /) -> Token:
    """Set a name for whom is called from now on; ``metadata`` follows the value in the header.

    Raises:
        ValueError: the name is no token of HTTP, or the metadata cannot stand in a header.
    """

def baggage_get(name: str, default: Any = None, /) -> Any:
    """The value of a name, a ``str``; ``default`` where there is none."""

def baggage_get_all() -> dict[str, str]:
    """All names with their values."""

def baggage_remove(name: str, /) -> Token:
    """Remove a name."""

def baggage_clear() -> Token:
    """Remove all names."""

class _Propagator(Protocol):
    def inject(self, headers: Any, context: SpanContext, /) -> object: ...
    def extract(self, headers: Any, context: SpanContext, /) -> SpanContext | None: ...

def set_propagators(propagators: Iterable[str | _Propagator] | None, /) -> None:
    """Choose how contexts are carried, in place of the configuration's ``propagators``; None puts
    those back.

    Names are ``tracecontext``, ``baggage``, ``b3``, ``b3multi``, ``jaeger``, ``none``. An object's
    ``inject`` writes a context into headers; its ``extract`` gives the context that headers and
    those before it in the list have said, or None to leave it. What it raises is a problem in
    ``health()``.

    Raises:
        ValueError: there is no such name.
        TypeError: an object lacks a method.
    """

def inject(
    headers: Any, context: Span | SpanContext | None = None, *, environ: bool = False
) -> None:
    """Put the current trace and baggage, or those of ``context``, into headers.

    Headers are a mapping, an object with items, or a list of pairs. ``environ`` writes names of
    environment variables, as into ``os.environ`` in any case. Outside any span there is no
    ``traceparent``.
    """

def extract(headers: Any, /) -> SpanContext:
    """The context that headers carry: a mapping, an object with ``items`` or ``get``, or pairs.

    Names may be in any case, and those of WSGI or of environment variables. Without a good
    ``traceparent`` the context is not valid: as a parent it gives its baggage alone.
    """

@final
class ContextExecutor:
    """An executor that carries the context, made by ``coati.wrap_executor``."""

    def submit(self, fn_: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_R]:
        """As ``concurrent.futures.Executor.submit``."""
    def map(self, fn_: Callable[..., _R], /, *iterables: Iterable[Any], **kwargs: Any) -> Any:
        """As ``concurrent.futures.Executor.map``."""
    def shutdown(self, *args: Any, **kwargs: Any) -> None:
        """As ``concurrent.futures.Executor.shutdown``."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: Any) -> bool | None: ...

def wrap_executor(executor: Executor, /) -> ContextExecutor:
    """An executor whose work runs in the context of who hands it over."""

@final
class Counter:
    """A sum that only grows, made by ``coati.counter``."""

    @property
    def name(self) -> str:
        """The name."""
    @property
    def unit(self) -> str:
        """The unit, empty for none."""
    @property
    def description(self) -> str:
        """For people."""
    def add(self, amount: float = 1, /, **labels: Any) -> None:
        """Add to the series with these labels. A negative amount or NaN is ignored and counted."""
    def bind(self, /, **labels: Any) -> BoundCounter:
        """A handle to the series with these labels."""
    def value(self, /, **labels: Any) -> int | float:
        """The value of the series with these labels, 0 where there is none."""

@final
class UpDownCounter:
    """A sum that goes up and down, made by ``coati.up_down_counter``."""

    @property
    def name(self) -> str:
        """The name."""
    @property
    def unit(self) -> str:
        """The unit, empty for none."""
    @property
    def description(self) -> str:
        """For people."""
    def add(self, amount: float = 1, /, **labels: Any) -> None:
        """Add to the series with these labels."""
    def bind(self, /, **labels: Any) -> BoundUpDownCounter:
        """A handle to the series with these labels."""
    def value(self, /, **labels: Any) -> int | float:
        """The value of the series with these labels, 0 where there is none."""

@final
class Gauge:
    """The last value set, made by ``coati.gauge``."""

    @property
    def name(self) -> str:
        """The name."""
    @property
    def unit(self) -> str:
        """The unit, empty for none."""
    @property
    def description(self) -> str:
        """For people."""
    def set(self, value: float, /, **labels: Any) -> None:
        """Set the series with these labels."""
    def add(self, amount: float = 1, /, **labels: Any) -> None:
        """Add to the series with these labels."""
    def bind(self, /, **labels: Any) -> BoundGauge:
        """A handle to the series with these labels."""
    def value(self, /, **labels: Any) -> int | float:
        """The value of the series with these labels, 0 where there is none."""

@final
class Histogram:
    """A distribution, made by ``coati.histogram``."""

    @property
    def name(self) -> str:
        """The name."""
    @property
    def unit(self) -> str:
        """The unit, empty for none."""
    @property
    def description(self) -> str:
        """For people."""
    def record(self, value: float, /, **labels: Any) -> None:
        """Record a value, in the histogram's unit. NaN and infinities are ignored and counted."""
    def time(self, /, **labels: Any) -> Timer:
        """Time a ``with`` or ``async with`` statement.

        In seconds, or in what the unit says: ``ns``, ``us``, ``ms``, ``s``, ``min``, ``h``.
        """
    def stats(self, /, **labels: Any) -> Stats:
        """The figures of the series with these labels."""
    def bind(self, /, **labels: Any) -> BoundHistogram:
        """A handle to the series with these labels."""

@final
class BoundCounter:
    """A counter with its labels."""

    def add(self, amount: float = 1, /) -> None:
        """Add to the series. A negative amount or NaN is ignored and counted."""
    def value(self) -> int | float:
        """The series' value."""

@final
class BoundUpDownCounter:
    """An up-down counter with its labels."""

    def add(self, amount: float = 1, /) -> None:
        """Add to the series."""
    def value(self) -> int | float:
        """The series' value."""

@final
class BoundGauge:
    """A gauge with its labels."""

    def set(self, value: float, /) -> None:
        """Set the series."""
    def add(self, amount: float = 1, /) -> None:
        """Add to the series."""
    def value(self) -> int | float:
        """The series' value."""

@final
class BoundHistogram:
    """A histogram with its labels."""

    def record(self, value: float, /) -> None:
        """Record a value, in the histogram's unit."""
    def time(self) -> Timer:
        """Time a ``with`` or ``async with`` statement, in the histogram's unit."""
    def stats(self) -> Stats:
        """The series' figures."""

@final
class Timer:
    """Times a ``with`` or ``async with`` statement, made by ``Histogram.time``."""

    def __enter__(self) -> Self: ...
    def __exit__(self, /, *exc_info: object) -> None: ...
    def __aenter__(self) -> Awaitable[Self]: ...
    def __aexit__(self, /, *exc_info: object) -> Awaitable[None]: ...

@final
class Stats:
    """A histogram's figures, in its unit. All but ``count`` and ``sum`` are NaN when it is empty.

    Quantiles of an exponential histogram are within 0.6 % of the true value.
    """

    @property
    def count(self) -> int:
        """How many values."""
    @property
    def sum(self) -> float:
        """Their sum."""
    @property
    def min(self) -> float:
        """The lowest."""
    @property
    def max(self) -> float:
        """The highest."""
    @property
    def mean(self) -> float:
        """The mean."""
    @property
    def stddev(self) -> float:
        """The population standard deviation."""
    @property
    def median(self) -> float:
        """The quantile 0.5."""
    @property
    def p90(self) -> float:
        """The quantile 0.9."""
    @property
    def p95(self) -> float:
        """The quantile 0.95."""
    @property
    def p99(self) -> float:
        """The quantile 0.99."""
    @property
    def p999(self) -> float:
        """The quantile 0.999."""

@final
class Metric:
    """One series of a snapshot."""

    @property
    def name(self) -> str:
        """The instrument's name."""
    @property
    def type(self) -> str:
        """``counter``, ``up_down_counter``, ``gauge`` or ``histogram``."""
    @property
    def unit(self) -> str:
        """The unit, empty for none."""
    @property
    def description(self) -> str:
        """For people."""
    @property
    def labels(self) -> dict[str, str | int | float | bool]:
        """The series' labels."""
    @property
    def value(self) -> int | float | None:
        """Of a counter, up-down counter or gauge, else None."""
    @property
    def stats(self) -> Stats | None:
        """Of a histogram, else None."""

def counter(name: str, unit: str = "", description: str = "") -> Counter:
    """The counter called ``name``, the same one each time.

    Raises:
        MetricError: the name is bad, or that of an instrument of another type or unit.
    """

def up_down_counter(name: str, unit: str = "", description: str = "") -> UpDownCounter:
    """The up-down counter called ``name``. Raises as ``counter``."""

def gauge(name: str, unit: str = "", description: str = "") -> Gauge:
    """The gauge called ``name``. Raises as ``counter``."""

def histogram(
    name: str, unit: str = "", description: str = "", buckets: Iterable[float] | None = None
) -> Histogram:
    """The histogram called ``name``.

    ``buckets`` are upper bounds, inclusive and ascending; None makes it exponential. Raises as
    ``counter``.
    """

_Observed = float | Iterable[tuple[float, Mapping[str, Any]]] | None

def observable_counter(
    name: str, callback: Callable[[], _Observed], unit: str = "", description: str = ""
) -> Counter:
    """A counter whose total ``callback`` tells whenever metrics are read: a number, or pairs of a
    number and labels. Raises as ``counter``.
    """

def observable_up_down_counter(
    name: str, callback: Callable[[], _Observed], unit: str = "", description: str = ""
) -> UpDownCounter:
    """An up-down counter whose total ``callback`` tells, as in ``observable_counter``."""

def observable_gauge(
    name: str, callback: Callable[[], _Observed], unit: str = "", description: str = ""
) -> Gauge:
    """A gauge whose value ``callback`` tells, as in ``observable_counter``."""

def snapshot() -> list[Metric]:
    """All series now, after asking observable instruments, in the order they were made."""

def prometheus_text() -> str:
    """All metrics now in Prometheus' text format, after asking observable instruments."""

def reset() -> None:
    """Make all metrics start from zero."""

class PrometheusCounter:
    """The native half of `coati.prometheus.Counter`."""

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    _name: str
    _documentation: str
    _unit: str
    _labelnames: tuple[str, ...]
    _labelvalues: tuple[str, ...]
    _children: dict[tuple[str, ...], Self]
    @property
    def _upper_bounds(self) -> list[float]: ...
    def _open(
        self,
        name: str,
        documentation: str,
        unit: str,
        labelnames: tuple[str, ...],
        bounds: list[float],
        most_recent: bool,
        simple: bool,
        /,
    ) -> None: ...
    def labels(self, /, *labelvalues: object, **labelkwargs: object) -> Self:
        """The child with these label values, each of them as its `str()`."""

    def _remove(self, values: tuple[str, ...], /) -> None: ...
    def _clear(self) -> None: ...
    def _read(self, cell: int, /) -> float: ...
    def _write(self, cell: int, value: float, /) -> None: ...
    def _exemplar(self, cell: int, /) -> tuple[dict[str, str], float, float] | None: ...
    def _set_exemplar(
        self, cell: int, labels: dict[str, str], value: float, timestamp: float, /
    ) -> None: ...
    def inc(self, /, amount: float = 1, exemplar: Mapping[str, str] | None = None) -> None:
        """Add to the counter what is not negative."""

class PrometheusGauge:
    """The native half of `coati.prometheus.Gauge`."""

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    _name: str
    _documentation: str
    _unit: str
    _labelnames: tuple[str, ...]
    _labelvalues: tuple[str, ...]
    _children: dict[tuple[str, ...], Self]
    @property
    def _upper_bounds(self) -> list[float]: ...
    def _open(
        self,
        name: str,
        documentation: str,
        unit: str,
        labelnames: tuple[str, ...],
        bounds: list[float],
        most_recent: bool,
        simple: bool,
        /,
    ) -> None: ...
    def labels(self, /, *labelvalues: object, **labelkwargs: object) -> Self:
        """The child with these label values, each of them as its `str()`."""

    def _remove(self, values: tuple[str, ...], /) -> None: ...
    def _clear(self) -> None: ...
    def _read(self, cell: int, /) -> float: ...
    def _write(self, cell: int, value: float, /) -> None: ...
    def _exemplar(self, cell: int, /) -> tuple[dict[str, str], float, float] | None: ...
    def _set_exemplar(
        self, cell: int, labels: dict[str, str], value: float, timestamp: float, /
    ) -> None: ...
    def inc(self, /, amount: float = 1) -> None:
        """Add to the gauge."""

    def dec(self, /, amount: float = 1) -> None:
        """Take from the gauge."""

    def set(self, /, value: float | str) -> None:
        """Set the gauge."""

class PrometheusSummary:
    """The native half of `coati.prometheus.Summary`."""

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    _name: str
    _documentation: str
    _unit: str
    _labelnames: tuple[str, ...]
    _labelvalues: tuple[str, ...]
    _children: dict[tuple[str, ...], Self]
    @property
    def _upper_bounds(self) -> list[float]: ...
    def _open(
        self,
        name: str,
        documentation: str,
        unit: str,
        labelnames: tuple[str, ...],
        bounds: list[float],
        most_recent: bool,
        simple: bool,
        /,
    ) -> None: ...
    def labels(self, /, *labelvalues: object, **labelkwargs: object) -> Self:
        """The child with these label values, each of them as its `str()`."""

    def _remove(self, values: tuple[str, ...], /) -> None: ...
    def _clear(self) -> None: ...
    def _read(self, cell: int, /) -> float: ...
    def _write(self, cell: int, value: float, /) -> None: ...
    def _exemplar(self, cell: int, /) -> tuple[dict[str, str], float, float] | None: ...
    def _set_exemplar(
        self, cell: int, labels: dict[str, str], value: float, timestamp: float, /
    ) -> None: ...
    def observe(self, /, amount: float) -> None:
        """Observe a value."""

class PrometheusHistogram:
    """The native half of `coati.prometheus.Histogram`."""

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    _name: str
    _documentation: str
    _unit: str
    _labelnames: tuple[str, ...]
    _labelvalues: tuple[str, ...]
    _children: dict[tuple[str, ...], Self]
    @property
    def _upper_bounds(self) -> list[float]: ...
    def _open(
        self,
        name: str,
        documentation: str,
        unit: str,
        labelnames: tuple[str, ...],
        bounds: list[float],
        most_recent: bool,
        simple: bool,
        /,
    ) -> None: ...
    def labels(self, /, *labelvalues: object, **labelkwargs: object) -> Self:
        """The child with these label values, each of them as its `str()`."""

    def _remove(self, values: tuple[str, ...], /) -> None: ...
    def _clear(self) -> None: ...
    def _read(self, cell: int, /) -> float: ...
    def _write(self, cell: int, value: float, /) -> None: ...
    def _exemplar(self, cell: int, /) -> tuple[dict[str, str], float, float] | None: ...
    def _set_exemplar(
        self, cell: int, labels: dict[str, str], value: float, timestamp: float, /
    ) -> None: ...
    def observe(self, /, amount: float, exemplar: Mapping[str, str] | None = None) -> None:
        """Observe a value."""

class PrometheusInfo:
    """The native half of `coati.prometheus.Info`."""

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    _name: str
    _documentation: str
    _unit: str
    _labelnames: tuple[str, ...]
    _labelvalues: tuple[str, ...]
    _children: dict[tuple[str, ...], Self]
    @property
    def _upper_bounds(self) -> list[float]: ...
    def _open(
        self,
        name: str,
        documentation: str,
        unit: str,
        labelnames: tuple[str, ...],
        bounds: list[float],
        most_recent: bool,
        simple: bool,
        /,
    ) -> None: ...
    def labels(self, /, *labelvalues: object, **labelkwargs: object) -> Self:
        """The child with these label values, each of them as its `str()`."""

    def _remove(self, values: tuple[str, ...], /) -> None: ...
    def _clear(self) -> None: ...
    def _read(self, cell: int, /) -> float: ...
    def _write(self, cell: int, value: float, /) -> None: ...
    def _exemplar(self, cell: int, /) -> tuple[dict[str, str], float, float] | None: ...
    def _set_exemplar(
        self, cell: int, labels: dict[str, str], value: float, timestamp: float, /
    ) -> None: ...

def _prometheus_text(metric: object, open: bool, created: bool, /) -> bytes | None: ...
def _prometheus_publish(metrics: list[Any], collect: Callable[[], Any], /) -> None: ...

@final
class _OtelRuntime:
    """OpenTelemetry's context and coati's, as one."""

    def attach(self, context: Any, /) -> Any:
        """Make a context current; what it gives is for ``detach``."""
    def detach(self, token: Any, /) -> None:
        """Make current what was so before."""
    def get_current(self) -> Any:
        """The context that is current."""
    def _attached(self) -> int: ...
    def _over(self, previous: Any, /) -> None: ...

def _otel_runtime() -> _OtelRuntime: ...

@final
class _OtelSpan:
    """A span as OpenTelemetry's API has it. A ``with`` statement over it ends it."""

    @property
    def context(self) -> Any:
        """Its ids, as they cross process boundaries: the API's ``SpanContext``."""
    @property
    def name(self) -> str | None:
        """The name, None once it has ended."""
    @property
    def kind(self) -> Any:
        """What it stands for: the API's ``SpanKind``."""
    @property
    def parent(self) -> Any:
        """The ids of its parent, None for a root."""
    @property
    def status(self) -> Any:
        """How it went: the API's ``Status``; why not once it has ended."""
    @property
    def attributes(self) -> dict[str, Any]:
        """A copy of the attributes, empty once it has ended."""
    @property
    def _attributes(self) -> dict[str, Any]: ...
    @property
    def _coati_span(self) -> Self: ...
    @property
    def instrumentation_scope(self) -> Any:
        """The scope of the tracer that started it."""
    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute; one of the same name is replaced."""
    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set each attribute of a mapping."""
    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Add an event that happens now, or at ``timestamp`` in nanoseconds since the epoch."""
    def add_link(self, context: Any, attributes: Mapping[str, Any] | None = None) -> None:
        """Link another span."""
    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an event that tells of an exception."""
    def set_status(self, status: Any, description: str | None = None) -> None:
        """Set the status; OK is final."""
    def update_name(self, name: str) -> None:
        """Replace the name."""
    def is_recording(self) -> bool:
        """Whether what is set on it will be kept."""
    def get_span_context(self) -> Any:
        """Its ids, as they cross process boundaries: the API's ``SpanContext``."""
    def end(self, end_time: int | None = None) -> None:
        """End it, now or at ``end_time`` in nanoseconds since the epoch."""
    def __enter__(self) -> Self: ...
    def __exit__(self, /, *exc_info: object) -> None: ...

@final
class _OtelEntered:
    """A span that is current inside a ``with`` statement, or a decorated function."""

    def __enter__(self) -> Any: ...
    def __exit__(self, /, *exc_info: object) -> None: ...
    def __call__(self, function: _F, /) -> _F: ...
    def _again(self) -> _OtelEntered: ...

@final
class _OtelTracer:
    """A named source of spans, as OpenTelemetry's API has it."""

    def __new__(cls, name: str, scope: Any = None) -> Self: ...
    @property
    def name(self) -> str:
        """The name."""
    @property
    def instrumentation_scope(self) -> Any:
        """Name, version and more."""
    def start_span(
        self,
        name: str,
        context: Any = None,
        kind: Any = ...,
        attributes: Mapping[str, Any] | None = None,
        links: Iterable[Any] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> _OtelSpan:
        """Start a span that ``end()`` ends."""
    def start_as_current_span(
        self,
        name: str,
        context: Any = None,
        kind: Any = ...,
        attributes: Mapping[str, Any] | None = None,
        links: Iterable[Any] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> _OtelEntered:
        """A span that is current inside a ``with`` statement, or inside what this decorates."""
    def _start(
        self,
        name: str,
        context: Any = None,
        kind: Any = ...,
        attributes: Mapping[str, Any] | None = None,
        links: Iterable[Any] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        decided: tuple[int, int | None, bool | None, str] | None = None,
    ) -> _OtelSpan: ...
    def _instead(self, function: Callable[..., Any] | None, /) -> None: ...

def _carried(function: Any, context: SpanContext | None) -> Any: ...
def _logging_short(
    logger: object,
    levelno: int,
    msg: object,
    args: object,
    extra: object,
    handler: object,
    only: bool,
    /,
) -> bool: ...
def _logging_changed() -> None: ...
def _genai_content() -> bool: ...
def _genai_prices() -> dict[str, Any] | None: ...
def _at_exit() -> None: ...
def _before_fork() -> None: ...
def _after_fork() -> None: ...
def _in_child(_anchor: object) -> None: ...
def _flush_child() -> None: ...

class _OtelCounter:
    """The native half of an instrument of coati.otel."""

    def __new__(cls, *described: Any) -> Self: ...
    @property
    def name(self) -> str:
        """The name."""
    @property
    def unit(self) -> str:
        """The unit, empty for none."""
    @property
    def description(self) -> str:
        """For people."""
    def add(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        """Add to the counter."""

class _OtelUpDownCounter:
    """The native half of an instrument of coati.otel."""

    def __new__(cls, *described: Any) -> Self: ...
    @property
    def name(self) -> str:
        """The name."""
    @property
    def unit(self) -> str:
        """The unit, empty for none."""
    @property
    def description(self) -> str:
        """For people."""
    def add(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        """Add to the counter, or take from it."""

class _OtelGauge:
    """The native half of an instrument of coati.otel."""

    def __new__(cls, *described: Any) -> Self: ...
    @property
    def name(self) -> str:
        """The name."""
    @property
    def unit(self) -> str:
        """The unit, empty for none."""
    @property
    def description(self) -> str:
        """For people."""
    def set(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        """Set the gauge."""

class _OtelHistogram:
    """The native half of an instrument of coati.otel."""

    def __new__(cls, *described: Any) -> Self: ...
    @property
    def name(self) -> str:
        """The name."""
    @property
    def unit(self) -> str:
        """The unit, empty for none."""
    @property
    def description(self) -> str:
        """For people."""
    def record(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        """Record a value."""

class _OtelLogger:
    """The native half of a logger of coati.otel."""

    def __new__(cls, *scope: Any) -> Self: ...
    def emit(
        self,
        record: Any = None,
        *,
        timestamp: int | None = None,
        observed_timestamp: int | None = None,
        context: Any = None,
        severity_number: Any = None,
        severity_text: str | None = None,
        body: Any = None,
        attributes: Any = None,
        event_name: str | None = None,
        exception: BaseException | None = None,
    ) -> None:
        """Record a line."""
    def enabled(
        self, *, context: Any = None, severity_number: Any = None, event_name: str | None = None
    ) -> bool:
        """Whether a line would be recorded."""

def _otel_face(class_: type, /) -> None: ...
def _otel_observe(kind: int, described: Any, callback: Callable[[], Any], /) -> None: ...
def _otel_forget(callback: Callable[[], Any], /) -> None: ...
def _otel_metrics(ask: bool, /) -> tuple[int, list[Any]]: ...
