"""structlog through coati: a logger factory, or a processor where the factory is to stay."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import structlog

from coati import get_logger

__all__ = ["LoggerFactory", "Processor"]

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


def _record(name: str, method: str, event: dict[str, Any]) -> None:
    message = event.pop("event", "")
    level = _LEVELS.get(method)
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
    frame = sys._getframe(2)
    while frame.f_back and str(frame.f_globals.get("__name__", "")).split(".")[0] == "structlog":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "structlog"))
