"""The standard library's ``logging`` through coati, beside its own output."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import logging.config
import logging.handlers
import queue
import sys
import textwrap
import warnings
from collections.abc import Iterator
from typing import Any

import coati.logging
import pytest
from pythonjsonlogger.json import JsonFormatter

NAMES = ("swap", "swap.child", "swap.quiet", "py.warnings")


@pytest.fixture
def installed(engine: Any) -> Iterator[Any]:
    """Everything through coati at every level, and nothing left of it afterwards."""
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    root.handlers[:] = []
    coati.logging.install("DEBUG")
    yield engine
    coati.logging.uninstall()
    root.handlers[:], root.level = kept[0], kept[1]
    for name in NAMES:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters.clear()
        logger.propagate, logger.disabled = True, False
        logger.setLevel(logging.NOTSET)


def beside(root: logging.Logger) -> io.StringIO:
    """A handler that writes the records as JSON lines by the usual formatter."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("%(levelname)s %(name)s %(message)s"))
    root.addHandler(handler)
    return stream


def play(log: logging.Logger) -> None:
    """A program's calls of every kind."""
    log.debug("plain")
    log.info("args %s and %d", "one", 2)
    log.info("named %(a)s", {"a": 1})
    log.warning(
        "fields", extra={"a": 1, "b": "two", "c": 3.5, "d": True, "e": None, "f": [1, {"g": 2}]}
    )
    log.error("percent 100%")
    log.critical("no arguments %s")
    log.log(logging.INFO, "by number")
    logging.LoggerAdapter(log, {"adapter": "yes"}).info("adapted")
    try:
        raise KeyError("missing")
    except KeyError:
        log.exception("failed %s", "here", extra={"step": 3})
    log.info("told", exc_info=ValueError("given"))
    log.info(42)
    log.getChild("child").info("from a child")


@pytest.mark.parametrize("short", [True, False])
def test_records_are_those_of_the_standard_library(installed: Any, short: bool) -> None:
    log = logging.getLogger("swap")
    stream = beside(logging.getLogger())
    play(log)
    (handler,) = logging.getLogger().handlers
    theirs = [json.loads(line) for line in stream.getvalue().splitlines()]
    if short:
        # The same once more, now that nobody else listens.
        installed.logs()
        logging.getLogger().removeHandler(handler)
        play(log)
    ours = installed.logs()
    assert len(ours) == len(theirs) == 12
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["message"] == other.pop("message")
        assert mine["level"].upper() == other.pop("levelname")
        assert mine["logger"] == other.pop("name")
        trace = other.pop("exc_info", None)
        other.pop("taskName", None)
        if trace:
            assert mine["exception.stacktrace"].strip() == trace.strip()
        assert {key: mine.get(key) for key in other} == other
        standard = {"timestamp", "level", "logger", "message", "service"}
        more = {key for key in mine if key not in standard and not key.startswith("exception.")}
        assert more == set(other)


def test_levels_filters_and_propagation(installed: Any) -> None:
    log = logging.getLogger("swap")
    log.setLevel(logging.WARNING)
    log.info("below")
    log.getChild("child").info("below too")
    log.warning("at")
    logging.disable(logging.ERROR)
    log.error("disabled")
    logging.disable(logging.NOTSET)
    log.disabled = True
    log.error("off")
    log.disabled = False

    def keep(record: logging.LogRecord) -> bool:
        record.added = "by a filter"
        return "secret" not in record.getMessage()

    log.addFilter(keep)
    log.error("secret")
    log.error("kept")
    quiet = logging.getLogger("swap.quiet")
    quiet.propagate = False
    quiet.error("for itself")
    assert [line["message"] for line in installed.logs()] == ["at", "kept", "for itself"]
    log.removeFilter(keep)
    log.error("again")
    assert "added" not in installed.log()


def test_other_handlers_go_on(installed: Any) -> None:
    log = logging.getLogger("swap")
    log.info("known")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    log.addHandler(handler)
    log.info("both")
    log.removeHandler(handler)
    log.handlers.append(handler)
    log.info("both again")
    log.handlers = []
    log.info("one")
    assert stream.getvalue() == "both\nboth again\n"
    messages = [line["message"] for line in installed.logs()]
    assert messages == ["known", "both", "both again", "one"]
    coati.logging.install(only=True)
    log.addHandler(handler)
    log.info("ours alone")
    log.info("%s", "ours alone")
    assert stream.getvalue() == "both\nboth again\n"
    assert len(installed.logs()) == 2


