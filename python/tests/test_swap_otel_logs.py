"""The same program on the SDK's loggers and on coati's gives the same records."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import coati
import pytest
from coati.otel.logs import LoggerProvider
from conftest import Engine
from google.protobuf.json_format import MessageToDict
from opentelemetry import _logs, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider as SdkProvider
from opentelemetry.sdk._logs import LoggingHandler, LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from otlp_receiver import Receiver

IDS = (0x0123456789ABCDEF0123456789ABCDEF, 0x0123456789ABCDEF)
CONTEXT = trace.set_span_in_context(
    trace.NonRecordingSpan(trace.SpanContext(*IDS, False, trace.TraceFlags(1)))
)
WHEN = 1_700_000_000_123_456_789
ATTRIBUTES: dict[str, Any] = {
    "text": "é\n",
    "number": -7,
    "float": 0.5,
    "truth": True,
    "list": ["a", "b"],
    "user.id": "u1",
}
BODIES: list[Any] = ["text", "", {"a": [1, {"b": None}]}, ["x", 2], 7, 2.5, True, b"\x00\xff"]


def failure() -> ValueError:
    """An exception that has been raised."""
    try:
        raise ValueError("too bad")
    except ValueError as error:
        return error


def program(provider: _logs.LoggerProvider) -> None:
    """Uses both forms of ``emit``."""
    logger = provider.get_logger("library", "1.2", "https://schema.example/1")
    for number in SeverityNumber:
        logger.emit(severity_number=number, body=f"at {number.value}", timestamp=WHEN)
    for body in BODIES:
        logger.emit(body=body, severity_number=SeverityNumber.INFO, severity_text="INFO")
    logger.emit(
        timestamp=WHEN,
        observed_timestamp=WHEN + 5,
        context=CONTEXT,
        severity_number=SeverityNumber.WARN2,
        severity_text="careful",
        body="all of it",
        attributes=ATTRIBUTES,
        event_name="library.event",
        exception=failure(),
    )
    logger.emit(event_name="no.body", attributes={"a": 1}, severity_number=SeverityNumber.INFO)
    logger.emit(
        LogRecord(
            timestamp=WHEN,
            context=CONTEXT,
            severity_number=SeverityNumber.ERROR,
            severity_text="ERROR",
            body="a record",
            attributes={"http.method": "GET"},
            event_name="library.event",
            exception=failure(),
        )
    )
    provider.get_logger("other").emit(body="of another scope", attributes={})


def by_the_kit(receiver: Receiver, run: Callable[[Any], None]) -> None:
    """Run on the SDK."""
    provider = SdkProvider()
    exporter = OTLPLogExporter(f"{receiver.http}/v1/logs")
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    run(provider)
    provider.shutdown()


def received(receiver: Receiver) -> list[tuple[str, dict[str, Any]]]:
    """Scope and record of each line that a receiver got."""
    told = []
    for request in receiver.take("logs"):
        for of_scope in request.resource_logs[0].scope_logs:
            for record in of_scope.log_records:
                shown = MessageToDict(record)
                shown["attributes"] = sorted(shown.get("attributes", ()), key=lambda a: a["key"])
                told.append((of_scope.scope.name, shown))
    return told


def plain(shown: dict[str, Any]) -> dict[str, Any]:
    """Without the times that differ from run to run, and the lines of stack traces."""
    shown = dict(shown)
    if shown.get("observedTimeUnixNano") != str(WHEN + 5):
        del shown["observedTimeUnixNano"]
    if shown.get("timeUnixNano") != str(WHEN):
        shown.pop("timeUnixNano", None)
    # Of nothing, the kit says nothing and coati what its level is called.
    shown.pop("severityText", None)
    return shown


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of its own for each test."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_what_a_receiver_gets(engine: Engine, receiver: Receiver, protocol: str) -> None:
    by_the_kit(receiver, program)
    theirs = received(receiver)
    endpoint = receiver.grpc if protocol == "grpc" else receiver.http
    engine.start(sinks=[{"type": "otlp", "endpoint": endpoint, "protocol": protocol}])
    program(LoggerProvider())
    coati.shutdown(60)
    ours = received(receiver)
    engine.start()
    assert len(ours) == len(theirs) == len(SeverityNumber) + len(BODIES) + 4
    for (scope, after), (wanted, before) in zip(ours, theirs, strict=True):
        assert scope == wanted
        assert plain(after) == plain(before)
        if "severityText" in before:
            assert after["severityText"] == before["severityText"]


def test_lines(engine: Engine) -> None:
    program(LoggerProvider())
    lines = engine.logs()
    by_number, rest = lines[: len(SeverityNumber)], lines[len(SeverityNumber) :]
    names = ["debug", "info", "warning", "error", "critical"]
    for number, line in zip(SeverityNumber, by_number, strict=True):
        plain = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
        level = names[max((number.value - 1) // 4 - 1, 0)] if number.value else "info"
        assert line["level"] == level
        assert line["message"] == f"at {number.value}"
        assert line["logger"] == "library"
        assert line.get("severity_number", plain[level]) == number.value
        when = datetime.fromtimestamp(WHEN // 10**9, timezone.utc)
        assert line["timestamp"] == f"{when:%Y-%m-%dT%H:%M:%S}.123456789Z"
    bodies, (whole, event, record, other) = rest[: len(BODIES)], rest[len(BODIES) :]
    assert [line["message"] for line in bodies][:2] == ["text", ""]
    assert [line["message"] for line in bodies][4:7] == ["7", "2.5", "True"]
    assert whole["message"] == "all of it"
    assert {key: whole[key] for key in ATTRIBUTES} == ATTRIBUTES
    assert (whole["event.name"], whole["severity_number"]) == ("library.event", 14)
    assert (whole["level"], whole["severity_text"]) == ("warning", "careful")
    for line in (whole, record):
        assert (line["trace_id"], line["span_id"]) == (f"{IDS[0]:032x}", f"{IDS[1]:016x}")
        assert (line["exception.type"], line["exception.message"]) == ("ValueError", "too bad")
        assert "test_swap_otel_logs.py" in line["exception.stacktrace"]
    assert (event["message"], event["event.name"], event["a"]) == ("no.body", "no.body", 1)
    assert (record["message"], record["http.method"], record["level"]) == (
        "a record",
        "GET",
        "error",
    )
    assert "severity_text" not in record
    assert (other["logger"], other["level"]) == ("other", "info")
    assert "trace_id" not in other


def test_the_span_around(engine: Engine) -> None:
    logger = LoggerProvider().get_logger("inside")
    with coati.get_tracer("t").span("s") as span:
        logger.emit(body="inside")
        logger.emit(body="elsewhere", context=CONTEXT)
    inside, elsewhere = engine.logs()
    assert (inside["trace_id"], inside["span_id"]) == (span.trace_id, span.span_id)
    assert elsewhere["trace_id"] == f"{IDS[0]:032x}"


def standard(provider: Any) -> None:
    """The standard library's loggers over the SDK's handler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        handler = LoggingHandler(logger_provider=provider)
    logger = logging.getLogger("standard.library")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.debug("plain %s", 1)
        logger.warning("with %(a)s", {"a": "b"}, extra={"user.id": "u1", "count": 3})
        logger.log(35, "between")
        logger.info({"a": 1})
        try:
            raise KeyError("lost")
        except KeyError:
            logger.exception("failed")
        logger.critical("the end")
    finally:
        logger.removeHandler(handler)


