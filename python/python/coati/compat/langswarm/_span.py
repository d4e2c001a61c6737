"""An open or finished span: the framework's record, with one of coati's behind it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from time import time_ns
from typing import Any

import coati
from coati.compat.langswarm._levels import SpanStatus, status_of
from coati.compat.langswarm._trouble import tell
from coati.compat.langswarm.interfaces import TraceSpan, utc

#: Looked up once: an enumeration's members are not found at once.
_OK, _ERROR = SpanStatus.OK, SpanStatus.ERROR
#: Statuses of the framework that are errors to everybody else, and how those are told.
_FAILED = {SpanStatus.ERROR: None, SpanStatus.TIMEOUT: "timeout", SpanStatus.CANCELLED: "cancelled"}


def _nanoseconds(moment: datetime) -> int:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return int(zoned.timestamp() * 1_000_000) * 1000


class LiveSpan(TraceSpan):
    """A span that records. Current inside a ``with`` statement, which finishes it.

    Tags, logs and status may be set by methods or on the attributes, as long as it is open.
    """

    __hash__ = object.__hash__

    #: Of few spans, and so not set on each.
    _parent_id: str | None = None
    #: The parent, as coati knows it: a link to the framework's would keep all of a long chain.
    _parent: Any
    _reason: str | None = None
    _recorded: BaseException | None = None
    #: Where traces are limited: the root, and of a root, how many spans its trace has.
    _root: LiveSpan | None = None
    _size = 1

    def __init__(  # the fields that are properties here are not set
        self, book: Any, native: Any, name: str, tags: dict[str, Any], parent: LiveSpan | None
    ) -> None:
        self.operation_name = name
        self.status = _OK
        self.tags = tags
        self._book = book
        self._native = native
        self._parent = parent if parent is None else parent._native
        self._given = tags.copy()
        self._logs: list[dict[str, Any]] | None = None
        self._explicit = False
        self._entered = 0
        self._ended: int | None = None
        self._started = time_ns()

    @property
    def span_id(self) -> str:  # type: ignore[override]
        """16 lower-case hexadecimal digits."""
        return str(self._native.span_id)

    @property
    def trace_id(self) -> str:  # type: ignore[override]
        """32 lower-case hexadecimal digits."""
        return str(self._native.trace_id)

    @property
    def parent_span_id(self) -> str | None:  # type: ignore[override]
        """The parent's id, None of a root."""
        return str(self._parent.span_id) if self._parent is not None else self._parent_id

    @property
    def logs(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The log entries."""
        if self._logs is None:
            self._logs = []
        return self._logs

    @property
    def start_time(self) -> datetime:  # type: ignore[override]
        """When it began, in UTC."""
        return utc(self._started)

    @property
    def end_time(self) -> datetime | None:  # type: ignore[override]
        """When it ended, in UTC; None while it is open."""
        return None if self._ended is None else utc(self._ended)

    @property
    def duration_ms(self) -> float | None:
        """How long it took, in milliseconds; None while it is open."""
        return None if self._ended is None else (self._ended - self._started) / 1_000_000

    @property
    def duration(self) -> timedelta | None:
        """How long it took; None while it is open."""
        return None if self._ended is None else self.end_time - self.start_time  # type: ignore[operator]

    def get_duration(self) -> float:
        """How long it has taken until now or its end, in seconds."""
        return ((self._ended or time_ns()) - self._started) / 1_000_000_000

    @property
    def is_finished(self) -> bool:
        """Whether it has ended."""
        return self._ended is not None

    @property
    def attributes(self) -> dict[str, Any]:
        """The tags, by the guide's name."""
        return self.tags

    @property
    def context(self) -> coati.SpanContext:
        """Its ids, as they cross process boundaries."""
        return self._native.context  # type: ignore[no-any-return]

    def is_recording(self) -> bool:
        """Whether what is set on it will be kept."""
        return self._ended is None

    def add_tag(self, key: str, value: Any) -> LiveSpan:
        """Set a tag."""
        self.tags[key] = value
        return self

    set_tag = set_attribute = add_tag

    def set_attributes(self, attributes: Mapping[str, Any] | None) -> LiveSpan:
        """Set each tag of a mapping."""
        try:
            self.tags.update(attributes or {})
        except Exception as error:  # no mapping
            tell("set attributes", error)
        return self

    set_tags = add_tags = set_attributes

    def add_log(self, message: str, **kwargs: Any) -> LiveSpan:
        """Add a log entry."""
        self.logs.append({"timestamp": utc().isoformat(), "message": message, **kwargs})
        return self

    def add_event(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        timestamp: datetime | None = None,
    ) -> LiveSpan:
        """Add an event, which the framework calls a log entry."""
        moment = timestamp or utc()
        self.logs.append({"timestamp": moment.isoformat(), "message": name, **(attributes or {})})
        return self

    def set_status(self, status: Any, description: str | None = None) -> LiveSpan:
        """Set the status: a ``SpanStatus`` or its name in any case, and why."""
        self.status = status_of(status)
        self._reason = description
        self._explicit = True
        return self

    def record_exception(
        self, exception: BaseException, attributes: Mapping[str, Any] | None = None
    ) -> LiveSpan:
        """Tell of an exception; the status stays as it is."""
        self._recorded = exception
        self._native.record_exception(exception, attributes)
        return self

    def __enter__(self) -> LiveSpan:
        if self._entered == 0 and self._ended is None:
            native = self._native
            native.__enter__()
            self._book.open[native] = self
        self._entered += 1
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._entered -= 1
        try:
            if (
                error is None
                and self._entered == 0
                and self.status is _OK
                and self._logs is None
                and not self._explicit
                and self._ended is None
                and self.tags == self._given
            ):
                # Nothing to be handed over, as a rule.
                self._ended = time_ns()
                native, book = self._native, self._book
                native.__exit__(None, None, None)
                book.open.pop(native, None)
                book.finished.append(self)
                return
        except Exception:
            if self._ended is not None:
                raise
            # A tag's own __eq__ has raised.
        if self._entered == 0:
            if isinstance(error, Exception):
                self._fail(error)
            known = error is None or error is self._recorded
            self._finish((None, None, None) if known else (kind, error, traceback))

    async def __aenter__(self) -> LiveSpan:
        return self.__enter__()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.__exit__(kind, error, traceback)

    def _fail(self, error: Exception) -> None:
        self.status = _ERROR
        try:
            message = str(error)
        except Exception:  # the program's own __str__
            message = "<unprintable>"
        self.tags.update(
            {"error": True, "error.message": message, "error.type": type(error).__name__}
        )

    def finish(self, end_time: datetime | None = None) -> None:
        """End it, where no ``with`` statement does; later calls do nothing."""
        if self._ended is None:
            self._finish(None, end_time)

    end = finish

    def _finish(self, leaving: Any, end_time: datetime | None = None) -> None:
        native = self._native
        if self._ended is not None:
            if leaving is not None:
                # Ended inside its statement: it is current until here.
                native.__exit__(None, None, None)
            return
        try:
            self._hand_over(native, leaving)
        except Exception as error:  # values of the program's
            tell("record what a span says", error)
        if end_time is not None:
            self._ended = _nanoseconds(end_time)
            native.end(self._ended)
        else:
            self._ended = time_ns()
        if leaving is not None:
            native.__exit__(*leaving)
        else:
            native.end()
        self._book.close(self)

    def _hand_over(self, native: Any, leaving: Any) -> None:
        try:
            given = self.tags == self._given
        except Exception:  # the program's own __eq__
            given = False
        if not given:
            native.set_attributes(self.tags)
        for entry in self._logs or ():
            fields = {key: value for key, value in entry.items() if key != "message"}
            native.add_event(str(entry.get("message", "")), fields)
        status = status_of(self.status)
        if status is not _OK:
            # An exception on its way out tells itself.
            if self._reason or leaving is None or leaving[1] is None:
                native.set_status("error", self._reason or _FAILED[status])
        elif self._explicit:
            native.set_status("ok")

    def to_dict(self) -> dict[str, Any]:
        """As a dict of plain values."""
        return {
            "span_id": self.span_id,
            "trace_id": self.trace_id,
            "parent_span_id": self.parent_span_id,
            "operation_name": self.operation_name,
            "component": self.component,
            "start_time": self.start_time.isoformat(),
            "end_time": self.end_time.isoformat() if self.end_time else None,
            "duration_ms": self.duration_ms,
            "status": status_of(self.status).value,
            "attributes": dict(self.tags),
            "events": [dict(entry) for entry in self.logs],
        }

    def __repr__(self) -> str:
        return f"<span {self.operation_name!r} {self.trace_id}/{self.span_id}>"


class Unsampled:
    """A span that nobody keeps: everything can be called on it, and it is false.

    The statement gets None where the package's own programs ask for it, and this object where the
    guide's do.
    """

    __hash__ = object.__hash__
    operation_name = ""
    parent_span_id = None
    status = SpanStatus.OK
    component = None
    end_time = None
    duration_ms = None
    duration = None
    is_finished = False

    def __init__(self, context: Any, none: bool) -> None:
        #: What is current inside, so that all of the trace is left out.
        self._context = context
        self._none = none
        self._tokens: list[Any] = []
        self.tags: dict[str, Any] = {}
        self.logs: list[dict[str, Any]] = []
        self.start_time = utc()

    def __bool__(self) -> bool:
        return False

    @property
    def span_id(self) -> str:
        """What log lines inside carry."""
        return self._context.span_id if self._context is not None else "0" * 16

    @property
    def trace_id(self) -> str:
        """What log lines inside carry."""
        return self._context.trace_id if self._context is not None else "0" * 32

    @property
    def attributes(self) -> dict[str, Any]:
        """Those set, which nobody keeps."""
        return self.tags

    def is_recording(self) -> bool:
        """False."""
        return False

    def _nothing(self, *args: Any, **kwargs: Any) -> Unsampled:
        return self

    add_tag = set_tag = set_attribute = set_attributes = set_tags = add_tags = _nothing
    add_log = add_event = set_status = record_exception = _nothing

    def get_duration(self) -> float:
        """Zero."""
        return 0.0

    def finish(self, end_time: datetime | None = None) -> None:
        """Do nothing."""

    end = finish

    def __enter__(self) -> Unsampled | None:
        if self._context is not None:
            self._tokens.append(coati.attach(self._context))
        return None if self._none else self

    def __exit__(self, *exc_info: object) -> None:
        if self._tokens:
            self._tokens.pop().detach()

    async def __aenter__(self) -> Unsampled | None:
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__(*exc_info)
