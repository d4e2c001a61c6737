"""The standard library's ``logging`` through coati: a handler, and one call for a whole program."""

from __future__ import annotations

import logging
import string
import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Literal

from coati import get_logger
from coati._native import _logging_changed, _logging_short

__all__ = ["Handler", "install", "is_installed", "uninstall"]

#: What a record has besides what the program gave as ``extra``.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: Levels whose names say nothing new.
_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_LONG: Any = logging.Logger._log
_CALL_HANDLERS = logging.Logger.callHandlers
#: Records a line that another library has made out of more than a line; whether it is one.
_take_apart: Callable[[logging.LogRecord], bool] | None = None
#: What decides who listens to a logger.
_DECISIVE = frozenset({"handlers", "filters", "parent", "propagate"})


class Handler(logging.Handler):
    """Records what ``logging`` hands to it.

    The fields of ``extra`` become fields of the line, ``exc_info`` its exception, ``stack_info``
    the field ``code.stacktrace``. A level between the standard ones counts as the one below it;
    its own name is kept as ``level_name``. With a formatter set, the message is what that makes of
    the record.

    Args:
        level: lowest level it takes.
        style: how arguments stand in messages: ``%`` as always, ``{`` as ``str.format``, ``$`` as
            ``string.Template``.
        template: whether the message as it was given and its arguments are kept as the fields
            ``message.template`` and ``message.arguments``.
    """

    def __init__(
        self,
        level: int | str = logging.NOTSET,
        *,
        style: Literal["%", "{", "$"] = "%",
        template: bool = False,
    ) -> None:
        if style not in {"%", "{", "$"}:
            raise ValueError(f"style must be one of %, {{, $, not {style!r}")
        super().__init__(level)
        self.style: Literal["%", "{", "$"] = style
        self.template = template

    def createLock(self) -> None:
        """Nothing to lock: recording is safe from any thread."""
        self.lock = None

    def setLevel(self, level: int | str) -> None:
        """Set the lowest level it takes."""
        super().setLevel(level)
        _logging_changed()

    def handle(self, record: logging.LogRecord) -> Any:
        """Record a line that the filters let pass, as the standard library does but for its lock,
        which Python 3.13 takes without asking whether there is one.

        Returns:
            What the filters said: since Python 3.12 one may put another record in place.
        """
        kept: Any = self.filter(record)
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return kept

    def emit(self, record: logging.LogRecord) -> None:
        """Record a line."""
        try:
            self._record(record)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def _record(self, record: logging.LogRecord) -> None:
        if _take_apart is not None and _take_apart(record):
            return
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if _LEVELS.get(record.levelno) != record.levelname:
            fields["level_name"] = record.levelname
        if self.template and record.args:
            fields["message.template"] = record.msg
            fields["message.arguments"] = record.args
        if record.stack_info:
            fields["code.stacktrace"] = record.stack_info
        exception = record.exc_info[1] if record.exc_info else None
        if exception is None and record.exc_text:
            fields["exception.stacktrace"] = record.exc_text
        get_logger(record.name)._emit(
            record.levelno,
            self._message(record),
            fields,
            exception,
            (record.pathname, record.lineno),
        )

    def _message(self, record: logging.LogRecord) -> Any:
        if self.formatter is not None:
            return self.format(record)
        if not record.args:
            # As it is: a dict or a list stays one.
            return record.msg
        if self.style == "%":
            return record.getMessage()
        args: tuple[Any, ...]
        names: Mapping[str, Any]
        args, names = ((), record.args) if isinstance(record.args, Mapping) else (record.args, {})
        if self.style == "{":
            return str(record.msg).format(*args, **names)
        return string.Template(str(record.msg)).substitute(names)


class _Installed:
    """What is in force."""

    def __init__(self, handler: Handler, only: bool, beside: bool) -> None:
        self.handler = handler
        self.only = only
        self.beside = beside
        self.root_level: int | None = None


_installed: _Installed | None = None