def test_the_handler_of_the_sdk(engine: Engine, receiver: Receiver) -> None:
    by_the_kit(receiver, standard)
    theirs = received(receiver)
    engine.start(sinks=[{"type": "otlp", "endpoint": receiver.http}])
    standard(LoggerProvider())
    coati.shutdown(60)
    ours = received(receiver)
    engine.start()
    assert len(ours) == 6
    assert [(s, plain(a)) for s, a in ours] == [(s, plain(b)) for s, b in theirs]
    texts = [after["severityText"] for _, after in ours]
    assert texts == [before["severityText"] for _, before in theirs]
    standard(LoggerProvider())
    failed = engine.logs()[4]
    assert (failed["exception.type"], failed["exception.message"]) == ("KeyError", "lost")
    assert failed["level"] == "error"


def shown(records: tuple[ReadableLogRecord, ...]) -> list[Any]:
    """What foreign processors were given."""
    told = []
    for one in records:
        record, scope = one.log_record, one.instrumentation_scope
        assert scope is not None
        given = dict(record.attributes or {})
        given.pop("exception.stacktrace", None)
        context = (record.trace_id, record.span_id, record.trace_flags)
        told.append(
            (
                (scope.name, scope.version, scope.schema_url, record.severity_number),
                (record.severity_text, record.body, given, record.event_name, context),
                record.timestamp,
            )
        )
    return told


def test_foreign_processors(engine: Engine) -> None:
    def run(provider: Any) -> list[Any]:
        early = provider.get_logger("early")
        exporter = InMemoryLogRecordExporter()
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        early.emit(body="made before the processor")
        program(provider)
        assert provider.force_flush()
        told = shown(exporter.get_finished_logs())
        provider.shutdown()
        early.emit(body="too late")
        assert len(exporter.get_finished_logs()) == len(told)
        return told

    theirs = run(SdkProvider())
    assert run(LoggerProvider()) == theirs
    # coati has them as well.
    assert len(engine.logs()) == len(theirs) + 1