def test_no_lock_is_needed(installed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 takes a handler's lock without asking whether there is one."""

    def handle(self: Any, record: logging.LogRecord) -> Any:
        with self.lock:
            raise AssertionError("not asked")

    monkeypatch.setattr(logging.Handler, "handle", handle)
    log = logging.getLogger("swap")
    try:
        raise KeyError("missing")
    except KeyError:
        log.exception("boom")
    alone = coati.logging.Handler()
    log.addHandler(alone)
    log.error("alone")
    # Since Python 3.12 a filter may put another record in place of the one it is given.
    other = logging.makeLogRecord({"name": "swap", "levelno": 40, "msg": "in place"})
    monkeypatch.setattr(alone, "filter", lambda record: other)
    log.error("given")
    monkeypatch.setattr(alone, "filter", lambda record: False)
    log.error("dropped")
    assert [line["message"] for line in installed.logs()] == ["boom", "alone", "in place"]


@pytest.mark.parametrize("beside", [False, True])
def test_the_last_resort(
    engine: Any, capsys: pytest.CaptureFixture[str], beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the standard library writes where no handler listens."""
    root, log = logging.getLogger(), logging.getLogger("swap")
    monkeypatch.setattr(root, "handlers", [])
    coati.logging.install(beside=beside)
    try:
        log.info("not enabled")
        log.warning("shown %d", 1)
        log.error("shown %d", 2, stack_info=True)
        monkeypatch.setattr(logging, "lastResort", None)
        monkeypatch.setattr(root.manager, "emittedNoHandlerWarning", False)
        log.warning("none")
        log.warning("none")
    finally:
        coati.logging.uninstall()
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith(("shown", "No handlers"))] == (
        ["shown 1", "shown 2", 'No handlers could be found for logger "swap"'] if beside else []
    )
    assert [line["message"] for line in engine.logs()] == ["shown 1", "shown 2", "none", "none"]


def test_a_handler_alone(engine: Any) -> None:
    log = logging.getLogger("swap.alone")
    log.setLevel(logging.DEBUG)
    handler = coati.logging.Handler(logging.INFO)
    log.addHandler(handler)
    try:
        log.debug("below")
        log.info("above %s", 1, extra={"a": 1})
        coati.logging.install()
        log.info("once")
    finally:
        coati.logging.uninstall()
        log.removeHandler(handler)
    lines = engine.logs()
    assert [(line["message"], line.get("a")) for line in lines] == [("above 1", 1), ("once", None)]


def test_dict_config_before_and_after(installed: Any) -> None:
    config: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"ours": {"class": "coati.logging.Handler", "level": "WARNING"}},
        "loggers": {"swap": {"level": "DEBUG", "handlers": ["ours"]}},
        "root": {"level": "ERROR", "handlers": []},
    }
    logging.config.dictConfig(config)
    log = logging.getLogger("swap")
    log.info("below its handler")
    log.warning("once")
    logging.getLogger("py.warnings").error("by what is installed")
    assert [line["message"] for line in installed.logs()] == ["once", "by what is installed"]


def test_warnings_and_queues(installed: Any) -> None:
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("careful", stacklevel=1)
    finally:
        logging.captureWarnings(False)
    line = installed.log()
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "careful" in line["message"]

    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sender = logging.getLogger("swap")
    sender.addHandler(logging.handlers.QueueHandler(records))
    coati.logging.uninstall()
    try:
        sender.error("sent %d", 1, extra={"a": 1})
    finally:
        sender.handlers.clear()
    coati.logging.install("DEBUG").handle(records.get())
    line = installed.log()
    assert (line["message"], line["a"]) == ("sent 1", 1)


@pytest.mark.parametrize(
    ("style", "message", "arguments", "text"),
    [
        ("%", "a %s", ("b",), "a b"),
        ("{", "a {}", ("b",), "a b"),
        ("{", "a {name}", ({"name": "b"},), "a b"),
        ("$", "a $name", ({"name": "b"},), "a b"),
    ],
)
def test_styles_and_templates(
    installed: Any, style: Any, message: str, arguments: tuple[Any, ...], text: str
) -> None:
    coati.logging.install(style=style, template=True)
    logging.getLogger("swap").info(message, *arguments)
    line = installed.log()
    assert line["message"] == text
    assert line["message.template"] == message
    given = arguments[0] if isinstance(arguments[0], dict) else list(arguments)
    assert line["message.arguments"] == given
    with pytest.raises(ValueError, match="style must be one of"):
        coati.logging.install(style="?")  # type: ignore[arg-type]


def test_own_levels_stacks_and_places(installed: Any) -> None:
    logging.addLevelName(25, "NOTICE")
    log = logging.getLogger("swap")
    log.log(25, "between")
    log.info("stack", stack_info=True)
    line, stack = installed.logs()
    assert (line["level"], line["level_name"]) == ("info", "NOTICE")
    assert "test_own_levels_stacks_and_places" in stack["code.stacktrace"]

    def helper() -> None:
        log.info("of the caller", stacklevel=2)

    coati.configure(logs={"call_sites": True})
    log.info("here")
    helper()
    first, second = installed.logs()
    assert first["code.file"] == second["code.file"] == __file__
    assert second["code.line"] == first["code.line"] + 1


def test_errors_are_those_of_the_standard_library(
    installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.getLogger("swap")
    for _ in range(2):
        with pytest.raises(KeyError, match="Attempt to overwrite 'message' in LogRecord"):
            log.info("m", extra={"message": 1})
        log.info("too few %s %s", 1)  # noqa: PLE1206
    assert capsys.readouterr().err.count("--- Logging error ---") == 2

    class Bad:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    log.info("known")
    with pytest.raises(KeyboardInterrupt):
        log.info("%s", Bad())
    assert [line["message"] for line in installed.logs()] == ["known"]


def test_context_spans_and_own_classes(installed: Any) -> None:
    class Own(logging.Logger):
        def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
            record = super().makeRecord(*args, **kwargs)
            record.own = True
            return record

    own = Own("swap.own")
    with coati.context(user="u1"), coati.get_tracer("t").span("s") as span:
        for _ in range(2):
            logging.getLogger("swap").info("inside", extra={"user": "field"})
        own.info("own")
    *inside, line = installed.logs()
    for one in inside:
        assert (one["user"], one["span_id"]) == ("field", span.span_id)
    assert line["own"] is True
    before = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        record.made = "by a factory"
        return record

    logging.setLogRecordFactory(factory)
    try:
        logging.getLogger("swap").info("made")
    finally:
        logging.setLogRecordFactory(before)
    assert installed.log()["made"] == "by a factory"


def test_uninstall_restores_everything(engine: Any) -> None:
    names = ("_log", "callHandlers", "__setattr__")
    before = [getattr(logging.Logger, name) for name in names]
    level = logging.getLogger().level
    coati.logging.install("CRITICAL")
    coati.logging.install("ERROR")
    assert coati.logging.is_installed()
    coati.logging.uninstall()
    coati.logging.uninstall()
    assert not coati.logging.is_installed()
    assert [getattr(logging.Logger, name) for name in names] == before
    assert logging.getLogger().level == level


#: What differs by design: with coati in place there is always a handler.
DIFFERENT = {"LastResortTest.test_last_resort"}


def test_the_interpreters_own_suite(program: Any) -> None:
    if importlib.util.find_spec("test.test_logging") is None:
        pytest.skip("this Python comes without its own tests")
    source = f"""
        import sys, unittest, coati, coati.logging, test.test_logging as suite
        coati.init("suite", config={{"sinks": [{{"type": "memory"}}]}})
        coati.logging.install()
        tests = unittest.defaultTestLoader.loadTestsFromModule(suite)
        result = unittest.TextTestRunner(stream=sys.stderr).run(tests)
        bad = {{case.id().split("test_logging.")[1] for case, _ in result.failures + result.errors}}
        print(result.testsRun, sorted(bad - {DIFFERENT!r}))
    """
    program.run(textwrap.dedent(source))
    ran, bad = program.stdout.splitlines()[-1].split(" ", 1)
    assert int(ran) > 150, sys.version
    assert bad == "[]", program.stderr