def install(
    level: int | str | None = None,
    *,
    only: bool = False,
    style: Literal["%", "{", "$"] = "%",
    template: bool = False,
    beside: bool = False,
) -> Handler:
    """Make every ``logging.getLogger(...)`` of the program, existing ones included, record through
    coati.

    Levels, filters, adapters, propagation and ``captureWarnings`` work as before, other handlers
    go on as well, and ``logging.config`` may come before or after. A second call changes the
    options. Where no other handler listens, no ``LogRecord`` is made.

    Args:
        level: level of the root logger from now on, such as ``"INFO"``; ``None`` leaves it.
        only: whether other handlers are left out while coati is installed.
        style: how arguments stand in messages; see :class:`Handler`.
        template: whether templates and arguments are kept; see :class:`Handler`.
        beside: whether the program is to notice nothing: where it has no handlers, the standard
            library's last resort writes warnings to standard error as it would without coati.

    Returns:
        The handler in use: its level and its filters may be set.

    Raises:
        ValueError: ``level`` or ``style`` is none that there is.
    """
    global _installed  # noqa: PLW0603 - a program has one `logging`
    handler = Handler(style=style, template=template)
    fresh = _Installed(handler, only, beside)
    root = logging.getLogger()
    fresh.root_level = _installed.root_level if _installed else None
    if level is not None:
        before = root.level
        root.setLevel(level)
        if fresh.root_level is None:
            fresh.root_level = before
    _installed = _short.__globals__["_installed"] = fresh
    logging.Logger._log = _short if style == "%" and not template else _LONG  # type: ignore[method-assign]
    logging.Logger.callHandlers = _call_handlers  # type: ignore[method-assign]
    logging.Logger.__setattr__ = _set  # type: ignore[method-assign,assignment]
    _logging_changed()
    return handler


def uninstall() -> None:
    """Take back what :func:`install` did."""
    global _installed  # noqa: PLW0603
    if _installed is None:
        return
    if _installed.root_level is not None:
        logging.getLogger().setLevel(_installed.root_level)
    logging.Logger._log = _LONG  # type: ignore[method-assign]
    logging.Logger.callHandlers = _CALL_HANDLERS  # type: ignore[method-assign]
    del logging.Logger.__setattr__
    _installed = _short.__globals__["_installed"] = None
    _logging_changed()


def is_installed() -> bool:
    """Whether the program's loggers record through coati."""
    return _installed is not None


def _short_enough(  # noqa: PLR0917 - as the library has it
    self: logging.Logger,
    level: int,
    msg: object,
    args: Any,
    exc_info: Any = None,
    extra: Any = None,
    stack_info: bool = False,
    stacklevel: int = 1,
) -> None:
    installed = _installed
    if (
        exc_info
        or stack_info
        or installed is None
        or (installed.beside and _last_resort(level))
        or not _logging_short(self, level, msg, args, extra, installed.handler, installed.only)
    ):
        # Releases before 3.11 count every frame.
        more = stacklevel > 1 and sys.version_info < (3, 11)
        _LONG(self, level, msg, args, exc_info, extra, stack_info, stacklevel + more)


def _last_resort(level: int) -> bool:
    """Whether the standard library has something to say where no handler listens."""
    last = logging.lastResort
    return last is None or level >= last.level


# Callers are looked for behind the frames of the library's file, and by structlog of its module.
_short: Any = FunctionType(
    _short_enough.__code__.replace(co_filename=_LONG.__code__.co_filename),
    {**globals(), "__name__": _LONG.__module__},
    argdefs=_short_enough.__defaults__,
)


def _call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
    installed = _installed
    if installed is None:
        return _CALL_HANDLERS(self, record)
    others = False
    logger: logging.Logger | None = self
    while logger:
        for handler in logger.handlers:
            if isinstance(handler, Handler):
                # It has been put there to say what becomes of these records.
                return _CALL_HANDLERS(self, record)
            others = True
        logger = logger.parent if logger.propagate else None
    if record.levelno >= installed.handler.level:
        installed.handler.handle(record)
    if (others or installed.beside) and not installed.only:
        return _CALL_HANDLERS(self, record)
    return None


def _set(self: logging.Logger, name: str, value: Any) -> None:
    object.__setattr__(self, name, value)
    if name in _DECISIVE:
        _logging_changed()
