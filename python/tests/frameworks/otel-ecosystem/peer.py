"""What programs talk to, and both kits with what they recorded, in one form."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import coati.otel
from conftest import Engine
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Paris."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}


class Peer:
    """A server on loopback that knows a few paths, and the headers that it was sent."""

    def __init__(self) -> None:
        self.parents: list[str | None] = []
        self.taken: list[tuple[str, bytes]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                peer.parents.append(self.headers.get("traceparent"))
                self._answer(404 if "missing" in self.path else 200, b"{}")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                peer.parents.append(self.headers.get("traceparent"))
                peer.taken.append((self.path, body))
                if not self.path.endswith("/chat/completions"):
                    return self._answer(200, b"{}")
                asked = json.loads(body)
                if asked["model"] == "broken":
                    return self._answer(400, b'{"error": {"message": "no such model"}}')
                if asked.get("stream"):
                    return self._answer(200, stream(), "text/event-stream")
                answer = dict(COMPLETION)
                if asked.get("tools"):
                    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
                    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
                    answer["choices"] = [choice]
                return self._answer(200, json.dumps(answer).encode())

            def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def stream() -> bytes:
    """A completion in pieces."""
    first = {key: COMPLETION[key] for key in ("id", "created", "model")}
    events = [
        {**first, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
        for delta in ({"role": "assistant", "content": "Pa"}, {"content": "ris."})
    ]
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    events.append({**first, "object": "chat.completion.chunk", "choices": [end]})
    usage = {"choices": [], "usage": COMPLETION["usage"]}
    events.append({**first, "object": "chat.completion.chunk", **usage})
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


class Recorded:
    """What one kit recorded."""

    def __init__(self, spans: list[Any], metrics: dict[Any, Any], logs: list[Any]) -> None:
        self.spans = spans
        self.metrics = metrics
        self.logs = logs
        #: What a library's own exporter was given.
        self.seen: list[Any] = []


Providers = tuple[Any, Any, Any]


def on_sdk(program: Callable[[Providers], None]) -> Recorded:
    """Run with the SDK's providers."""
    spans, logs, reader = (
        InMemorySpanExporter(),
        InMemoryLogRecordExporter(),
        InMemoryMetricReader(),
    )
    tracers, loggers = TracerProvider(), LoggerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    meters = MeterProvider(metric_readers=[reader])
    program((tracers, meters, loggers))
    told = metrics(reader)
    for provider in (tracers, meters, loggers):
        provider.shutdown()
    finished = spans.get_finished_spans()
    ids = {span.context.span_id: span.name for span in finished if span.context}
    shown = [
        (
            (ids.get(span.parent.span_id, "remote") if span.parent else None, span.name),
            (span.kind.name.lower(), span.instrumentation_scope.name),
            (span.status.status_code.name.lower(), span.status.description),
            plain(span.attributes or {}),
            [(event.name, plain(event.attributes or {})) for event in span.events],
            len(span.links),
        )
        for span in finished
    ]
    lines = [
        (
            (
                one.instrumentation_scope.name if one.instrumentation_scope else "",
                record.event_name,
            ),
            (record.body, record.severity_number.value if record.severity_number else 0),
            plain(record.attributes or {}),
            ids.get(record.span_id or 0),
        )
        for one in logs.get_finished_logs()
        for record in [one.log_record]
    ]
    return Recorded(sorted(shown, key=str), told, lines)


LEVELS = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}


def on_coati(engine: Engine, program: Callable[[Providers], None]) -> Recorded:
    """Run with coati's providers."""
    engine.start(redaction={"enabled": False}, logs={"level": "debug", "max_string": 65536})
    reader = InMemoryMetricReader()
    tracers, loggers = coati.otel.TracerProvider(), coati.otel.LoggerProvider()
    meters = coati.otel.MeterProvider(metric_readers=[reader])
    program((tracers, meters, loggers))
    told = metrics(reader)
    meters.shutdown()
    records = engine.records()
    spans = [record for record in records if "span" in record]
    ids = {span["span_id"]: span["span"] for span in spans}
    shown = [
        (
            (
                ids.get(span["parent_span_id"], "remote") if "parent_span_id" in span else None,
                span["span"],
            ),
            (span["kind"], span["tracer"]),
            (span["status"]["code"], span["status"].get("description")),
            plain(span.get("attributes", {})),
            [(e["name"], plain(e.get("attributes", {}))) for e in span.get("events", [])],
            len(span.get("links", [])),
        )
        for span in spans
    ]
    known = {"timestamp", "level", "logger", "message", "service", "trace_id", "span_id"}
    known |= {"event.name", "severity_number", "severity_text"}
    lines = [
        (
            (line["logger"], line.get("event.name")),
            (line["message"], line.get("severity_number", LEVELS[line["level"]])),
            plain({key: value for key, value in line.items() if key not in known}),
            ids.get(line.get("span_id", "")),
        )
        for line in records
        if "span" not in line
    ]
    for span in spans:
        assert datetime.fromisoformat(span["start"][:26]) <= datetime.fromisoformat(
            span["end"][:26]
        )
    return Recorded(sorted(shown, key=str), told, lines)


#: Attributes that tell of the run itself.
_OWN = {"exception.stacktrace", "thread.id", "thread.name", "langfuse.release"}


def plain(attributes: Any) -> dict[str, Any]:
    """As JSON has it, without what differs from run to run."""
    kept = {key: value for key, value in attributes.items() if key not in _OWN}
    told: dict[str, Any] = json.loads(json.dumps(kept, default=str, sort_keys=True))
    return dict(sorted(told.items()))


def metrics(reader: InMemoryMetricReader) -> dict[Any, Any]:
    """Values by scope, name and attributes; of durations how many there are."""
    data = reader.get_metrics_data()
    told: dict[Any, Any] = {}
    for of_scope in data.resource_metrics[0].scope_metrics if data else ():
        for metric in of_scope.metrics:
            for point in metric.data.data_points:
                attributes = str(sorted(plain(point.attributes).items()))
                key = (of_scope.scope.name, metric.name, metric.unit, attributes)
                if hasattr(point, "value"):
                    shown: Any = point.value
                else:
                    bounds = getattr(point, "explicit_bounds", None)
                    measured = point.sum if metric.unit not in {"s", "ms"} else None
                    shown = (point.count, bounds, measured)
                told[key] = (type(metric.data).__name__, shown)
    return told


def under_a_root(providers: Providers, run: Callable[[], None]) -> None:
    """Run inside a span of the program's own."""
    with providers[0].get_tracer("program").start_as_current_span("root") as span:
        assert trace.get_current_span() is span
        run()


def instrumented(kind: Any, providers: Providers, run: Callable[[], None], **more: Any) -> None:
    """Run inside a span, with an instrumentation in force."""
    tracers, meters, loggers = providers
    instrumentor = kind()
    instrumentor.instrument(
        tracer_provider=tracers, meter_provider=meters, logger_provider=loggers, **more
    )
    try:
        under_a_root(providers, run)
    finally:
        instrumentor.uninstrument()