def test_loggers_with_attributes_are_their_own(engine: Engine) -> None:
    provider = LoggerProvider()
    asked: list[Any] = [{"x": 1}, None, {"x": 2}, {"x": True}]
    loggers = [provider.get_logger("a", attributes=given) for given in asked]
    assert len(set(map(id, loggers))) == len(asked)
    assert [provider.get_logger("a", attributes=given) for given in asked] == loggers
    exporter = InMemoryLogRecordExporter()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    for logger in loggers:
        logger.emit(body="made before the processor")
    told = [record.instrumentation_scope.attributes for record in exporter.get_finished_logs()]
    assert [dict(attributes or {}) for attributes in told] == [given or {} for given in asked]


def test_processors_that_fail(engine: Engine) -> None:
    class Fails(LogRecordProcessor):
        def on_emit(self, log_record: Any) -> None:
            raise RuntimeError("no")

        def shutdown(self) -> None:
            raise RuntimeError("no")

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            raise RuntimeError("no")

    provider = LoggerProvider()
    provider.add_log_record_processor(Fails())
    provider.get_logger("a").emit(body="kept")
    assert not provider.force_flush()
    provider.shutdown()
    assert engine.log()["message"] == "kept"
    with pytest.raises(TypeError, match="LogRecordProcessor"):
        provider.add_log_record_processor(object())  # type: ignore[arg-type]


def test_a_processor_s_own_lines_are_not_handed_on(engine: Engine) -> None:
    taken: list[Any] = []

    class Fails(LogRecordProcessor):
        def on_emit(self, log_record: Any) -> None:
            taken.append(log_record.log_record.body)
            logging.getLogger("coati.otel").warning("from inside")
            raise RuntimeError("no")

        def shutdown(self) -> None:
            pass

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return True

    provider = LoggerProvider()
    provider.add_log_record_processor(Fails())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        handler = LoggingHandler(logger_provider=provider)
    logger = logging.getLogger("coati.otel")
    logger.addHandler(handler)
    try:
        provider.get_logger("a").emit(body="first")
        provider.get_logger("a").emit(body="second")
    finally:
        logger.removeHandler(handler)
    assert taken == ["first", "second"]
    lines = [line["message"] for line in engine.logs()]
    assert [line for line in lines if "did not take" not in line] == [
        *("first", "from inside"),
        *("second", "from inside"),
    ]
    assert len(lines) == 6


def test_levels(engine: Engine) -> None:
    engine.start(logs={"level": "warning", "levels": {"loud": "debug"}})
    provider = LoggerProvider()
    quiet, loud = provider.get_logger("quiet"), provider.get_logger("loud.child")
    assert isinstance(quiet, _logs.Logger)
    assert quiet is provider.get_logger("quiet")
    assert not quiet.enabled(severity_number=SeverityNumber.INFO)
    assert quiet.enabled(severity_number=SeverityNumber.WARN)
    assert loud.enabled(severity_number=SeverityNumber.TRACE, context=None, event_name="e")
    quiet.emit(body="no", severity_number=SeverityNumber.INFO)
    loud.emit(body="yes", severity_number=SeverityNumber.TRACE)
    assert engine.log()["message"] == "yes"
    assert coati.ledger()["logs"]["filtered"] == 1


def test_nothing_is_raised_into_the_program(engine: Engine) -> None:
    logger = LoggerProvider().get_logger("odd")

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

        def items(self) -> Any:
            raise RuntimeError("no")

    odd: list[dict[str, Any]] = [
        {"body": Broken()},
        {"attributes": Broken()},
        {"attributes": {Broken(): Broken()}},
        {"attributes": 7},
        {"severity_number": Broken()},
        {"severity_number": 10**30},
        {"timestamp": "soon"},
        {"timestamp": -1},
        {"context": Broken()},
        {"exception": Broken()},
        {"event_name": Broken()},
    ]
    for given in odd:
        logger.emit(**given)
    logger.emit(Broken())  # type: ignore[arg-type]
    logger.emit(body="whole")
    assert engine.logs()[-1]["message"] == "whole"


def test_before_init_and_after_shutdown(engine: Engine) -> None:
    coati.shutdown(60)
    logger = LoggerProvider().get_logger("early")
    assert not logger.enabled()
    logger.emit(body="too early", severity_number=SeverityNumber.ERROR)
    engine.start()
    logger.emit(body="in time")
    assert engine.log()["message"] == "in time"
