"""structlog through coati: a logger factory, a processor where the factory is to stay, and one call
for a program that is to notice nothing."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, NoReturn

import structlog

import coati.logging
from coati import get_logger

__all__ = ["LoggerFactory", "Processor", "install", "is_installed", "uninstall"]

#: Methods of structlog's loggers as levels of the standard library.
_LEVELS = {
    "debug": 10,
    "info": 20,
    "msg": 20,
    "warn": 30,
    "warning": 30,
    "err": 40,
    "error": 40,
    "exception": 40,
    "failure": 40,
    "critical": 50,
    "fatal": 50,
}
#: What structlog's own processors add, and every line has anyway.
_REPEATED = ("level", "level_number", "timestamp")
#: Packages that stand between a program and a line.
_PASSED = frozenset({"coati", "concurrent", "structlog", "threading"})
#: Where a method was awaited, by a private name of the library.
_AWAITING: Any = getattr(structlog.contextvars, "_ASYNC_CALLING_STACK", None)


def _record(name: str, method: str, event: dict[str, Any], level: int | None = None) -> None:
    message = event.pop("event", "")
    level = level or _LEVELS.get(method)
    if level is None:
        level = event.get("level_number", _LEVELS.get(str(event.get("level")), 20))
    for key in _REPEATED:
        event.pop(key, None)
    if "stack" in event:
        event["code.stacktrace"] = event.pop("stack")
    exc_info = event.pop("exc_info", None)
    if exc_info is None and method == "exception" and "exception" not in event:
        exc_info = True
    if exc_info is True:
        exc_info = sys.exc_info()
    text = event.pop("exception", None)
    if text is not None:
        event["exception.stacktrace"] = text
    exception = exc_info[1] if isinstance(exc_info, tuple) else exc_info or None
    get_logger(str(event.pop("logger", name)))._emit(level, message, event, exception)


def _method(name: str) -> Any:
    def method(self: _Logger, event: Any = "", **fields: Any) -> None:
        fields["event"] = event
        _record(self.name, name, fields)

    method.__name__ = name
    return method


class _Logger:
    """What structlog's bound loggers wrap: takes the fields as they are."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<coati.structlog logger {self.name!r}>"

    def __reduce__(self) -> tuple[type[_Logger], tuple[str]]:
        return _Logger, (self.name,)

    debug = _method("debug")
    info = _method("info")
    msg = _method("msg")
    warn = _method("warn")
    warning = _method("warning")
    err = _method("err")
    error = _method("error")
    exception = _method("exception")
    failure = _method("failure")
    critical = _method("critical")
    fatal = _method("fatal")
    log = _method("log")


class LoggerFactory:
    """Makes loggers that record through coati: ``structlog.configure(logger_factory=...)``.

    Processors before it run as ever; none has to render the line at the end. The name is what
    ``structlog.get_logger("name")`` is given, else the module that calls it.
    """

    def __call__(self, *args: Any) -> _Logger:
        """The logger for these arguments of ``structlog.get_logger``."""
        return _Logger(str(args[0]) if args else _calling_module())


class Processor:
    """Records what comes to it and ends the chain there: the last of ``processors``.

    For programs that keep another logger factory; :class:`LoggerFactory` costs less.
    """

    def __call__(self, logger: Any, method_name: str, event_dict: Any) -> NoReturn:
        """Record a line.

        Raises:
            structlog.DropEvent: always, so that nothing comes after.
        """
        name = getattr(logger, "name", None)
        _record(name if isinstance(name, str) else "structlog", method_name, dict(event_dict))
        raise structlog.DropEvent


def _calling_module() -> str:
    # Methods that are awaited work on another thread.
    frame = _AWAITING.get(None) if _AWAITING is not None else None
    if frame is None:
        frame = sys._getframe(2)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "structlog"))
        if name.partition(".")[0] not in _PASSED:
            return name
        frame = frame.f_back
    return "structlog"


_BOUND: Any = structlog.BoundLoggerBase
_PROCESS = _BOUND._process_event


def install() -> None:
    """Make every structlog logger record through coati as well, however it is configured.

    Its processors and its output stay as they are; recorded is what the last processor, which
    renders, is given. Where structlog writes by way of ``logging`` and :mod:`coati.logging` is
    installed, the line is recorded there, with its fields.
    """
    _BOUND._process_event = _process_event
    coati.logging._take_apart = _take_apart


def uninstall() -> None:
    """Take back what :func:`install` did."""
    _BOUND._process_event = _PROCESS
    coati.logging._take_apart = None


def is_installed() -> bool:
    """Whether structlog's loggers record through coati as well."""
    return bool(_BOUND._process_event is _process_event)


class _Seen:
    """A bound logger, as far as its chain needs one, with a processor before the last."""

    __slots__ = ("_context", "_logger", "_processors", "event")

    def __init__(self, bound: Any) -> None:
        *before, last = bound._processors
        self._context = bound._context
        self._logger = bound._logger
        self._processors = (*before, self._see, last)
        self.event: dict[str, Any] | None = None

    def _see(self, logger: Any, method: str, event: Any) -> Any:
        if isinstance(event, dict):
            self.event = dict(event)
        return event


class _Text(str):
    """A line as the program wants it, and what it was made of."""

    event: dict[str, Any]


class _Dict(dict[str, Any]):
    """The same, on its way to structlog's formatter."""

    event: dict[str, Any]


_RENDERED: dict[Any, Any] = {str: _Text, dict: _Dict}


def _process_event(self: Any, method: str, event: Any, event_kw: Any) -> Any:
    processors = self._processors
    # Recorded by these already, or there is none that renders.
    if not processors or isinstance(self._logger, _Logger):
        return _PROCESS(self, method, event, event_kw)
    seen = _Seen(self)
    result = _PROCESS(seen, method, event, event_kw)
    if seen.event is None:
        return result
    exception = event_kw.get("exc_info")
    if exception:
        # Rather than what a processor has made of it.
        seen.event["exc_info"] = sys.exc_info() if exception is True else exception
        seen.event.pop("exception", None)
    standard = isinstance(self._logger, logging.Logger)
    if not standard or not coati.logging.is_installed():
        # Nothing of ours is the program's concern.
        with contextlib.suppress(Exception):
            if not standard or self._logger.isEnabledFor(_LEVELS.get(method, 20)):
                name = getattr(self._logger, "name", None)
                name = name if isinstance(name, str) else _calling_module()
                _record(name, method, seen.event)
    elif isinstance(result, tuple) and result[0] and type(result[0][0]) in _RENDERED:
        rendered = _RENDERED[type(result[0][0])](result[0][0])
        rendered.event = seen.event
        return (rendered, *result[0][1:]), result[1]
    return result


def _take_apart(record: logging.LogRecord) -> bool:
    """Record a line of ``logging`` that structlog has made; whether it is one."""
    if not isinstance(record.msg, (_Text, _Dict)):
        return False
    event = dict(record.msg.event)
    event.setdefault("logger", record.name)
    _record(record.name, "", event, record.levelno)
    return True
